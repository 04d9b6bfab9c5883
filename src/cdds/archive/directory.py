"""The headers of the central directory as they stand, after PKWARE APPNOTE 6.3.10, 4.3.12.

Place: between the end records and `central`, which says what a header means and whether it may be
taken. Here nothing is judged but whether the headers fill the directory; one that was read can be
written again for another place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import attrs

from cdds.archive.appnote import MAX_16, MAX_32, VERSION_ZIP64
from cdds.archive.ends import End
from cdds.archive.extra import replace_zip64, zip64_field
from cdds.archive.faults import malformed
from cdds.archive.parts import Parts
from cdds.errors import ArchiveError

_FIXED = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_SIZES = slice(10, 13)  # of name, extra fields and comment
_WINDOW = 64 * 1024


@attrs.frozen
class RawCentral:
    """A header of the central directory, field by field."""

    signature: bytes
    made_by: int
    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    compressed: int
    size: int
    name_size: int
    extra_size: int
    comment_size: int
    disk: int
    internal_attributes: int
    attributes: int
    offset: int
    name: bytes
    extra: bytes
    comment: bytes

    def moved(self, offset: int) -> bytes:
        """Return the header for the same entry at `offset` of an archive that is one file.

        Sizes in the Zip64 field stay there even where they would fit elsewhere: by them readers
        tell how wide those of a data descriptor are (4.3.9.2).

        Raises:
            ArchiveError: the extra fields leave no room for the offset.
        """
        name = self.name.decode("latin-1")  # for messages
        sizes = zip64_field(name, self.extra)[: 8 * (self.size, self.compressed).count(MAX_32)]
        is_far = offset >= MAX_32
        extra = replace_zip64(self.extra, sizes + (struct.pack("<Q", offset) if is_far else b""))
        if len(extra) > MAX_16:
            raise malformed(name, "has extra fields that leave no room for its offset", "4.4.11")
        header = attrs.evolve(
            self,
            needed=max(self.needed, VERSION_ZIP64) if is_far else self.needed,
            extra_size=len(extra),
            disk=0,
            offset=min(offset, MAX_32),
        )
        *fixed, _, _, _ = attrs.astuple(header)
        return _FIXED.pack(*fixed) + self.name + extra + self.comment


def raw_headers(parts: Parts, end: End) -> Iterator[RawCentral]:
    """Yield the header of each entry.

    Raises:
        ArchiveError: they do not fill the directory.
    """
    window = _Window(parts, end.start, end.start + end.size)
    for _ in range(end.entries):
        yield _raw_header(window)
    if window.left:
        raise ArchiveError(
            "the central directory has more bytes than its entries need (APPNOTE 4.4.23); the "
            "archive is damaged or was forged"
        )


class _Window:
    """Reads the directory from its start to its end, a piece at a time."""

    def __init__(self, parts: Parts, start: int, end: int) -> None:
        self._parts = parts
        self._next = start
        self._end = end
        self._held = b""
        self._taken = 0

    @property
    def left(self) -> int:
        return self._end - self._next + len(self._held) - self._taken

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise ArchiveError("the central directory ends within an entry (APPNOTE 4.3.12)")
        if self._taken + size > len(self._held):
            piece = self._parts.read(self._next, min(_WINDOW + size, self._end - self._next))
            self._next += len(piece)
            self._held = self._held[self._taken :] + piece
            self._taken = 0
        start, self._taken = self._taken, self._taken + size
        return self._held[start : self._taken]


def _raw_header(window: _Window) -> RawCentral:
    fixed = _FIXED.unpack(window.take(_FIXED.size))
    if fixed[0] != b"PK\x01\x02":
        raise ArchiveError(
            "the central directory is damaged: no entry where one should begin (APPNOTE 4.3.12)"
        )
    return RawCentral(*fixed, *map(window.take, fixed[_SIZES]))
