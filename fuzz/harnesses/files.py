"""Whatever files lie in a folder, those of one set are found from any of them, or are refused.

The input names the files, a line each; where one is a file of digests, it has those of the files
that are named after it. What is found are files of the folder, those of one set, none missing by
its number or its digest, and in order. From any other of its parts the same are found, where a
folder can be listed and no part is there twice. Nothing but `ExportError` is raised.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from unittest import mock

import attrs

from cdds.errors import ExportError
from cdds.recipient import files
from cdds.recipient.digest_file import parse_digests
from cdds.recipient.files import ExportFiles, find_files
from cdds.recipient.naming import part_name
from cdds.recipient.storage import Entry, ExportFile

READS = ("cdds.recipient.files", "cdds.recipient.naming")
WORDS = (
    *(b"export-a.z01\n", b"export-a.zip\n", b"export-a.sha256\n", b"export-a.sha256.p7s\n"),
    *(b".z", b".ip", b".zip.001", b".smime", b".p7m", b".pem", b".Z02", b"100", b"2147483648"),
)
LONGEST = 400

_MOST_PROBED = 40


class _File(ExportFile):
    """A file in memory."""

    __slots__ = ("_data",)

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(name, len(data))
        self._data = data

    @property
    def where(self) -> str:
        """Its name."""
        return self.name

    def check_unchanged(self) -> None:
        """Do nothing: it does not change."""

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]


@attrs.frozen
class _Entry:
    """A file in memory, as it was found."""

    name: str
    data: bytes

    @property
    def where(self) -> str:
        """Its name."""
        return self.name

    @property
    def identity(self) -> object:
        """Its name."""
        return self.name

    def open(self, _: bool, /) -> ExportFile:
        """Open it."""
        return _File(self.name, self.data)


@attrs.frozen
class _Folder:
    """A folder in memory, which can be listed or not."""

    contents: Mapping[str, bytes]
    is_listed: bool

    def entry(self, name: str, /) -> Entry:
        """Return the file of that name."""
        if name not in self.contents:
            raise ExportError("there is no such file")
        return _Entry(name, self.contents[name])

    def entries(self, wanted: Callable[[str], bool], /) -> list[Entry] | None:
        """Return the files with such names; None where the folder cannot be listed."""
        return (
            [self.entry(name) for name in self.contents if wanted(name)] if self.is_listed else None
        )


def check(data: bytes) -> None:
    """Check the invariant for the names of files."""
    names = dict.fromkeys(line.decode("utf-8", "surrogateescape") for line in data.split(b"\n"))
    contents = {name: _data(name, list(names)) for name in names if name and "/" not in name}
    for is_listed in (True, False):
        folder = _Folder(contents, is_listed)
        for name in contents:
            found = _found(folder, name)
            if found is None:
                continue
            _check_set(folder, name, found)
            if is_listed and name in _names(found) and not _has_part_twice(contents):
                for part in found.parts:
                    again = _found(folder, part.name)
                    assert again is not None
                    assert _names(again) == _names(found)


def _has_part_twice(names: Iterable[str]) -> bool:
    """Tell whether two files are the same part, of which the one counts that is given."""
    parts = Counter((part.of_set, part.number) for part in map(part_name, names))
    return any(count > 1 for count in parts.values())


def _data(name: str, names: list[str]) -> bytes:
    if not name.lower().endswith(".sha256"):
        return b""
    digest = hashlib.sha256().hexdigest()
    named = names[names.index(name) + 1 :]
    return "".join(f"{digest}  {other}\n" for other in named).encode("utf-8", "surrogateescape")


def _found(folder: _Folder, name: str) -> ExportFiles | None:
    def located(text: str, options: Mapping[str, Any]) -> tuple[_Folder, str]:
        assert not options
        return folder, text

    with (
        mock.patch.object(files, "located", located),
        mock.patch.object(files, "MAX_PROBED", _MOST_PROBED),
    ):
        try:
            return find_files(name)
        except ExportError:
            return None


def _names(found: ExportFiles) -> list[str]:
    return [part.name for part in found.parts]


def _check_set(folder: _Folder, name: str, found: ExportFiles) -> None:
    others = [file.name for file in (found.digests, found.signature) if file is not None]
    assert name in (*_names(found), *others)
    parts = [part_name(part) for part in _names(found)]
    assert {part.of_set for part in parts} == {parts[0].of_set}
    numbers = [part.number for part in parts]
    assert None not in numbers[:-1]
    last = [] if parts[0].layout == "volumes" else [None]
    assert numbers == [*range(1, len(parts) + 1 - len(last)), *last]
    if found.digests is not None:
        named = parse_digests(folder.contents[found.digests.name])
        ours = {other for other in named if part_name(other).of_set == parts[0].of_set}
        assert ours
        assert ours <= {*_names(found)}
