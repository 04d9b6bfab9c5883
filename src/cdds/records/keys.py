"""A set of record keys that holds millions in 12 bytes each.

Place: remembers which parents were selected, so that exactly their children follow. A key is held
as its 96-bit BLAKE2b digest, keyed with random bytes so that nobody can prepare two keys that
collide; that some of 100 million do is as likely as 1 in 10 million million. The digests stand in
256 parts by their first byte, each a list of chunks of 4 KiB that never move: a part is sorted in
place when it is first asked, then searched by bisection. In all 12 bytes for a key and 2 % for the
chunks, and 512 KiB for the last chunks of the parts.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from mmap import ACCESS_COPY, mmap
from operator import attrgetter
from threading import Lock
from typing import Any, TypeAlias

from cdds.model import DataFile

_DIGEST = 12
_PARTS = 256
_CHUNK = 341 * _DIGEST
_SLAB = 64 * 4096

Key: TypeAlias = str | int
"""A key of a record: a text, or a whole number."""

_LONGEST = 64
_LARGEST = 2**128


TellKey: TypeAlias = Callable[[Mapping[str, Any]], str | None]
"""Returns the key of a record for a message, or None if none may be told."""


def plausible_key(file: DataFile, record: Mapping[str, Any]) -> str | None:
    """Return a record's key for a message, or None if what stands in its place is hardly one."""
    key = record.get(file.key) if file.key else None
    if isinstance(key, int) and not isinstance(key, bool) and abs(key) < _LARGEST:
        return str(key)
    is_one = isinstance(key, str) and 0 < len(key) <= _LONGEST and key.isprintable()
    return key if is_one else None


class KeySet:
    """Keys of records: first all are added, then they are asked for.

    Adding is safe from several threads; asking is too, once nothing is added any more.
    """

    def __init__(self) -> None:
        self._secret = os.urandom(16)
        chunks = _new_chunks()
        self._parts = [_Part(chunks) for _ in range(_PARTS)]
        self._lock = Lock()

    def update(self, keys: Iterable[Key]) -> None:
        """Add keys."""
        digests = [self._digest(key) for key in keys]
        with self._lock:
            for digest in digests:
                self._parts[digest[0]].add(digest)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, Key):
            return False
        digest = self._digest(key)
        part = self._parts[digest[0]]
        if not part.is_sorted:
            with self._lock:
                part.sort()
        return digest in part

    def _digest(self, key: Key) -> bytes:
        text = key if isinstance(key, str) else f"\0{key:x}"  # no text key means the same
        data = text.encode("utf-8", "surrogatepass")
        return blake2b(data, digest_size=_DIGEST, key=self._secret).digest()


class _Chunk:
    """Memory for some digests: a piece of a slab that is mapped, apart from the allocator's memory.

    What lives as long as keys do would there stand between blocks that come and go, and keep their
    memory from being used again.
    """

    __slots__ = ("_slab", "_start")

    def __init__(self, slab: mmap, start: int) -> None:
        self._slab = slab
        self._start = start

    @property
    def first(self) -> bytes:
        """The first digest."""
        return self.read(0, _DIGEST)

    def read(self, start: int, end: int) -> bytes:
        """Return what stands from one place to another."""
        return self._slab[self._start + start : self._start + end]

    def write(self, start: int, data: bytes) -> None:
        """Put data at a place."""
        self._slab[self._start + start : self._start + start + len(data)] = data

    def find(self, digest: bytes, end: int) -> bool:
        """Return whether a digest is among those up to a place."""
        at = self._start
        end += self._start
        while (at := self._slab.find(digest, at, end)) >= 0:
            if (at - self._start) % _DIGEST == 0:
                return True
            at += 1  # it was the end of one digest and the start of the next
        return False


def _new_chunks() -> Iterator[_Chunk]:
    while True:
        slab = mmap(-1, _SLAB, access=ACCESS_COPY)  # it is no file, and nobody shares it
        yield from (_Chunk(slab, start) for start in range(0, _SLAB - _CHUNK + 1, _CHUNK))


class _Part:
    """The digests that begin with the same byte, in chunks of which all but the last are full."""

    __slots__ = ("_chunks", "_last", "_new_chunks", "is_sorted")

    def __init__(self, new_chunks: Iterator[_Chunk]) -> None:
        self._new_chunks = new_chunks
        self._chunks: list[_Chunk] = []
        self._last = _CHUNK  # how much of the last chunk is taken, in bytes
        self.is_sorted = True

    def add(self, digest: bytes) -> None:
        if self._last == _CHUNK:
            self._chunks.append(next(self._new_chunks))
            self._last = 0
        self._chunks[-1].write(self._last, digest)
        self._last += _DIGEST
        self.is_sorted = False

    def sort(self) -> None:
        """Sort in place, and drop what is there twice."""
        if self.is_sorted:
            return
        digests = sorted(set(self._digests()))
        per_chunk = _CHUNK // _DIGEST
        del self._chunks[-(-len(digests) // per_chunk) :]
        for number, chunk in enumerate(self._chunks):
            data = b"".join(digests[number * per_chunk : (number + 1) * per_chunk])
            chunk.write(0, data)
            self._last = len(data)
        self.is_sorted = True

    def _digests(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            end = self._last if chunk is self._chunks[-1] else _CHUNK
            for at in range(0, end, _DIGEST):
                yield chunk.read(at, at + _DIGEST)

    def __contains__(self, digest: bytes) -> bool:
        number = bisect_right(self._chunks, digest, key=attrgetter("first")) - 1
        if number < 0:
            return False
        end = self._last if number == len(self._chunks) - 1 else _CHUNK
        return self._chunks[number].find(digest, end)
