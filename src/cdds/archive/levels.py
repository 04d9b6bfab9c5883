"""How hard a block is compressed: for speed or for size.

Place: below deflate, which hands each block to one of these on a worker thread. A block is
compressed without looking at any other and closed by a sync flush (RFC 1951, section 3.2.4: an
empty stored block), so that it begins and ends on a byte border.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import attrs
from isal import isal_zlib

from cdds.model import Level

Pieces: TypeAlias = Sequence[bytes | memoryview]
"""The data of one block, not empty; it need not be joined to be compressed."""

_MIB = 1024 * 1024
_LOWER, _HIGHER = 2, 3  # levels of isal
_SAMPLE = 32 * 1024
_REPETITIVE, _RANDOM = 0.36, 0.74  # of the size, what is left of a sample


@attrs.frozen
class DeflateBlock:
    """One block: the size of its data in bytes, their CRC-32, and the sync-flushed bytes."""

    size: int
    crc: int
    compressed: bytes


@attrs.frozen
class Compression:
    """A way to compress.

    Attributes:
        deflate: makes a block of some data.
        block_size: how much data one block usually holds, in bytes.
    """

    deflate: Callable[[Pieces], DeflateBlock]
    block_size: int


class _Stream(Protocol):
    def compress(self, data: bytes | memoryview, /) -> bytes: ...
    def flush(self, mode: int, /) -> bytes: ...


def _block(pieces: Pieces, stream: _Stream) -> DeflateBlock:
    compressed = b"".join([*map(stream.compress, pieces), stream.flush(zlib.Z_SYNC_FLUSH)])
    crc = 0
    for piece in pieces:
        crc = isal_zlib.crc32(piece, crc)
    return DeflateBlock(sum(map(len, pieces)), crc, compressed)


def _density(pieces: Pieces) -> float:
    """Return how much of a block's start is left when it is compressed quickly."""
    sample = pieces[0][:_SAMPLE]
    return len(isal_zlib.compress(sample, _LOWER, -zlib.MAX_WBITS)) / len(sample)


def _fast(pieces: Pieces) -> DeflateBlock:
    """Compress at several times the speed of zlib.

    isal's higher level makes mail in base64 about 3 % smaller at two thirds of the speed. What
    repeats itself more it makes 2 % smaller at 40 to 60 %, and what is all but random no smaller.
    """
    level = _HIGHER if _REPETITIVE < _density(pieces) < _RANDOM else _LOWER
    # Little memory makes for short runs under one Huffman code, which follow the change from
    # text to base64 and back: a third of a percent smaller than with the default.
    return _block(pieces, isal_zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, memLevel=2))


def _small(pieces: Pieces) -> DeflateBlock:
    """Compress smaller than ``zip -6`` does, at twice the speed of zlib.

    What repeats itself is smaller with zlib-ng at its usual level; mail in base64 needs the next,
    and little memory once more, which costs zlib-ng no time.
    """
    from zlib_ng import zlib_ng  # for this level alone

    level, memory = (6, 7) if _density(pieces) < _REPETITIVE else (7, 5)
    return _block(pieces, zlib_ng.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, memory))


_COMPRESSIONS: dict[Level, Compression] = {
    "fast": Compression(_fast, _MIB),
    # What a block cannot refer to, since it lies in the one before, costs 0.4 % at 1 MiB.
    "small": Compression(_small, 2 * _MIB),
}


def compression(level: Level) -> Compression:
    """Return the way to compress that a level means."""
    return _COMPRESSIONS[level]
