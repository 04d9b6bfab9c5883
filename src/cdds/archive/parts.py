"""The files of an archive, one or several, as one row of bytes that can be read anywhere.

Place: the ground of the reading side. It opens nothing: whoever reads an archive hands in its
parts, in order. It knows nothing of ZIP, and says which part a byte stands on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Protocol

import attrs
from isal import isal_zlib

from cdds.errors import ArchiveError

_CHUNK = 256 * 1024
_SAMPLE = 4096
_DENSE = _SAMPLE // 2  # what a sample that does not repeat itself has left when it is compressed


class Part(Protocol):
    """One file of an archive. It may be read by several threads at once."""

    @property
    def size(self) -> int:
        """The bytes of the file."""
        ...

    def read(self, offset: int, size: int, /) -> bytes:
        """Return `size` bytes from `offset`, all of which are in the file."""
        ...


def _check_not_empty(_: object, __: object, parts: tuple[Part, ...]) -> None:
    if not parts:
        raise ArchiveError("an archive has at least one part; none was given")


@attrs.frozen
class Parts:
    """The parts of one archive, in order; offsets count over all of them.

    Raises:
        ArchiveError: there is no part, or one was given twice.
    """

    parts: tuple[Part, ...] = attrs.field(converter=tuple[Part, ...], validator=_check_not_empty)
    starts: tuple[int, ...] = attrs.field(init=False)
    size: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        *starts, size = accumulate((part.size for part in self.parts), initial=0)
        object.__setattr__(self, "starts", tuple(starts))
        object.__setattr__(self, "size", size)
        self._check_repeated()

    def __len__(self) -> int:
        return len(self.parts)

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from `offset`; fewer where the archive ends.

        Raises:
            ArchiveError: a part gives fewer bytes than it has.
        """
        return b"".join(self._pieces(offset, min(size, self.size - offset)))

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        """Yield `size` bytes from `offset`, which must be there, in pieces of moderate size."""
        for at in range(offset, offset + size, _CHUNK):
            yield self.read(at, min(_CHUNK, offset + size - at))

    def number(self, offset: int) -> int:
        """Return which part holds a byte, counted from 1."""
        return bisect_right(self.starts, offset)

    def _pieces(self, offset: int, size: int) -> Iterator[bytes]:
        while size > 0:
            number = self.number(offset)
            part, at = self.parts[number - 1], offset - self.starts[number - 1]
            length = min(size, part.size - at)
            piece = part.read(at, length)
            if len(piece) != length:
                raise ArchiveError(
                    f"part {number} of {len(self)} is shorter than the {part.size} bytes that it "
                    "is said to have"
                )
            yield piece
            offset += length
            size -= length

    def _check_repeated(self) -> None:
        """Refuse a part that was given twice, as it is or as a copy.

        Parts of data that repeat themselves, such as zeros, may well be alike.
        """
        seen: dict[tuple[int, bytes], list[int]] = {}
        for number, part in enumerate(self.parts):
            length = min(_SAMPLE, part.size)
            sample = part.read((part.size - length) // 2, length)
            if len(isal_zlib.compress(sample)) > _DENSE:
                seen.setdefault((part.size, sample), []).append(number)
        for alike in seen.values():
            for one, other in pairwise(alike):
                if self._are_equal(one, other):
                    raise ArchiveError(
                        f"part {other + 1} of {len(self)} is part {one + 1} once more; "
                        "give each part once, in order"
                    )

    def _are_equal(self, one: int, other: int) -> bool:
        size = self.parts[one].size
        pairs = zip(
            self.chunks(self.starts[one], size), self.chunks(self.starts[other], size), strict=True
        )
        return all(first == second for first, second in pairs)
