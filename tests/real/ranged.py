"""Messages in files that are read by offset, and what comes of reading them so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cdds.crypto import RangedContent, open_ranged
from cdds.errors import CertificateError, EnvelopeError


class Stored:
    """Bytes as a file that is read by offset, and how many of them were read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.taken = 0

    def read(self, offset: int, size: int, /) -> bytes:
        assert offset >= 0
        assert size >= 0
        assert offset + size <= self.size
        self.taken += size
        return self.data[offset : offset + size]


def ranged(message: bytes, **arguments: Any) -> RangedContent:
    return open_ranged(Stored(message), **arguments)


def read_all(content: RangedContent, step: int = 1 << 20) -> bytes:
    starts: Iterable[int] = range(0, content.size, step)
    return b"".join(content.read(start, min(step, content.size - start)) for start in starts)


def ranged_outcome(message: bytes, step: int = 1 << 20, **arguments: Any) -> bytes | str:
    """Return the whole content, proven as far as can be, or what the one error says."""
    try:
        content = ranged(message, **arguments)
        content.verify()
        return read_all(content, step)
    except (EnvelopeError, CertificateError) as error:
        return str(error)
