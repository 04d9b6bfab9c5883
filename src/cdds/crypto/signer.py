"""Signs what tells of an export where it comes from: detached CMS SignedData (RFC 5652, section 5).

Place: beside the envelope. Anybody who has a recipient's certificate can seal for it; only the
holder of the signing key can sign. What is signed is small, so ``cryptography`` does it at once.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TypeAlias

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from cdds.crypto.certificates import MIN_KEY_BITS, UNREADABLE, check_validity, load_chain
from cdds.crypto.private_keys import load_private_key
from cdds.errors import CertificateError

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
KeySource: TypeAlias = "str | os.PathLike[str] | bytes | PrivateKey"
"""A path, PEM or DER bytes, or a private key."""
SignerCertificate: TypeAlias = "str | os.PathLike[str] | bytes | x509.Certificate"

_OPTIONS = (
    pkcs7.PKCS7Options.DetachedSignature,
    pkcs7.PKCS7Options.Binary,
    pkcs7.PKCS7Options.NoCapabilities,
)


@attrs.frozen
class Signer:
    """A private key and its certificate, to sign with.

    Attributes:
        key: an RSA or an elliptic curve key; `load` reads it from a file.
        certificate: the certificate of that key.
        chain: what issued it, to go into signatures beside it.
        origin: where the certificate came from, for messages.

    Raises:
        CertificateError: key and certificate do not belong together, or may not sign.

    >>> signer = Signer.load("signer.key", "signer.pem", password=b"secret")
    """

    key: PrivateKey = attrs.field(repr=False)
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()
    origin: str = "the certificate"

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.key, PrivateKey):
            raise CertificateError("a signing key must be an RSA or an elliptic curve private key")
        if not isinstance(self.certificate, x509.Certificate):
            raise CertificateError("a signer takes an x509.Certificate; Signer.load reads files")
        if isinstance(self.key, rsa.RSAPrivateKey) and self.key.key_size < MIN_KEY_BITS:
            raise CertificateError(
                f"the signing key is an RSA key of {self.key.key_size} bits; "
                f"at least {MIN_KEY_BITS} are needed"
            )
        if self.key.public_key() != signing_key(self.certificate, self.origin):
            raise CertificateError(f"{self.origin} is not the certificate of the signing key")

    @classmethod
    def load(
        cls, key: KeySource, certificate: SignerCertificate, password: bytes | None = None
    ) -> Signer:
        """Return the signer of a key and a certificate, each as a path, PEM or DER, or a value.

        Args:
            key: the private key.
            certificate: its certificate; in a file with a chain the end entity's.
            password: what the key is encrypted with, if it is.

        Raises:
            CertificateError: one of them cannot be read or used.
        """
        certificates, origin = load_chain(certificate)
        return cls(_load_key(key, password), certificates[0], tuple(certificates[1:]), origin)

    def check_validity(self, now: datetime) -> str | None:
        """Refuse a certificate that is not valid at `now`; return a warning if it expires soon.

        Raises:
            CertificateError: it is not yet, or no longer, valid.
        """
        return check_validity(self.certificate, self.origin, now)

    def sign(self, content: bytes) -> bytes:
        """Return a detached signature in DER, which says when it was made by the system's clock.

        ``openssl cms -verify -binary -inform DER -in SIGNATURE -content FILE`` checks it.
        """
        builder = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(content)
            .add_signer(self.certificate, self.key, hashes.SHA256())
        )
        for certificate in self.chain:
            builder = builder.add_certificate(certificate)
        return builder.sign(serialization.Encoding.DER, _OPTIONS)


def signing_key(certificate: x509.Certificate, origin: str) -> object:
    """Return the public key of a certificate that may sign, of any kind.

    Raises:
        CertificateError: its key usage allows no signatures (RFC 5280, section 4.2.1.3), or it
            cannot be read.
    """
    try:
        key = certificate.public_key()
        usage = _key_usage(certificate)
    except UNREADABLE as error:
        raise CertificateError(f"{origin} has fields that cannot be read") from error
    if usage and not (usage.digital_signature or usage.content_commitment):
        raise CertificateError(
            f"the key usage of {origin} does not allow digitalSignature; "
            "use a certificate for signing"
        )
    return key


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def _load_key(source: KeySource, password: bytes | None) -> PrivateKey:
    if not isinstance(source, (str, os.PathLike, bytes)):
        return source
    key, _, origin = load_private_key(source, (password,), "signing key")
    if not isinstance(key, PrivateKey):
        raise CertificateError(f"{origin} must be an RSA or an elliptic curve private key")
    return key
