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
from threading import Lock
from typing import Any, TypeAlias

from cdds.model import DataFile

_DIGEST = 12
_PARTS = 256
_CHUNK = 341 * _DIGEST

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
        self._parts = [_Part() for _ in range(_PARTS)]
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


class _Part:
    """The digests that begin with the same byte, in chunks of which all but the last are full."""

    __slots__ = ("_chunks", "_last", "is_sorted")

    def __init__(self) -> None:
        self._chunks: list[bytearray] = []
        self._last = _CHUNK  # how much of the last chunk is taken, in bytes
        self.is_sorted = True

    def add(self, digest: bytes) -> None:
        if self._last == _CHUNK:
            self._chunks.append(bytearray(_CHUNK))
            self._last = 0
        self._chunks[-1][self._last : self._last + _DIGEST] = digest
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
            chunk[: len(data)] = data
            self._last = len(data)
        self.is_sorted = True

    def _digests(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            end = self._last if chunk is self._chunks[-1] else _CHUNK
            for at in range(0, end, _DIGEST):
                yield bytes(chunk[at : at + _DIGEST])

    def __contains__(self, digest: bytes) -> bool:
        number = bisect_right(self._chunks, digest, key=_first) - 1
        if number < 0:
            return False
        chunk = self._chunks[number]
        end = self._last if number == len(self._chunks) - 1 else _CHUNK
        at = chunk.find(digest, 0, end)
        while at % _DIGEST and at >= 0:  # the end of one digest and the start of the next
            at = chunk.find(digest, at + 1, end)
        return at >= 0


def _first(chunk: bytearray) -> bytes:
    return bytes(chunk[:_DIGEST])
