"""A set of record keys that holds millions: 16 bytes each, plus what growing lists take.

Place: remembers which parents were selected, so that exactly their children follow. A key is held
as its 128-bit BLAKE2b digest, keyed with random bytes so that nobody can prepare two keys that
collide. The digests stand in `_PARTS` byte strings by their first byte; a part is sorted when it
is first asked, then searched by bisection. In all: 16 bytes for a key, and what the parts and the
allocator take to grow, some 8 to 22 more. A key that comes twice counts twice until its part is
sorted.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b
from threading import Lock
from typing import TypeAlias

_DIGEST = 16
_PARTS = 256


Key: TypeAlias = str | int
"""A key of a record: a text, or a whole number."""


class KeySet:
    """Keys of records: first all are added, then they are asked for.

    Adding is safe from several threads; asking is too, once nothing is added any more.
    """

    def __init__(self) -> None:
        self._secret = os.urandom(16)
        self._parts = [bytearray() for _ in range(_PARTS)]
        self._sorted = [False] * _PARTS
        self._lock = Lock()

    def update(self, keys: Iterable[Key]) -> None:
        """Add keys."""
        digests = [self._digest(key) for key in keys]
        with self._lock:
            for digest in digests:
                self._parts[digest[0]] += digest
                self._sorted[digest[0]] = False

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, Key):
            return False
        digest = self._digest(key)
        part = self._part(digest[0])
        count = len(part) // _DIGEST
        index = bisect_left(
            range(count), digest, key=lambda at: bytes(part[at * _DIGEST : (at + 1) * _DIGEST])
        )
        return part[index * _DIGEST : (index + 1) * _DIGEST] == digest

    def _digest(self, key: Key) -> bytes:
        text = key if isinstance(key, str) else f"\0{key:x}"  # no text key means the same
        data = text.encode("utf-8", "surrogatepass")
        return blake2b(data, digest_size=_DIGEST, key=self._secret).digest()

    def _part(self, number: int) -> bytearray:
        if not self._sorted[number]:
            with self._lock:
                part = self._parts[number]
                digests = {bytes(part[at : at + _DIGEST]) for at in range(0, len(part), _DIGEST)}
                self._parts[number] = bytearray(b"".join(sorted(digests)))
                self._sorted[number] = True
        return self._parts[number]
