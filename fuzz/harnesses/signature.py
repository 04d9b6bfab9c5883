"""Whatever is done to a signature, it is what was signed, by whom and when, or `SignatureError`.

All seeds sign `CONTENT`, with the keys of two certificates. What is verified tells what one of the
seeds tells, and no signature is one of another content. Where the value of a signature is not
looked at, that one error is raised or a moment is told at which the certificate was valid.

An input that begins with `ATTRIBUTES` holds the signed attributes of a signature, and nothing else.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from cdds.crypto import Signature, ber, verify_signature
from cdds.errors import SignatureError
from fuzz.harnesses import SEEDS, seeds

READS = ("cdds.crypto.signature",)
WORDS = (
    *(b"\x30\x80", b"\x24\x80", b"\x00\x00", b"\xa0\x80", b"\xa1\x80", b"\x31\x00", b"\x30\x00"),
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01",
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03",
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04",
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05",
    b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01",
    b"\x17\x0d250101000000Z",
    b"\x18\x0f20250101000000Z",
    b"-----BEGIN PKCS7-----\n",
    b"-----END PKCS7-----\n",
)

CONTENT = b"0" * 64 + b"  export.zip\n"
_OTHER = CONTENT.replace(b"0", b"1")
ATTRIBUTES = b"A"
DATA = "1.2.840.113549.1.7.1"
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_RSA = "1.2.840.113549.1.1.1"
_VALUE = "cdds.crypto.signature._check_value"


def check(data: bytes) -> None:
    """Check the invariant for a signature."""
    attributes = data.removeprefix(ATTRIBUTES)
    if attributes != data:
        _check_said(_with_attributes(attributes))
        return
    _check_said(data)
    found = _verified(CONTENT, data)
    assert found is None or found in _untouched()


def attribute(oid: str, *values: bytes) -> bytes:
    """Return an attribute in DER."""
    return ber.tlv(ber.SEQUENCE, ber.object_identifier(oid), ber.tlv(ber.SET, *values))


def _with_attributes(attributes: bytes) -> bytes:
    """Return a signature that says these, without a value that anybody could have made."""
    certificate = _certificates()[0]
    number = ber.integer(certificate.serial_number)
    info = ber.tlv(
        ber.SEQUENCE,
        ber.integer(1),
        ber.tlv(ber.SEQUENCE, certificate.issuer.public_bytes(), number),
        _algorithm(_SHA256),
        ber.tlv(ber.CONTEXT_0, attributes),
        _algorithm(_RSA),
        ber.tlv(ber.OCTET_STRING, b"none"),
    )
    signed = ber.tlv(
        ber.SEQUENCE,
        ber.integer(1),
        ber.tlv(ber.SET, _algorithm(_SHA256)),
        ber.tlv(ber.SEQUENCE, ber.object_identifier(DATA)),
        ber.tlv(ber.SET, info),
    )
    kind = ber.object_identifier(_SIGNED_DATA)
    return ber.tlv(ber.SEQUENCE, kind, ber.tlv(ber.CONTEXT_0, signed))


def _algorithm(oid: str) -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.object_identifier(oid), ber.NULL)


def _check_said(signature: bytes) -> None:
    with mock.patch(_VALUE, _any_value):
        said = _verified(CONTENT, signature)
        assert said is None or _verified(_OTHER, signature) is None
    if said is not None and said.signed_at is not None:
        assert _valid_from(said) <= said.signed_at <= said.expires


def _any_value(*_: object) -> None:
    """Take a signature whatever its value is."""


def _valid_from(signature: Signature) -> datetime:
    return next(
        one.not_valid_before_utc
        for one in _certificates()
        if one.fingerprint(SHA256()).hex() == signature.fingerprint
    )


def _verified(content: bytes, signature: bytes) -> Signature | None:
    try:
        return verify_signature(content, signature, _certificates())
    except SignatureError:
        return None


@cache
def _certificates() -> list[x509.Certificate]:
    paths = sorted((SEEDS / "keys").glob("signer-*.pem"))
    return [x509.load_pem_x509_certificate(path.read_bytes()) for path in paths]


@cache
def _untouched() -> set[Signature | None]:
    """Return what the seeds tell that are signatures."""
    return {_verified(CONTENT, path.read_bytes()) for path in seeds("signature")} - {None}
