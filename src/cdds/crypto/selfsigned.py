"""Makes an RSA key and a certificate that it signs itself: for demos, tests and first steps.

Place: beside the envelope, used by nothing in it. It opens no file and asks no clock. A certificate
of this kind says nothing about whose it is; a recipient's real one comes from the recipient.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_KEY_BITS = 3072  # 128 bits of security (NIST SP 800-57, part 1, table 2)
_EXPONENT = 65537


def self_signed(common_name: str, *, now: datetime, days: int) -> tuple[bytes, bytes]:
    """Return a new private key (PKCS #8, not encrypted) and its certificate, both in PEM.

    Args:
        common_name: whose certificate it claims to be, at most 64 characters.
        now: when its validity begins, an aware datetime.
        days: how long it is valid.
    """
    key = rsa.generate_private_key(_EXPONENT, _KEY_BITS)
    certificate = _certificate(key, common_name, now, now + timedelta(days=days))
    return (
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


def _certificate(
    key: rsa.RSAPrivateKey, common_name: str, start: datetime, end: datetime
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_encryption_only(), critical=True)
        .sign(key, hashes.SHA256())
    )


def _encryption_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
