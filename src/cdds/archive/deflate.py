"""Deflate on several threads within one entry: independent blocks, in order.

Place: the first step of the packager. A block of up to 1 MiB is compressed without looking at any
other and closed by a sync flush, so blocks can be made, and read, in parallel; laid end to end and
followed by an empty final block they are one deflate stream (RFC 1951, section 3.2.3).

It knows nothing of ZIP. A block may also be a callable that makes the bytes: it is called on a
worker thread, which is how records are validated there.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import attrs
from isal import isal_zlib

from cdds.model import Level

Block: TypeAlias = bytes | Callable[[], bytes]
"""A piece of an entry's data, or what makes it: called once, on a worker thread."""

BLOCK_SIZE = 1024 * 1024
"""The most bytes of data in one deflate block."""

FINAL_BLOCK = b"\x03\x00"
"""An empty block with fixed codes, marked as the last one (RFC 1951, section 3.2.6)."""

# Below this a block is compressed together with its neighbours, or the ratio suffers when a
# selection leaves little of each.
_SMALL = BLOCK_SIZE // 4
_MAX_BYTES_AHEAD = 8 * BLOCK_SIZE
_RAW = -zlib.MAX_WBITS


def deflate_fast(data: bytes | memoryview) -> bytes:
    """Return one sync-flushed block, at some ten times the speed of zlib's default level."""
    stream = isal_zlib.compressobj(2, isal_zlib.DEFLATED, _RAW)
    return stream.compress(data) + stream.flush(isal_zlib.Z_SYNC_FLUSH)


def deflate_small(data: bytes | memoryview) -> bytes:
    """Return one sync-flushed block, about as small as zlib's default level makes it."""
    stream = zlib.compressobj(6, zlib.DEFLATED, _RAW, memLevel=9)
    return stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)


_DEFLATE: dict[Level, Callable[[bytes | memoryview], bytes]] = {
    "fast": deflate_fast,
    "small": deflate_small,
}


@attrs.frozen
class Deflated:
    """One step of the stream: the data, and its blocks as (size of the data, compressed)."""

    data: bytes
    blocks: list[tuple[int, bytes]]


class Deflater:
    """A pool of threads that compresses blocks ahead of the reader, and keeps their order.

    Use it as a context manager: leaving it waits for what is under way and drops what is not.
    """

    def __init__(self, level: Level = "fast", threads: int | None = None) -> None:
        self._deflate = _DEFLATE[level]
        self._threads = threads or max(2, min(4, os.cpu_count() or 1))
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="cdds-deflate")

    def __enter__(self) -> Deflater:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def deflate(self, blocks: Iterable[Block]) -> Iterator[Deflated]:
        """Yield the blocks compressed, in order; an empty one yields nothing.

        An exception of `blocks`, or of a callable in it, passes through unchanged, in its turn.
        """
        small: list[bytes] = []
        for step in self._in_order(_gather(blocks)):
            if isinstance(step, Deflated):
                if small:
                    yield self._merge(small)
                    small = []
                yield step
            elif step:
                small.append(step)
                if sum(map(len, small)) >= _SMALL:
                    yield self._merge(small)
                    small = []
        if small:
            yield self._merge(small)

    def _in_order(self, blocks: Iterable[Block]) -> Iterator[Deflated | bytes]:
        ahead: deque[tuple[Future[Deflated | bytes], int]] = deque()
        size = 0
        try:
            for block in blocks:
                weight = len(block) if isinstance(block, bytes) else BLOCK_SIZE
                ahead.append((self._pool.submit(self._step, block), weight))
                size += weight
                while len(ahead) > 2 * self._threads + 1 or size > _MAX_BYTES_AHEAD:
                    future, weight = ahead.popleft()
                    size -= weight
                    yield future.result()
            while ahead:
                yield ahead.popleft()[0].result()
        finally:
            for future, _ in ahead:
                future.cancel()

    def _step(self, block: Block) -> Deflated | bytes:
        data = block if isinstance(block, bytes) else block()
        return data if len(data) < _SMALL else self._compress(data)

    def _merge(self, small: list[bytes]) -> Deflated:
        return self._compress(b"".join(small))

    def _compress(self, data: bytes) -> Deflated:
        if len(data) <= BLOCK_SIZE + _SMALL:  # lines do not end just at the block's border
            return Deflated(data, [(len(data), self._deflate(data))])
        view = memoryview(data)
        parts = (view[start : start + BLOCK_SIZE] for start in range(0, len(data), BLOCK_SIZE))
        return Deflated(data, [(len(part), self._deflate(part)) for part in parts])


def _gather(blocks: Iterable[Block]) -> Iterator[Block]:
    """Join bytes that come in crumbs, so that a block is worth a thread's while."""
    crumbs: list[bytes] = []
    size = 0
    for block in blocks:
        if isinstance(block, bytes) and size + len(block) < BLOCK_SIZE:
            crumbs.append(block)
            size += len(block)
            continue
        if crumbs:
            yield b"".join(crumbs)
            crumbs, size = [], 0
        yield block
    if crumbs:
        yield b"".join(crumbs)
