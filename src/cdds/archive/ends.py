"""Finds the central directory of an archive: its end records, after PKWARE APPNOTE 6.3.10.

Place: the first step of the reading side. It decides whether offsets count over all parts (one
file, or one that was cut into volumes) or within each (a split set), and whether all parts are
there. Where two readers could find two different directories, it refuses.
"""

from __future__ import annotations

import struct

import attrs

from cdds.archive.appnote import MAX_16, MAX_32
from cdds.archive.parts import Parts
from cdds.errors import ArchiveError

_END = struct.Struct("<4sHHHHLLH")
_END_SIGNATURE = b"PK\x05\x06"
_ZIP64_END = struct.Struct("<4sQHHLLQQQQ")
_LOCATOR = struct.Struct("<4sLQL")
_MAX_COMMENT = MAX_16
_ZIP64_LEAST = 44  # of a Zip64 end record, without its signature and this size (4.3.14.1)


@attrs.frozen
class End:
    """What the end records say, with the directory's place counted over all parts.

    Attributes:
        start: where the central directory begins.
        size: its bytes.
        entries: how many entries it lists.
        split: whether offsets count within parts.
    """

    start: int
    size: int
    entries: int
    split: bool


@attrs.frozen
class _Fields:
    """The values that the end record and its Zip64 form share (4.3.14, 4.3.16)."""

    disk: int
    start_disk: int
    entries_on_disk: int
    entries: int
    size: int
    offset: int


_WIDTHS = _Fields(MAX_16, MAX_16, MAX_16, MAX_16, MAX_32, MAX_32)


def read_end(parts: Parts) -> End:
    """Return where the central directory is.

    Raises:
        ArchiveError: there is none, or more than one; parts are missing, too many or not in order.
    """
    at = _find(parts)
    fields = _Fields(*_END.unpack(parts.read(at, _END.size))[1:-1])
    before = parts.read(at - _LOCATOR.size, _LOCATOR.size) if at >= _LOCATOR.size else b""
    if before.startswith(b"PK\x06\x07"):
        at -= _LOCATOR.size
        fields, at = _zip64(parts, fields, _LOCATOR.unpack(before), at)
    _check_belonging(parts, fields, at)
    start = place(parts, fields.start_disk, fields.offset, split=fields.disk > 0)
    if start is None or start + fields.size != at:
        raise ArchiveError(
            "the central directory does not end where its end record begins (APPNOTE 4.3.6); the "
            "archive is damaged, bytes were put before it, or one of its parts is missing or not "
            "in its place"
        )
    return End(start, fields.size, fields.entries, fields.disk > 0)


def place(parts: Parts, disk: int, offset: int, *, split: bool) -> int | None:
    """Return an offset in a segment ("disk") as one over all parts; None if it is in no part."""
    if not split:
        return offset if disk == 0 and offset <= parts.size else None
    if disk >= len(parts) or offset > parts.parts[disk].size:
        return None
    return parts.starts[disk] + offset


def _find(parts: Parts) -> int:
    """Return where the end record is: the last one, unless it may be the comment of another."""
    length = min(parts.size, _END.size + _MAX_COMMENT)
    tail = parts.read(parts.size - length, length)
    last = tail.rfind(_END_SIGNATURE, 0, max(0, length - _END.size + len(_END_SIGNATURE)))
    if last < 0:
        where = "" if len(parts) == 1 else f" in part {len(parts)}, the last one given"
        raise ArchiveError(
            f"there is no end of a central directory{where} (APPNOTE 4.3.16): it is no ZIP "
            "archive, it is cut off, or the last part is missing"
        )
    at = tail.find(_END_SIGNATURE)
    while at < last:
        if _holds_in_comment(tail, at, last) and _ends_directory(parts, parts.size - length + at):
            raise ArchiveError(
                "there are two ends of a central directory, one in the comment of the other "
                "(APPNOTE 4.3.16); readers would find different entries"
            )
        at = tail.find(_END_SIGNATURE, at + 1)
    return parts.size - length + last


def _holds_in_comment(tail: bytes, at: int, last: int) -> bool:
    end = at + _END.size
    return end <= len(tail) and end + int(_END.unpack_from(tail, at)[-1]) > last


def _ends_directory(parts: Parts, at: int) -> bool:
    """Say whether some reader may take this for the end of a directory, and not for data."""
    fields = _Fields(*_END.unpack(parts.read(at, _END.size))[1:-1])
    if at >= _LOCATOR.size and parts.read(at - _LOCATOR.size, 4) == b"PK\x06\x07":
        return True
    if not fields.size:
        return not fields.entries
    return at >= fields.size and parts.read(at - fields.size, 4) == b"PK\x01\x02"


def _zip64(
    parts: Parts, plain: _Fields, locator: tuple[bytes, int, int, int], at: int
) -> tuple[_Fields, int]:
    """Return the values of the Zip64 end record and its place; `at` is the locator's (4.3.15)."""
    _, disk, offset, disks = locator
    if disks > 1:
        _check_count(parts, disks)
    begin = place(parts, disk, offset, split=disks > 1)
    data = b"" if begin is None else parts.read(begin, _ZIP64_END.size)
    if begin is None or len(data) < _ZIP64_END.size or data[:4] != b"PK\x06\x06":
        raise ArchiveError(
            "there is no Zip64 end record where its locator says (APPNOTE 4.3.15); the archive "
            "is damaged, or a part is missing or not in its place"
        )
    _, size, _, _, *values = _ZIP64_END.unpack(data)
    fields = _Fields(*values)
    if size < _ZIP64_LEAST or begin + 12 + size != at or max(disks, 1) != fields.disk + 1:
        raise ArchiveError(
            "the Zip64 end record does not end where its locator begins (APPNOTE 4.3.14)"
        )
    pairs = zip(attrs.astuple(plain), attrs.astuple(fields), attrs.astuple(_WIDTHS), strict=True)
    if any(short not in {full, width} for short, full, width in pairs):
        raise ArchiveError("the two end records disagree (APPNOTE 4.4.1.4)")
    return fields, begin


def _check_belonging(parts: Parts, fields: _Fields, end: int) -> None:
    """Refuse a set that is not complete, or has more than belongs to it."""
    if fields.disk:
        _check_count(parts, fields.disk + 1)
    elif parts.starts[-1] and fields.offset + fields.size == end - parts.starts[-1]:
        raise ArchiveError(
            f"part {len(parts)} is an archive by itself, so the other parts do not belong to it; "
            "give it alone"
        )


def _check_count(parts: Parts, count: int) -> None:
    if count != len(parts):
        raise ArchiveError(
            f"the archive is a set of {count} parts, and {len(parts)} were given "
            "(APPNOTE 4.4.19); give all of them, in order"
        )
