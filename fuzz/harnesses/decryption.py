"""Whatever is done to a message, its authenticated content is what was sealed, or is refused.

All seeds hold `CONTENT`, sealed for one key. Nothing but `MessageError` and `DecryptionError` is
raised; the latter has one text, whatever was wrong. Content that is called verified is `CONTENT`,
to the last byte, and none that is not authenticated is called so.
"""

from __future__ import annotations

from functools import cache
from typing import cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cdds.crypto.decryption import decrypt
from cdds.errors import DecryptionError, MessageError
from fuzz.harnesses import SEEDS

READS = (
    "cdds.crypto.decryption",
    "cdds.crypto.unwrapping",
    "cdds.crypto.ghash",
    "cdds.crypto.message",
    "cdds.crypto.ber_parser",
)
WORDS = (
    b"\x04\x10",
    b"\x24\x80\x04",
    b"\x00\x00",
    b"\x80\x10",
    b"\x02\x01\x10",
    b"\xa1\x80",
    b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17",
    b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e",
    b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a",
)
VECTORS = "cms"

CONTENT = b"what was sealed, in more than a block"

_texts: set[str] = set()  # of all decryptions that failed


def check(data: bytes) -> None:
    """Check the invariant for a message."""
    try:
        content = decrypt(data, key=private_key())
        found = b"".join(content.iter_unverified())
    except MessageError:
        return
    except DecryptionError as error:
        _texts.add(str(error))
        assert len(_texts) == 1
        return
    assert not content.is_verified or content.header.is_authenticated
    assert found == CONTENT or not content.is_verified
    assert len(found) <= len(data)


@cache
def private_key() -> RSAPrivateKey:
    """Return the key that the seeds are sealed for."""
    path = SEEDS / "keys" / "test-only.key.pem"
    return cast(RSAPrivateKey, load_pem_private_key(path.read_bytes(), password=None))
