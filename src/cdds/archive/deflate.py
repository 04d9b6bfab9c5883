"""Deflate on several threads within one entry: independent blocks, in order.

Place: the first step of the packager. A block of a MiB or a few is compressed without looking at
any other and closed by a sync flush, so blocks can be made, and read, in parallel; laid end to end
and followed by an empty final block they are one deflate stream (RFC 1951, section 3.2.3).

It knows nothing of ZIP. A block may also be a callable that makes the bytes: it is called on a
worker thread, which is how records are validated there.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import attrs

from cdds.archive.digest import Digest
from cdds.archive.levels import DeflateBlock, compression
from cdds.model import Level

Block: TypeAlias = bytes | Callable[[], bytes]
"""A piece of an entry's data, or what makes it: called once, on a worker thread.

A callable may have an attribute ``size``, the bytes it holds, for the bound on what is under way.
"""

FINAL_BLOCK = b"\x03\x00"
"""An empty block with fixed codes, marked as the last one (RFC 1951, section 3.2.6)."""

# Below this a block is compressed together with its neighbours, or the ratio suffers when a
# selection leaves little of each.
_SMALL = 256 * 1024
_MALLOC_THRESHOLD = 2 * 1024 * 1024
_BLOCKS_AHEAD = 3  # for each thread
_MAX_BYTES_AHEAD = 8 * 1024 * 1024
_UNKNOWN_SIZE = 1024 * 1024


class Deflater:
    """A pool of threads that compresses blocks ahead of the reader, and keeps their order.

    Use it as a context manager: leaving it waits for what is under way and drops what is not.
    """

    def __init__(self, level: Level = "fast", threads: int | None = None) -> None:
        _keep_freed_memory()
        self._compression = compression(level)
        self._threads = threads or max(2, min(4, os.cpu_count() or 1))
        self._max_bytes = max(_MAX_BYTES_AHEAD, self._threads * self._compression.block_size)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="cdds-deflate")

    def __enter__(self) -> Deflater:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def deflate(self, blocks: Iterable[Block], digest: Digest) -> Iterator[list[DeflateBlock]]:
        """Yield the blocks compressed, in order, and put their data into `digest`.

        A large one becomes several, several small ones become one, empty ones none. An exception
        of `blocks`, or of a callable in it, passes through unchanged, in its turn.
        """
        small: list[bytes] = []
        for step in self._in_order(_gather(blocks, self._compression.block_size), digest):
            if isinstance(step, bytes):
                small += [step] if step else []
                if sum(map(len, small)) < _SMALL:
                    continue
            if small:
                yield self._compress(small, sum(map(len, small)))
                small = []
            if not isinstance(step, bytes):
                yield step
        if small:
            yield self._compress(small, sum(map(len, small)))

    def _in_order(
        self, groups: Iterable[_Group], digest: Digest
    ) -> Iterator[list[DeflateBlock] | bytes]:
        ahead: deque[tuple[Future[list[DeflateBlock] | bytes], int]] = deque()
        size = 0
        failures: list[Exception] = []
        try:
            for number, group in enumerate(_until_failure(groups, failures)):
                ahead.append((self._pool.submit(self._step, number, group, digest), group.size))
                size += group.size
                while len(ahead) > _BLOCKS_AHEAD * self._threads or size > self._max_bytes:
                    future, weight = ahead.popleft()
                    size -= weight
                    yield future.result()
            while ahead:
                yield ahead.popleft()[0].result()
            for failure in failures:
                raise failure
        finally:
            for future, _ in ahead:
                future.cancel()

    def _step(self, number: int, group: _Group, digest: Digest) -> list[DeflateBlock] | bytes:
        pieces = [piece for piece in group.pieces() if piece]
        digest.put(number, pieces)
        size = sum(map(len, pieces))
        return b"".join(pieces) if size < _SMALL else self._compress(pieces, size)

    def _compress(self, pieces: Sequence[bytes], size: int) -> list[DeflateBlock]:
        deflate, block_size = self._compression.deflate, self._compression.block_size
        if size <= _largest(block_size):
            return [deflate(pieces)]
        data = memoryview(b"".join(pieces))
        return [deflate([data[at : at + block_size]]) for at in range(0, size, block_size)]


def _largest(block_size: int) -> int:
    """Return how large data may be and still be one block: lines are cut by the source."""
    return block_size + block_size // 4


@attrs.frozen
class _Group:
    """Blocks that are compressed as one, and the bytes they hold together."""

    blocks: tuple[Block, ...]
    size: int

    def pieces(self) -> Iterator[bytes]:
        """Yield the data of each, made now."""
        return (block if isinstance(block, bytes) else block() for block in self.blocks)


def _weight(block: Block) -> int:
    return len(block) if isinstance(block, bytes) else getattr(block, "size", _UNKNOWN_SIZE)


def _gather(blocks: Iterable[Block], block_size: int) -> Iterator[_Group]:
    """Put blocks together that come in smaller pieces than are compressed as one."""
    group: list[Block] = []
    size = 0
    for block in blocks:
        weight = _weight(block)
        if group and size + weight > _largest(block_size):
            yield _Group(tuple(group), size)
            group, size = [], 0
        group.append(block)
        size += weight
        if size >= block_size - block_size // 8:
            yield _Group(tuple(group), size)
            group, size = [], 0
    if group:
        yield _Group(tuple(group), size)


def _until_failure(groups: Iterable[_Group], failures: list[Exception]) -> Iterator[_Group]:
    """Yield groups up to an exception, which is kept until those before it had their turn."""
    try:
        yield from groups
    except Exception as failure:  # noqa: BLE001  # raised again, in its turn
        failures.append(failure)


def _keep_freed_memory() -> None:
    """Let the C allocator reuse blocks of a megabyte instead of returning each to the kernel.

    glibc raises its threshold for mapping memory to the size of the largest mapped block that was
    ever freed, up to 32 MiB. This one is never touched, so it costs nothing; it saves some 300
    page faults for each MiB of data, a fifth of an export's time. Other allocators ignore it.
    """
    bytes(_MALLOC_THRESHOLD)
