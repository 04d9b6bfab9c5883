"""Any bytes are whole streams of gzip, bzip2 or xz, or are said to be damaged or cut off.

What is read to its end begins with what Python's own readers find; they stop where something
follows that they do not know. What is larger than `MOST` is not read to its end.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

from cdds.sources.damage import Damaged
from cdds.sources.decompression import decompressed

READS = ("cdds.sources.decompression",)
WORDS = (b"\x1f\x8b\x08\x00", b"BZh9", b"\xfd7zXZ\x00", b"YZ", b"\x00\x00\x00\x00")

MOST = 256 * 1024
_JUDGES: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lambda data: lzma.decompress(data.rstrip(b"\0")),
}


def check(data: bytes) -> None:
    """Check the invariant for a file, under each of the three names."""
    for suffix, judge in _JUDGES.items():
        found = _read(data, suffix)
        if found is not None and len(found) <= MOST:
            assert found.startswith(judge(data)) if data else not found


def _read(data: bytes, suffix: str) -> bytes | None:
    file = decompressed(io.BytesIO(data), suffix)
    found = b""
    try:
        while len(found) <= MOST and (piece := file.read(64 * 1024)):
            found += piece
    except (Damaged, EOFError):
        return None
    return found
