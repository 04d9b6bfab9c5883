"""Archives that lie: made by zipfile or our packager, and then changed."""

from __future__ import annotations

import io
import random
import struct
import unicodedata
import warnings
import zipfile
from collections.abc import Iterable
from typing import Any

from parts import entry_of, saved

from cdds.archive import Packager


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED, **info: Any) -> bytes:
    """Return an archive of zipfile, whose names are written as they are."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names
        for name, data in entries:
            one = zipfile.ZipInfo("x")
            one.filename, one.compress_type = name, method
            for key, value in info.items():
                setattr(one, key, value)
            archive.writestr(one, data)
    return stream.getvalue()


def noise(size: int, seed: int = 0) -> bytes:
    """Return bytes that cannot be compressed, always the same."""
    return random.Random(seed).randbytes(size)


def packed(files: Iterable[tuple[str, bytes]], split_size: int | None = None) -> list[bytes]:
    """Return the segments that our packager makes of files."""
    entries = [entry_of(name, data) for name, data in files]
    return saved(Packager(split_size=split_size).pack(entries))


def central_offset(archive: bytes) -> int:
    """Return where the directory of an archive begins, which ends in no comment."""
    return int(struct.unpack_from("<L", archive, len(archive) - 6)[0])


def patched(archive: bytes, local: int | None, central: int | None, value: bytes) -> bytes:
    """Overwrite a field of the first entry, in its local header, the central one, or both."""
    changed = bytearray(archive)
    for start, offset in ((0, local), (central_offset(archive), central)):
        if offset is not None:
            changed[start + offset : start + offset + len(value)] = value
    return bytes(changed)


def with_centrals(data: bytes, *centrals: bytes) -> bytes:
    """Return an archive of local data and headers of a directory."""
    directory = b"".join(centrals)
    count = len(centrals)
    end = struct.pack("<4s4HLLH", b"PK\5\6", 0, 0, count, count, len(directory), len(data), 0)
    return data + directory + end


def central_of(archive: bytes, offset: int) -> bytes:
    """Return the header of a directory of one entry, for one whose local header is elsewhere."""
    header = archive[central_offset(archive) : -22]
    return header[:42] + struct.pack("<L", offset) + header[46:]


UNSAFE = ["/etc/passwd", "../up", "a/../../up", "..", ".", "./a", "a//b", "//server/share"]
UNSAFE += ["a\\b", "\\\\server", "C:/x", "c:x", "a:stream", "/", "", "x" * 256, "a/" + "é" * 128]
UNSAFE += ["/".join(["a" * 200] * 21)]
UNSAFE += ["nul\0.txt", "a\nb", "a\x7f", "a\x1b[0m", "a\x85", "a\u202etxt.exe", "a\u2028b"]
UNSAFE += ["CON", "nul", "a/Aux.txt", "com1", "LPT9.tar.gz", "com\u00b9", "CONIN$", "nul .txt"]
UNSAFE += ["a.", "a ", "a. /b"]
"""Names of entries that are refused."""

SAME = [("a", "a"), ("a", "A"), ("straße", "STRASSE"), ("é", unicodedata.normalize("NFD", "é"))]
SAME += [("ﬁle", "file"), ("d/", "D/"), ("Å", "\u212b")]
"""Two names each that some file system takes for one."""

SPECIAL = {"link": 0o120777, "device": 0o020666, "disk": 0o060666, "socket": 0o140777}
"""File modes (POSIX, sys/stat.h) of what is no plain file."""

FIELDS = {"flags": (6, 8, b"\x08\x00"), "method": (8, 10, b"\x08\x00")}
FIELDS |= {"crc": (14, 16, b"1234"), "compressed": (18, 20, b"\x03\0\0\0")}
FIELDS |= {"size": (22, 24, b"\x03\0\0\0"), "name": (30, 46, b"b")}
"""Fields of the headers: where in the local one, where in the central one, and another value."""
