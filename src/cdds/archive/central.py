"""Reads the central directory: a header for each entry, after PKWARE APPNOTE 6.3.10, 4.3.12.

Place: after the end records. A header that is malformed, unsafe or unsupported in itself is refused
here; whether it agrees with the rest of the archive is for others to say.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from typing import Literal, TypeAlias

import attrs

from cdds.archive.appnote import MAX_16, MAX_32
from cdds.archive.ends import End, place
from cdds.archive.extra import Zip64, zip64_field
from cdds.archive.faults import malformed, unsafe, unsupported
from cdds.archive.names import check_name
from cdds.archive.parts import Parts
from cdds.errors import ArchiveError

Method: TypeAlias = Literal["stored", "deflated"]

METHODS: dict[int, Method] = {0: "stored", 8: "deflated"}
"""What can be read (4.4.5)."""

DESCRIPTOR = 1 << 3
UTF8 = 1 << 11
ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
PATCH = 1 << 5
"""Bits of the general purpose flag (4.4.4)."""

_CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_WINDOW = 64 * 1024
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
}
_REPARSE_POINT = 0x400  # of MS-DOS and Windows: a link
# Without a kind it is a file; so is a pipe, as which Info-ZIP lists what it read from one.
_KINDS = {0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFIFO}


@attrs.frozen
class Central:
    """A header of the central directory; its fields are those of 4.3.12, but for the last.

    Attributes:
        offset: where the local header is, over all parts.
    """

    raw_name: bytes
    name: str
    flags: int
    method: Method
    crc: int
    compressed: int
    size: int
    offset: int


def read_directory(parts: Parts, end: End) -> Iterator[Central]:
    """Yield the header of each entry, which must fill the directory.

    Raises:
        ArchiveError: one is malformed, unsafe or unsupported.
    """
    window = _Window(parts, end.start, end.start + end.size)
    for _ in range(end.entries):
        yield _central(parts, window, end)
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


def _central(parts: Parts, window: _Window, end: End) -> Central:
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
    check_name(name)
    zip64 = Zip64(name, zip64_field(name, window.take(extra_size)))
    window.take(comment_size)
    size = zip64.value(size, MAX_32, 8)
    compressed = zip64.value(compressed, MAX_32, 8)
    offset = zip64.value(offset, MAX_32, 8)
    disk = zip64.value(disk, MAX_16, 4)
    begin = place(parts, disk, offset, split=end.split)
    if begin is None:
        raise malformed(name, "begins where no part of the archive is", "4.4.16")
    _check_kind(name, attributes, size)
    how = _supported(name, method, flags)
    if how == "stored" and size != compressed:
        raise malformed(name, "is stored, and has two different sizes", "4.4.8")
    return Central(raw_name, name, flags, how, crc, compressed, size, begin)


def _decoded(raw_name: bytes, flags: int) -> str:
    """Return a name as text (4.4.4, bit 11, and appendix D).

    Some writers put UTF-8 there without saying so. It is not guessed at: the name would then
    depend on its letters.
    """
    if not flags & UTF8:
        return raw_name.decode("cp437")
    try:
        return raw_name.decode()
    except UnicodeDecodeError:
        name = raw_name.decode("latin-1")
        raise malformed(name, "has a name that is not the UTF-8 it should be", "4.4.4") from None


def _supported(name: str, method: int, flags: int) -> Method:
    if flags & ENCRYPTED:
        raise unsupported(name, "is encrypted", "4.4.4")
    if flags & PATCH:
        raise unsupported(name, "is patched data", "4.4.4")
    known = METHODS.get(method)
    if known is None:
        method_name = _METHOD_NAMES.get(method, "unknown")
        raise unsupported(name, f"is compressed by method {method}, {method_name}", "4.4.5")
    return known


def _check_kind(name: str, attributes: int, size: int) -> None:
    """Refuse links, devices and whatever else is neither a file nor a folder (4.4.15)."""
    kind = stat.S_IFMT(attributes >> 16)
    if kind not in _KINDS or attributes & _REPARSE_POINT:
        raise unsafe(name, "is a link or a special file", "4.4.15")
    if kind == stat.S_IFDIR and not name.endswith("/"):
        raise malformed(name, "is a folder by its kind and a file by its name", "4.4.15")
    if size and name.endswith("/"):
        raise malformed(name, "is a folder and has data", "4.3.8")
