"""Whatever offsets a manifest lists, blocks are read as what they are, or `ArchiveError` is raised.

One archive of many deflate blocks is read with the offsets that the input is, from the byte that it
says: four bytes for that, then two and two for the place of each block in the data and in the
compressed data. What comes out is the end of the data from that byte on, never anything else.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from functools import cache
from itertools import accumulate

from cdds.archive import Archive, BlockOffsets
from cdds.errors import ArchiveError
from fuzz.inputs import Ranged

READS = ("cdds.archive.inflate", "cdds.archive.archive")
WORDS = (b"\x00\x00\x00\x00", b"\x00\x00\x00\x64\x00\x00")

DATA = b"".join(b"%d is the square of %d\n" % (n * n, n) for n in range(60))
_BLOCK = 100
_PAIR = struct.Struct(">HH")


def check(data: bytes) -> None:
    """Check the invariant for offsets."""
    start = int.from_bytes(data[:4], "big")
    pairs = list(_PAIR.iter_unpack(data[4 : len(data) - len(data[4:]) % _PAIR.size]))
    offsets = BlockOffsets([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    archive, _ = packed()
    (entry,) = archive.entries
    try:
        found = b"".join(archive.open(entry, block_offsets=offsets, start=start, threads=1))
    except ArchiveError:
        return
    assert found == DATA[start:]


def written(start: int, data: Sequence[int], compressed: Sequence[int]) -> bytes:
    """Return the input that means these offsets."""
    pairs = zip(data, compressed, strict=True)
    return start.to_bytes(4, "big") + b"".join(_PAIR.pack(*pair) for pair in pairs)


@cache
def packed() -> tuple[Archive, BlockOffsets]:
    """Return the archive, of two parts, and the right offsets."""
    deflate = zlib.compressobj(wbits=-15)
    blocks = []
    for at in range(0, len(DATA), _BLOCK):
        is_last = at + _BLOCK >= len(DATA)
        block = deflate.compress(DATA[at : at + _BLOCK])
        blocks.append(block + deflate.flush(zlib.Z_FINISH if is_last else zlib.Z_FULL_FLUSH))
    archive = _archive(b"".join(blocks))
    half = len(archive) // 2
    starts = tuple(accumulate(map(len, blocks), initial=0))[:-1]
    return (
        Archive([Ranged(archive[:half]), Ranged(archive[half:])]),
        BlockOffsets(range(0, len(DATA), _BLOCK), starts),
    )


def _archive(stream: bytes) -> bytes:
    """Return an archive of one entry whose deflate stream is this one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("data")
        archive.writestr(info, stream)
        local = len(info.FileHeader())
        archive.infolist()[0].compress_type = zipfile.ZIP_DEFLATED
        info.file_size, info.CRC = len(DATA), zlib.crc32(DATA)
        header = info.FileHeader()
    assert len(header) == local
    return header + file.getvalue()[local:]
