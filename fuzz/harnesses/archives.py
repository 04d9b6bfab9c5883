"""Any bytes are an archive whose entries can be read, or are refused with `ArchiveError`.

What is read to its end has the size and the CRC-32 that was said, under the limits that were given,
and no name leads out of the folder that it is extracted to.
Where `zipfile` opens the archive too, it finds the same names and the same data. Cut into parts,
the archive is refused or holds the same. Joined into one file, it has the same entries and data.

The time of the first entry, which no reader heeds, says into how many bytes it is cut: 16 for each
unit of the byte at `CUT_AT`, behind the marker of a split archive; 0 leaves it whole.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import TypeAlias
from zlib import crc32

from cdds.archive import Archive, Limits
from cdds.archive.appnote import SPLIT_MARKER
from cdds.errors import ArchiveError
from fuzz.inputs import Ranged

READS = (
    "cdds.archive.archive",
    "cdds.archive.parts",
    "cdds.archive.ends",
    "cdds.archive.directory",
    "cdds.archive.central",
    "cdds.archive.local",
    "cdds.archive.extra",
    "cdds.archive.names",
    "cdds.archive.entries",
    "cdds.archive.inflate",
    "cdds.archive.joining",
)
WORDS = (
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"PK\x07\x08",
    b"\xff\xff\xff\xff",
    b"\xff\xff",
    b"\x01\x00\x10\x00",
    b"../",
    b"\x08\x08",
    b"\x00\x00\xff\xff",
)
VECTORS = "zip"

CUT_AT = 10
CUT_UNIT = 16
LIMITS = Limits(entries=50, directory=16 * 1024, size=256 * 1024)
_UNICODE_PATH = b"up"  # the tag of an extra field that gives another name, which only some heed

Contents: TypeAlias = dict[str, bytes | None]
"""The data of entries by their names, None where they are damaged."""


def check(data: bytes) -> None:
    """Check the invariant for an archive."""
    whole = _read([data])
    if whole is not None:
        _check_by_zipfile(data, whole)
    header = data.removeprefix(SPLIT_MARKER)
    size = CUT_UNIT * header[CUT_AT] if len(header) > CUT_AT else 0
    if size:
        cut = _read([data[at : at + size] for at in range(0, len(data), size)])
        assert None in (whole, cut) or whole == cut


def _read(parts: Sequence[bytes]) -> Contents | None:
    """Return what an archive holds, or None if it is refused as a whole."""
    try:
        archive = Archive(map(Ranged, parts), LIMITS)
    except ArchiveError:
        return None
    assert len(archive.entries) <= LIMITS.entries
    assert sum(entry.size for entry in archive.entries) <= (LIMITS.size or 0)
    _check_joined(archive, b"".join(parts))
    contents: Contents = {}
    for entry in archive.entries:
        pieces: list[bytes] = []
        assert entry.name not in contents
        _check_name(entry.name)
        contents[entry.name] = None
        try:
            pieces.extend(archive.open(entry))
        except ArchiveError:
            assert not pieces or sum(map(len, pieces)) < entry.size
            continue
        data = b"".join(pieces)
        assert (len(data), crc32(data)) == (entry.size, entry.crc)
        contents[entry.name] = data
    return contents


def _check_joined(archive: Archive, data: bytes) -> None:
    joined = b"".join(archive.joined())
    assert _compressed(Archive([Ranged(joined)]), joined) == _compressed(archive, data)


def _compressed(archive: Archive, data: bytes) -> list[tuple[object, ...]]:
    """Return what stands in an archive for each entry, but for its place."""
    return [
        (
            entry.name,
            entry.size,
            entry.crc,
            entry.method,
            data[entry.data_offset : entry.data_offset + entry.compressed_size],
        )
        for entry in archive.entries
    ]


def _check_name(name: str) -> None:
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        assert path.parts
        assert not path.is_absolute()
        assert not path.drive
        assert not path.root
        assert ".." not in path.parts


def _check_by_zipfile(data: bytes, contents: Contents) -> None:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except Exception:  # noqa: BLE001  # it refuses in many ways
        return
    with archive:
        if _UNICODE_PATH not in data:
            assert archive.namelist() == list(contents)
        for info, expected in zip(archive.infolist(), contents.values(), strict=True):
            try:
                found = archive.read(info)
            except Exception:  # noqa: BLE001  # it refuses in many ways
                continue
            assert expected is None or found == expected
