"""The records of a ZIP archive, field by field after PKWARE APPNOTE 6.3.10.

Place: the ground of the archive room. Each function returns the bytes of one record; none knows
where the bytes go, and none compresses.
"""

from __future__ import annotations

import struct
from datetime import datetime

import attrs

MAX_16 = 0xFFFF
MAX_32 = 0xFFFF_FFFF
"""In a field of that width: "see the Zip64 field instead" (4.4.1.4)."""

SPLIT_MARKER = b"PK\x07\x08"
"""The first four bytes of a split archive's first segment (8.5.3)."""

VERSION_ZIP64 = 45
"""Which version of the format is needed to read Zip64 fields (4.4.3.2)."""

ZIP64_TAG = 0x0001
"""Which extra field is the Zip64 one (4.5.2)."""

_UNIX = 3 << 8
_VERSION_DEFLATE = 20
_DEFLATED = 8
_FLAG_DESCRIPTOR = 1 << 3
_FLAG_UTF8 = 1 << 11
_REGULAR_FILE_0600 = 0o100600 << 16


@attrs.frozen
class Place:
    """Where a record begins: the number of its segment ("disk"), from 0, and the offset in it."""

    disk: int
    offset: int


@attrs.frozen
class Header:
    """What the local and the central header of an entry share.

    `streamed` means that the sizes are not known when the entry begins: they follow its data in a
    descriptor. Such an entry is Zip64 in both headers, for readers take the width of the
    descriptor's sizes from there (4.3.9.2).
    """

    name: bytes
    modified: datetime
    streamed: bool

    @property
    def flags(self) -> int:
        """The general purpose bit flag (4.4.4)."""
        return _FLAG_UTF8 | (_FLAG_DESCRIPTOR if self.streamed else 0)

    @property
    def dos_time(self) -> tuple[int, int]:
        """The time and the date in MS-DOS form (4.4.6), which knows the years 1980 to 2107."""
        moment = self.modified
        year = min(max(moment.year, 1980), 2107)
        time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
        date = year - 1980 << 9 | moment.month << 5 | moment.day
        return time, date


@attrs.frozen
class Sizes:
    """The CRC-32 of an entry's data, and its size compressed and not, in bytes."""

    crc: int
    compressed: int
    size: int


def local_header(header: Header, sizes: Sizes) -> bytes:
    """Return the local file header (4.3.7); `sizes` are ignored for a streamed entry."""
    if header.streamed:
        fields = (0, MAX_32, MAX_32)
        extra = struct.pack("<HHQQ", ZIP64_TAG, 16, 0, 0)
    else:
        fields = (sizes.crc, sizes.compressed, sizes.size)
        extra = b""
    return (
        struct.pack(
            "<4sHHHHHLLLHH",
            b"PK\x03\x04",
            VERSION_ZIP64 if header.streamed else _VERSION_DEFLATE,
            header.flags,
            _DEFLATED,
            *header.dos_time,
            *fields,
            len(header.name),
            len(extra),
        )
        + header.name
        + extra
    )


def data_descriptor(sizes: Sizes) -> bytes:
    """Return the data descriptor of a streamed, hence Zip64, entry (4.3.9)."""
    return struct.pack("<4sLQQ", b"PK\x07\x08", sizes.crc, sizes.compressed, sizes.size)


def central_header(header: Header, sizes: Sizes, place: Place) -> bytes:
    """Return the central directory's header of an entry whose local header is at `place` (4.3.12).

    The Zip64 field (4.5.3) holds, in this order, only what does not fit or is streamed.
    """
    zip64 = b""
    if header.streamed or max(sizes.compressed, sizes.size) >= MAX_32:
        fields = (sizes.crc, MAX_32, MAX_32)
        zip64 += struct.pack("<QQ", sizes.size, sizes.compressed)
    else:
        fields = (sizes.crc, sizes.compressed, sizes.size)
    disk, offset = place.disk, place.offset
    if offset >= MAX_32 or disk >= MAX_16:
        zip64 += struct.pack("<Q", offset)
        offset = MAX_32
    if disk >= MAX_16:
        zip64 += struct.pack("<L", disk)
        disk = MAX_16
    extra = struct.pack("<HH", ZIP64_TAG, len(zip64)) + zip64 if zip64 else b""
    version = VERSION_ZIP64 if zip64 else _VERSION_DEFLATE
    return (
        struct.pack(
            "<4sHHHHHHLLLHHHHHLL",
            b"PK\x01\x02",
            _UNIX | version,
            version,
            header.flags,
            _DEFLATED,
            *header.dos_time,
            *fields,
            len(header.name),
            len(extra),
            0,
            disk,
            0,
            _REGULAR_FILE_0600,
            offset,
        )
        + header.name
        + extra
    )


MAX_END_SIZE = 56 + 20 + 22
"""The bytes of the end records when all three are needed."""


@attrs.frozen
class Directory:
    """What the end records say of the central directory: where it starts and what it holds."""

    start: Place
    size: int
    entries: int
    entries_on_last_disk: int

    def _needs_zip64(self, disk: int) -> bool:
        return max(self.entries, disk) >= MAX_16 or max(self.start.offset, self.size) >= MAX_32

    def end(self, place: Place) -> bytes:
        """Return the end records, to stand at `place` (4.3.14, 4.3.15, 4.3.16)."""
        zip64 = self._zip64_end(place) if self._needs_zip64(place.disk) else b""
        return zip64 + struct.pack(
            "<4sHHHHLLH",
            b"PK\x05\x06",
            min(place.disk, MAX_16),
            min(self.start.disk, MAX_16),
            min(self.entries_on_last_disk, MAX_16),
            min(self.entries, MAX_16),
            min(self.size, MAX_32),
            min(self.start.offset, MAX_32),
            0,
        )

    def _zip64_end(self, place: Place) -> bytes:
        record = struct.pack(
            "<4sQHHLLQQQQ",
            b"PK\x06\x06",
            44,
            _UNIX | VERSION_ZIP64,
            VERSION_ZIP64,
            place.disk,
            self.start.disk,
            self.entries_on_last_disk,
            self.entries,
            self.size,
            self.start.offset,
        )
        locator = struct.pack("<4sLQL", b"PK\x06\x07", place.disk, place.offset, place.disk + 1)
        return record + locator
