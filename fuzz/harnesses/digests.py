"""Any bytes are a file of digests as `sha256sum` writes it, or are refused with `ExportIncomplete`.

What is taken holds one line for each name, and no name leads into a folder; written as `sha256sum`
writes it, it is read as the same. And whatever names there are, what `sha256sum` writes of them is
read as they are.
"""

from __future__ import annotations

from hashlib import sha256

from cdds.errors import ExportIncomplete
from cdds.recipient.digest_file import parse_digests

READS = ("cdds.recipient.digest_file",)
WORDS = (
    b"\\",
    b"\\\\",
    b"\\n",
    b"\\r",
    b"  ",
    b" *",
    b"\r\n",
    b"..",
    b"/",
    b"0123456789abcdef" * 4,
)

_ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r"}
_LONGEST = 500  # of a name, so that it is not too long when all of it is escaped


def check(data: bytes) -> None:
    """Check the invariant for a file, and for names."""
    _check_file(data)
    names = [name for name in data.split(b"\0") if b"/" not in name and len(name) <= _LONGEST]
    digests = {name: sha256(name).hexdigest() for name in names if name not in {b"", b".", b".."}}
    if digests:
        assert _read(written(digests)) == digests


def written(digests: dict[bytes, str]) -> bytes:
    """Return the lines that `sha256sum` writes for digests."""
    return b"".join(_line(name, digest) for name, digest in digests.items())


def _line(name: bytes, digest: str) -> bytes:
    escaped = b"".join(_ESCAPES.get(letter, letter) for letter in map(_octet, name))
    return b"\\" * (escaped != name) + digest.encode() + b"  " + escaped + b"\n"


def _octet(number: int) -> bytes:
    return bytes([number])


def _check_file(data: bytes) -> None:
    try:
        digests = _read(data)
    except ExportIncomplete:
        return
    assert len(digests) == data.removesuffix(b"\n").count(b"\n") + 1
    for name, digest in digests.items():
        assert name not in {b"", b".", b".."}
        assert not {*b"/\0"} & {*name}
        assert len(bytes.fromhex(digest)) == sha256().digest_size
        assert digest.encode() in data.lower()
    assert _read(written(digests)) == digests


def _read(data: bytes) -> dict[bytes, str]:
    digests = parse_digests(data)
    return {name.encode("utf-8", "surrogateescape"): digests[name] for name in digests}
