"""The entries of an archive, as its central directory lists them and local headers confirm.

Place: after the end records, before any data. All entries are checked before the first is
read: names that are safe, methods that are known, headers that agree, data that do not overlap.
After PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.9, 4.3.12 and 4.5.3.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from itertools import pairwise
from operator import attrgetter
from typing import Literal, TypeAlias

import attrs

from cdds.archive.appnote import MAX_16, MAX_32
from cdds.archive.ends import End, place
from cdds.archive.names import check_name, identity, shown
from cdds.archive.parts import Parts
from cdds.errors import ArchiveError

Method: TypeAlias = Literal["stored", "deflated"]

_CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_ZIP64_TAG = 0x0001
_WINDOW = 64 * 1024
_USUAL_LOCAL_EXTRA = 64  # read together with the header

_METHODS: dict[int, Method] = {0: "stored", 8: "deflated"}
_METHOD_NAMES = {
    1: "shrunk",
    6: "imploded",
    9: "Deflate64",
    12: "bzip2",
    14: "LZMA",
    93: "Zstandard",
    95: "XZ",
    98: "PPMd",
    99: "AES encryption",
}  # 4.4.5

_DESCRIPTOR = 1 << 3
_UTF8 = 1 << 11
_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_PATCH = 1 << 5
_AGREED = _ENCRYPTED | _PATCH | _DESCRIPTOR | _UTF8
_REPARSE_POINT = 0x400  # of MS-DOS and Windows: a link
_DESCRIPTORS = tuple(
    (signature, struct.Struct(layout))
    for layout in ("<LLL", "<LQQ")
    for signature in (b"PK\x07\x08", b"")
)


@attrs.frozen
class Limits:
    """How much an archive may ask of its reader.

    Attributes:
        entries: the most entries.
        directory: the most bytes of the central directory.
        size: the most bytes of all data together; None for no limit.
        ratio: how many times larger than the archive all data may be; it is not applied to data
            of less than 256 MiB. Records are seldom more than 30 times larger, a bomb a thousand.
    """

    entries: int = 100_000
    directory: int = 64 * 1024 * 1024
    size: int | None = None
    ratio: int = 250


_HARMLESS = 256 * 1024 * 1024


@attrs.frozen
class ArchivedEntry:
    """An entry of an archive that is read.

    Attributes:
        name: its path, with ``/``; that of a folder ends with one.
        size: the bytes of its data.
        compressed_size: the bytes of its data in the archive.
        crc: the CRC-32 of its data.
        method: how its data are compressed.
        data_offset: where its data begin, over all parts of the archive.
    """

    name: str
    size: int
    compressed_size: int
    crc: int
    method: Method
    data_offset: int = attrs.field(repr=False)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, which has no data."""
        return self.name.endswith("/")


@attrs.frozen
class _Central:
    """A header of the central directory (4.3.12); `offset` counts over all parts."""

    raw_name: bytes
    name: str
    flags: int
    method: Method
    crc: int
    compressed: int
    size: int
    offset: int

    def fault(self, what: str, section: str) -> ArchiveError:
        return _malformed(self.name, what, section)


@attrs.frozen
class _Extent:
    """The bytes that an entry takes, from its local header to its descriptor."""

    start: int
    end: int
    entry: ArchivedEntry


def read_entries(parts: Parts, end: End, limits: Limits) -> tuple[ArchivedEntry, ...]:
    """Return all entries, in the order of the directory, once all of them have been checked.

    Raises:
        ArchiveError: one of them is malformed, unsafe or unsupported, or they break a limit.
    """
    _check_bounds(end, limits)
    centrals = list(_centrals(parts, end))
    _check_names(centrals)
    _check_total(sum(central.size for central in centrals), parts.size, limits)
    extents = [_extent(parts, central, end.start) for central in centrals]
    _check_overlap(extents)
    return tuple(extent.entry for extent in extents)


def _check_bounds(end: End, limits: Limits) -> None:
    if end.entries > limits.entries:
        raise ArchiveError(
            f"the archive has {end.entries} entries, and at most {limits.entries} are read; "
            "a higher limit can be given"
        )
    if end.size > limits.directory:
        raise ArchiveError(
            f"the central directory has {end.size} bytes, and at most {limits.directory} are "
            "read; a higher limit can be given"
        )


def _check_total(size: int, archive_size: int, limits: Limits) -> None:
    if limits.size is not None and size > limits.size:
        raise ArchiveError(
            f"the data of all entries have {size} bytes, and at most {limits.size} are allowed"
        )
    if size > max(_HARMLESS, limits.ratio * archive_size):
        raise ArchiveError(
            f"the data of all entries are more than {limits.ratio} times larger than the archive, "
            "as those of a bomb are; a higher limit can be given"
        )


def _check_names(centrals: list[_Central]) -> None:
    seen: dict[str, str] = {}
    for central in centrals:
        check_name(central.name)
        first = seen.setdefault(identity(central.name), central.name)
        if first is not central.name:
            raise ArchiveError(
                f"entries {shown(first)} and {shown(central.name)} have one name, or names that "
                "some file systems take for one; nothing was read from the archive"
            )


def _check_overlap(extents: list[_Extent]) -> None:
    for one, other in pairwise(sorted(extents, key=attrgetter("start"))):
        if other.start < one.end:
            raise _malformed(
                other.entry.name, f"overlaps with entry {shown(one.entry.name)}", "4.3.6"
            )


def _malformed(name: str, what: str, section: str) -> ArchiveError:
    return ArchiveError(
        f"entry {shown(name)} {what} (APPNOTE {section}); the archive is damaged or was forged"
    )


# The central directory


def _centrals(parts: Parts, end: End) -> Iterator[_Central]:
    window = _Window(parts, end.start, end.start + end.size)
    for _ in range(end.entries):
        yield _central(parts, window, end)
    if window.left:
        raise ArchiveError(
            "the central directory has more bytes than its entries need (APPNOTE 4.4.23)"
        )


class _Window:
    """Reads the directory from its start to its end, a piece at a time."""

    def __init__(self, parts: Parts, start: int, end: int) -> None:
        self._parts = parts
        self._next = start
        self._end = end
        self._held = b""

    @property
    def left(self) -> int:
        return self._end - self._next + len(self._held)

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise ArchiveError("the central directory ends within an entry (APPNOTE 4.3.12)")
        if size > len(self._held):
            piece = self._parts.read(self._next, min(_WINDOW + size, self._end - self._next))
            self._next += len(piece)
            self._held += piece
        taken, self._held = self._held[:size], self._held[size:]
        return taken


def _central(parts: Parts, window: _Window, end: End) -> _Central:
    (
        signature, _, _, flags, method, _, _, crc, compressed, size,
        name_size, extra_size, comment_size, disk, _, attributes, offset,
    ) = _CENTRAL.unpack(window.take(_CENTRAL.size))  # fmt: skip
    if signature != b"PK\x01\x02":
        raise ArchiveError(
            "the central directory is damaged: no entry where one should begin (APPNOTE 4.3.12)"
        )
    raw_name = window.take(name_size)
    name = _decoded(raw_name, flags)
    zip64 = _Zip64(name, _zip64_field(name, window.take(extra_size)))
    window.take(comment_size)
    size = zip64.value(size, MAX_32, 8)
    compressed = zip64.value(compressed, MAX_32, 8)
    offset = zip64.value(offset, MAX_32, 8)
    disk = zip64.value(disk, MAX_16, 4)
    begin = place(parts, disk, offset, split=end.split)
    if begin is None:
        raise _malformed(name, "begins where no part of the archive is", "4.4.16")
    _check_kind(name, attributes, size)
    return _Central(
        raw_name, name, flags, _supported(name, method, flags), crc, compressed, size, begin
    )


def _decoded(raw_name: bytes, flags: int) -> str:
    """Return a name as text (4.4.4, bit 11, and appendix D)."""
    if not flags & _UTF8:
        return raw_name.decode("cp437")
    try:
        return raw_name.decode()
    except UnicodeDecodeError:
        raise ArchiveError(
            f"entry {shown(raw_name.decode('latin-1'))} has a name that is not the UTF-8 which it "
            "is said to be (APPNOTE 4.4.4); the archive is damaged or was forged"
        ) from None


def _supported(name: str, method: int, flags: int) -> Method:
    if flags & _ENCRYPTED:
        raise ArchiveError(f"entry {shown(name)} is encrypted (APPNOTE 4.4.4): unsupported")
    if flags & _PATCH:
        raise ArchiveError(f"entry {shown(name)} is patched data (APPNOTE 4.4.4): unsupported")
    known = _METHODS.get(method)
    if known is None:
        raise ArchiveError(
            f"entry {shown(name)} is compressed by method {method} "
            f"({_METHOD_NAMES.get(method, 'unknown')}, APPNOTE 4.4.5): unsupported; "
            "only stored and deflated entries are read"
        )
    return known


def _check_kind(name: str, attributes: int, size: int) -> None:
    """Refuse links, devices and whatever else is neither a file nor a folder (4.4.15)."""
    kind = stat.S_IFMT(attributes >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR} or attributes & _REPARSE_POINT:
        raise ArchiveError(
            f"entry {shown(name)} is a link or a special file, so it is unsafe to extract "
            "(APPNOTE 4.4.15); nothing was read from the archive"
        )
    if kind == stat.S_IFDIR and not name.endswith("/"):
        raise _malformed(name, "is a folder by its kind and a file by its name", "4.4.15")
    if size and name.endswith("/"):
        raise _malformed(name, "is a folder and has data", "4.3.8")


def _zip64_field(name: str, extra: bytes) -> bytes:
    """Return the contents of the Zip64 extra field (4.5.3); empty if there is none."""
    found = b""
    at = 0
    while at + 4 <= len(extra):  # what is shorter is padding, as some writers leave
        tag, size = struct.unpack_from("<HH", extra, at)
        at += 4
        if at + size > len(extra):
            raise _malformed(name, "has an extra field that is longer than its room", "4.5.1")
        if tag == _ZIP64_TAG:
            if found:
                raise _malformed(name, "has two Zip64 fields", "4.5.3")
            found = extra[at : at + size]
        at += size
    return found


class _Zip64:
    """Gives the values of a Zip64 field, in their order, for the plain ones that are all ones."""

    def __init__(self, name: str, field: bytes) -> None:
        self._name = name
        self._field = field

    def value(self, plain: int, all_ones: int, width: int) -> int:
        if plain != all_ones:
            return plain
        if len(self._field) < width:
            raise _malformed(
                self._name, "has no value in its Zip64 field for one that is there", "4.5.3"
            )
        value, self._field = self._field[:width], self._field[width:]
        return int.from_bytes(value, "little")


# Local headers and descriptors


def _extent(parts: Parts, central: _Central, limit: int) -> _Extent:
    """Check the local header of an entry against the directory, and return what it takes."""
    size = _LOCAL.size + len(central.raw_name)
    head = parts.read(central.offset, size + _USUAL_LOCAL_EXTRA)
    if len(head) < size or head[:4] != b"PK\x03\x04":
        raise _misplaced(parts, central)
    _, _, flags, method, _, _, crc, compressed, plain_size, name_size, extra_size = (
        _LOCAL.unpack_from(head)
    )
    if name_size != len(central.raw_name) or head[_LOCAL.size : size] != central.raw_name:
        raise _misplaced(parts, central)
    start = central.offset + size + extra_size
    if (flags ^ central.flags) & _AGREED or _METHODS.get(method) != central.method:
        raise central.fault("has other flags or another method than in the directory", "4.3.7")
    if len(head) < size + extra_size:
        head = parts.read(central.offset, size + extra_size)
    extra = _zip64_field(central.name, head[size : size + extra_size])
    _check_local_sizes(central, (crc, compressed, plain_size), extra)
    if central.method == "stored" and central.size != central.compressed:
        raise central.fault("is stored, and has two different sizes", "4.4.8")
    end = start + central.compressed
    if end <= limit and central.flags & _DESCRIPTOR:
        end += _descriptor_size(central, parts.read(end, min(24, limit - end)))
    if end > limit:
        raise central.fault("reaches into the central directory", "4.3.6")
    entry = ArchivedEntry(
        central.name, central.size, central.compressed, central.crc, central.method, start
    )
    return _Extent(central.offset, end, entry)


def _misplaced(parts: Parts, central: _Central) -> ArchiveError:
    if len(parts) == 1:
        return central.fault("has no local header of its name where the directory says", "4.3.7")
    number = parts.number(central.offset)
    return ArchiveError(
        f"part {number} of {len(parts)} does not hold the local header of entry "
        f"{shown(central.name)} where the directory says (APPNOTE 4.3.7): the part, or one before "
        "it, is damaged, missing, not in its place, or of another archive"
    )


def _check_local_sizes(central: _Central, local: tuple[int, int, int], extra: bytes) -> None:
    """Refuse sizes other than the directory's; where a descriptor follows they may be unset."""
    stated = (central.crc, central.size, central.compressed)
    crc, compressed, size = local
    if central.flags & _DESCRIPTOR:
        pairs = zip((crc, size, compressed), stated, strict=True)
        agree = all(value in {0, MAX_32, known} for value, known in pairs)
    else:
        zip64 = _Zip64(central.name, extra)
        agree = stated == (crc, zip64.value(size, MAX_32, 8), zip64.value(compressed, MAX_32, 8))
    if not agree:
        raise central.fault("has another CRC or size in its local header", "4.3.7")


def _descriptor_size(central: _Central, data: bytes) -> int:
    """Return the bytes of the data descriptor, which must confirm the directory (4.3.9)."""
    for signature, layout in _DESCRIPTORS:
        length = len(signature) + layout.size
        fits = layout.size == 20 or max(central.compressed, central.size) <= MAX_32
        if fits and data[:length] == signature + layout.pack(
            central.crc, central.compressed, central.size
        ):
            return length
    raise central.fault("has no data descriptor that agrees with the directory", "4.3.9")
