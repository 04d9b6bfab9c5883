"""Any bytes are the certificates of somebody to seal for, or are refused with `CertificateError`.

Who is taken has an RSA key that is long enough and may encrypt keys, and can be taken again from
the PEM and the pickle that come out. In whatever order a chain comes, it is of the same recipient.
A signature is verified by them or is not, a message is for them or is not, and nothing else comes
of it either.
"""

from __future__ import annotations

import pickle
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from cdds.crypto import MessageHeader, inspect_message, verify_signature
from cdds.crypto.certificates import MIN_KEY_BITS, Recipient, load_recipients
from cdds.crypto.decryption import PrivateKeys
from cdds.errors import CertificateError, MessageError, SignatureError
from fuzz.harnesses import SEEDS
from fuzz.harnesses.decryption import private_key
from fuzz.harnesses.signature import CONTENT

READS = ("cdds.crypto.certificates",)
WORDS = (
    *(b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n", b"\x30\x82", b"\x05\x00"),
    *(b"\x03\x02\x05\x20", b"\x06\x03\x55\x1d\x0f", b"\x06\x03\x55\x1d\x13", b"\x01\x01\xff"),
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a",
)

_NOW = datetime(2025, 6, 1, tzinfo=UTC)


def check(data: bytes) -> None:
    """Check the invariant for a file."""
    _check_order(data)
    with suppress(SignatureError, CertificateError):
        verify_signature(CONTENT, _signature(), data)
    with suppress(MessageError, CertificateError):
        PrivateKeys.loaded(private_key(), (), None, data).content_key(_header())
    recipient = _loaded(data)
    if recipient is None:
        return
    key = recipient.certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    assert key.key_size >= MIN_KEY_BITS
    for extension in recipient.certificate.extensions:
        if isinstance(extension.value, x509.KeyUsage):
            assert extension.value.key_encipherment
    assert _loaded(recipient.pem.encode()) == recipient
    assert pickle.loads(pickle.dumps(recipient)) == recipient
    _check_validity(recipient)


@cache
def _signature() -> bytes:
    return (SEEDS / "signature" / "cdds-rsa").read_bytes()


@cache
def _header() -> MessageHeader:
    return inspect_message((SEEDS / "messages" / "attributes.der").read_bytes())


def _check_order(data: bytes) -> None:
    try:
        chain = [one.public_bytes(Encoding.PEM) for one in x509.load_pem_x509_certificates(data)]
    except (ValueError, x509.InvalidVersion):
        return
    assert _loaded(b"".join(chain)) == _loaded(b"".join(reversed(chain)))


def _loaded(data: bytes) -> Recipient | None:
    try:
        [recipient] = load_recipients(data)
    except CertificateError:
        return None
    return recipient


def _check_validity(recipient: Recipient) -> None:
    is_valid = recipient.certificate.not_valid_before_utc <= _NOW <= recipient.expires
    try:
        recipient.check_validity(_NOW)
    except CertificateError:
        assert not is_valid
    else:
        assert is_valid
