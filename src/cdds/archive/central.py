"""What the headers of the central directory say, after PKWARE APPNOTE 6.3.10, section 4.3.12.

Place: over `directory`, which reads them. A header that is malformed, unsafe or unsupported in
itself is refused here; whether it agrees with the rest of the archive is for others to say.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Literal, TypeAlias

import attrs

from cdds.archive.appnote import MAX_16, MAX_32
from cdds.archive.directory import RawCentral, raw_headers
from cdds.archive.ends import End, place
from cdds.archive.extra import Zip64, zip64_field
from cdds.archive.faults import malformed, unsafe, unsupported
from cdds.archive.names import check_name
from cdds.archive.parts import Parts

Method: TypeAlias = Literal["stored", "deflated"]

METHODS: dict[int, Method] = {0: "stored", 8: "deflated"}
"""What can be read (4.4.5)."""

DESCRIPTOR = 1 << 3
UTF8 = 1 << 11
ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
PATCH = 1 << 5
"""Bits of the general purpose flag (4.4.4)."""

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
    for raw in raw_headers(parts, end):
        yield _central(parts, raw, end)


def _central(parts: Parts, raw: RawCentral, end: End) -> Central:
    name = _decoded(raw.name, raw.flags)
    check_name(name)
    zip64 = Zip64(name, zip64_field(name, raw.extra))
    size = zip64.value(raw.size, MAX_32, 8)
    compressed = zip64.value(raw.compressed, MAX_32, 8)
    offset = zip64.value(raw.offset, MAX_32, 8)
    disk = zip64.value(raw.disk, MAX_16, 4)
    begin = place(parts, disk, offset, split=end.split)
    if begin is None:
        raise malformed(name, "begins where no part of the archive is", "4.4.16")
    _check_kind(name, raw.attributes, size)
    how = _supported(name, raw.method, raw.flags)
    if how == "stored" and size != compressed:
        raise malformed(name, "is stored, and has two different sizes", "4.4.8")
    return Central(raw.name, name, raw.flags, how, raw.crc, compressed, size, begin)


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
