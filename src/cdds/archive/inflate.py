"""Inflates an entry's data: as one stream, or by independent blocks on threads.

Place: below the reader. Bytes in, bytes out, in bounded memory; it neither finds entries nor
proves them. A stream must end exactly where its data do.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from operator import attrgetter
from typing import TypeAlias

import attrs
from isal import igzip_lib, isal_zlib

from cdds.errors import ArchiveError

_OUTPUT = 256 * 1024
_MAX_BLOCK = 16 * 1024 * 1024
_MAX_BYTES_AHEAD = 16 * 1024 * 1024
_BLOCKS_AHEAD = 3  # for each thread
_RAW_DEFLATE = -15
_FAULT: type[Exception] = isal_zlib.IsalError  # type: ignore[assignment]  # its stub calls it a value
SYNC_FLUSH = b"\x00\x00\xff\xff"
"""The end of a block but the last: that of an empty stored block (RFC 1951, section 3.2.4)."""

ReadAt: TypeAlias = Callable[[int, int], bytes]
"""Gives bytes of an entry's compressed data: from an offset in it, and how many."""


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the data of one deflate stream, in pieces of at most 256 KiB.

    Raises:
        ArchiveError: the stream is damaged, does not end, or ends before its bytes do.
    """
    stream = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    for chunk in chunks:
        if stream.eof:
            raise _does_not_fit()
        yield from _inflated(stream, chunk)
    if not stream.eof or stream.unused_data:
        raise _does_not_fit()


def _inflated(stream: igzip_lib.IgzipDecompressor, chunk: bytes) -> Iterator[bytes]:
    try:
        data = stream.decompress(chunk, _OUTPUT)
        while data:
            yield data
            ended = stream.needs_input or stream.eof
            data = b"" if ended else stream.decompress(b"", _OUTPUT)
    except _FAULT as error:
        raise ArchiveError(f"its deflate stream is damaged ({error})") from None


def _does_not_fit() -> ArchiveError:
    return ArchiveError("its deflate stream does not end where its data end")


@attrs.frozen
class Block:
    """A deflate block that can be inflated alone; offsets and sizes in bytes.

    Attributes:
        start: where its data begin in the entry's.
        size: the bytes of its data.
        compressed_start: where it begins in the entry's compressed data.
        compressed_size: its bytes there, for the last block with the end of the stream.
    """

    start: int
    size: int
    compressed_start: int
    compressed_size: int


@attrs.frozen
class BlockOffsets:
    """Where the blocks of an entry begin, as the manifest lists them; the first at 0, 0.

    Attributes:
        data: the offset of each in the data.
        compressed: the offset of each in the compressed data.
    """

    data: tuple[int, ...] = attrs.field(converter=tuple[int, ...], repr=False)
    compressed: tuple[int, ...] = attrs.field(converter=tuple[int, ...], repr=False)

    def blocks(self, size: int, compressed_size: int) -> tuple[Block, ...]:
        """Return the blocks of an entry of these sizes.

        Raises:
            ArchiveError: the offsets do not fit the sizes, or a block would be too large.
        """
        count = len(self.data)
        if not count or len(self.compressed) != count or self.data[0] or self.compressed[0]:
            raise ArchiveError("its block offsets are not those of any deflate blocks")
        data, compressed = (*self.data, size), (*self.compressed, compressed_size)
        steps = zip(pairwise(data), pairwise(compressed), strict=True)
        blocks = tuple(Block(a, b - a, c, d - c) for (a, b), (c, d) in steps)
        for block in blocks:
            if not (0 < block.size <= _MAX_BLOCK and 0 < block.compressed_size <= _MAX_BLOCK):
                raise ArchiveError("its block offsets do not fit its sizes")
        return blocks


def block_at(blocks: Sequence[Block], start: int) -> int:
    """Return the number of the block that holds a byte of the data."""
    return bisect_right(blocks, start, key=attrgetter("start")) - 1


def inflate_blocks(
    blocks: Sequence[Block], read: ReadAt, first: int, threads: int | None
) -> Iterator[bytes]:
    """Yield the data of blocks, from one of them to the last; each block is one piece.

    Threads read and inflate, so `read` is called by several at once.

    Raises:
        ArchiveError: a block is damaged, or does not hold the data that it should.
    """
    threads = threads or max(2, min(4, os.cpu_count() or 1))
    ahead: deque[Future[bytes]] = deque()
    waiting: deque[int] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="cdds-inflate") as pool:
        try:
            for number in range(first, len(blocks)):
                block = blocks[number]
                ahead.append(pool.submit(_block, block, read, number == len(blocks) - 1))
                waiting.append(block.size + block.compressed_size)
                while len(ahead) > _BLOCKS_AHEAD * threads or sum(waiting) > _MAX_BYTES_AHEAD:
                    waiting.popleft()
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def _block(block: Block, read: ReadAt, last: bool) -> bytes:
    compressed = read(block.compressed_start, block.compressed_size)
    stream = isal_zlib.decompressobj(_RAW_DEFLATE)
    try:
        data = stream.decompress(compressed, block.size + 1)
    except _FAULT as error:
        raise ArchiveError(f"one of its deflate blocks is damaged ({error})") from None
    if len(data) != block.size or stream.eof != last or stream.unused_data:
        raise ArchiveError("its deflate blocks are not where its block offsets say")
    return data
