"""Confirms an entry where it stands: its local header, and the descriptor after its data.

Place: after the central directory, before any data. After PKWARE APPNOTE 6.3.10, 4.3.7 and 4.3.9:
both must say what the directory says, so that every reader finds the same entry.
"""

from __future__ import annotations

import struct

import attrs

from cdds.archive.appnote import MAX_32
from cdds.archive.central import DESCRIPTOR, ENCRYPTED, METHODS, PATCH, UTF8, Central
from cdds.archive.extra import Zip64, zip64_field
from cdds.archive.faults import malformed, shown
from cdds.archive.parts import Parts
from cdds.errors import ArchiveError

_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_USUAL_EXTRA = 64  # read together with the header
_AGREED = ENCRYPTED | PATCH | DESCRIPTOR | UTF8
_MAX_DESCRIPTOR = 24
_DESCRIPTORS = tuple(
    (signature, struct.Struct(layout))
    for layout in ("<LLL", "<LQQ")
    for signature in (b"PK\x07\x08", b"")
)


@attrs.frozen
class Extent:
    """The bytes that an entry takes, over all parts.

    Attributes:
        start: where its local header begins.
        data: where its data begin.
        end: where its data, or the descriptor after them, end.
    """

    start: int
    data: int
    end: int


def confirm(parts: Parts, central: Central, limit: int) -> Extent:
    """Return what an entry takes, up to `limit` at most.

    Raises:
        ArchiveError: its local header or its descriptor does not say what the directory says.
    """
    data = _confirm_header(parts, central)
    end = data + central.compressed
    if end <= limit and central.flags & DESCRIPTOR:
        end += _descriptor_size(parts, central, end, limit)
    if end > limit:
        raise malformed(
            central.name, "overlaps with the next entry or the central directory", "4.3.6"
        )
    return Extent(central.offset, data, end)


def _confirm_header(parts: Parts, central: Central) -> int:
    """Check the local header, and return where the data begin."""
    size = _LOCAL.size + len(central.raw_name)
    head = parts.read(central.offset, size + _USUAL_EXTRA)
    named = len(head) >= size and head[_LOCAL.size : size] == central.raw_name
    if not named or not head.startswith(b"PK\x03\x04"):
        raise _misfit(parts, central, "has no local header of its name where it should be")
    _, _, flags, method, _, _, crc, compressed, plain_size, name_size, extra_size = (
        _LOCAL.unpack_from(head)
    )
    if name_size != len(central.raw_name):
        raise _misfit(parts, central, "has another name in its local header")
    if (flags ^ central.flags) & _AGREED or METHODS.get(method) != central.method:
        raise _misfit(parts, central, "has other flags or another method in its local header")
    if len(head) < size + extra_size:
        head = parts.read(central.offset, size + extra_size)
    extra = zip64_field(central.name, head[size : size + extra_size])
    if not _agree(central, (crc, plain_size, compressed), extra):
        raise _misfit(parts, central, "has another CRC or size in its local header")
    return central.offset + size + int(extra_size)


def _agree(central: Central, local: tuple[int, int, int], extra: bytes) -> bool:
    """Say whether CRC and sizes agree; where a descriptor follows they may be left open."""
    stated = (central.crc, central.size, central.compressed)
    if central.flags & DESCRIPTOR:
        pairs = zip(local, stated, strict=True)
        return all(value in {0, MAX_32, known} for value, known in pairs)
    crc, size, compressed = local
    zip64 = Zip64(central.name, extra)
    return stated == (crc, zip64.value(size, MAX_32, 8), zip64.value(compressed, MAX_32, 8))


def _descriptor_size(parts: Parts, central: Central, at: int, limit: int) -> int:
    """Return the bytes of the descriptor: with a signature or without, of either width."""
    found = parts.read(at, min(_MAX_DESCRIPTOR, limit - at))
    for signature, layout in _DESCRIPTORS:
        if layout.size < 20 and max(central.compressed, central.size) > MAX_32:
            continue
        expected = signature + layout.pack(central.crc, central.compressed, central.size)
        if found.startswith(expected):
            return len(expected)
    raise _misfit(parts, central, "has no descriptor that agrees with the directory", at)


def _misfit(
    parts: Parts, central: Central, what: str, descriptor: int | None = None
) -> ArchiveError:
    """Return the error of an entry that is not what the directory says, or of its part.

    `descriptor` is where its descriptor should be, if that is at fault and not the local header.
    """
    at, section = (central.offset, "4.3.7") if descriptor is None else (descriptor, "4.3.9")
    if len(parts) == 1:
        return malformed(central.name, what, section)
    return ArchiveError(
        f"part {parts.number(at)} of {len(parts)} does not fit the others: entry "
        f"{shown(central.name)} {what} (APPNOTE {section}); that part, or one before it, is "
        "damaged, missing, not in its place, or of another archive"
    )
