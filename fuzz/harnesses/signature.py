"""Whatever is done to a signature, it is what was signed, by whom and when, or `SignatureError`.

All seeds sign `CONTENT`, with the keys of two certificates. What is verified tells what one of the
seeds tells, and no signature is one of another content. Where the value of a signature is not
looked at, so that its attributes may say anything, that one error is raised or a moment is told at
which the certificate was valid.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from cdds.crypto import Signature, verify_signature
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
_VALUE = "cdds.crypto.signature._check_value"


def check(data: bytes) -> None:
    """Check the invariant for a signature."""
    assert _verified(_OTHER, data) is None
    found = _verified(CONTENT, data)
    assert found is None or found in _untouched()
    with mock.patch(_VALUE):
        found = _verified(CONTENT, data)
    if found is not None and found.signed_at is not None:
        assert _valid_from(found) <= found.signed_at <= found.expires


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
    """Return what the seeds tell; all of them can be verified."""
    return {_verified(CONTENT, path.read_bytes()) for path in seeds("signature")}
