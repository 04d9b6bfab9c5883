"""The SHA-256 of an entry's data, computed by the threads that deflate them.

Place: beside deflate, which puts each block into it. It knows nothing of compression.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence


class Digest:
    """The SHA-256 of an entry's data, whose blocks are put in any order, each by its number.

    Whoever puts the block that is next in turn hashes it, and after it those that wait for it. So
    the worker threads hash between them: a thread of its own would have to be woken for each
    block, and the thread that pulls the archive through has enough to do.
    """

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._waiting: dict[int, Sequence[bytes]] = {}
        self._next = 0
        self._is_hashing = False
        self._lock = threading.Lock()

    def put(self, number: int, pieces: Sequence[bytes]) -> None:
        """Add a block; when all calls have returned, all that were in turn have been hashed."""
        with self._lock:
            self._waiting[number] = pieces
            if self._is_hashing:  # whoever does takes this block in its turn
                return
            self._is_hashing = True
        while (in_turn := self._take()) is not None:
            for piece in in_turn:
                self._sha256.update(piece)

    def _take(self) -> Sequence[bytes] | None:
        with self._lock:
            pieces = self._waiting.pop(self._next, None)
            self._next += pieces is not None
            self._is_hashing = pieces is not None
            return pieces

    def hexdigest(self) -> str:
        """Return the digest in hexadecimal."""
        return self._sha256.hexdigest()
