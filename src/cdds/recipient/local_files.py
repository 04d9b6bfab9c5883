"""The files of a local folder.

Place: one of the two kinds of storage that an export is read from. It reads no pipe: what is read
twice has to be the same.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from cdds.errors import ExportError
from cdds.location import shown
from cdds.recipient.storage import Entry, ExportFile, NamedPlace, find, reporting


class LocalFile(ExportFile):
    """A file of a local folder.

    Args:
        entry: the file as it was found.
        keeps_open: whether it stays open; else it is opened for each range.

    Raises:
        ExportError: it cannot be opened, or is not any more what was found.
    """

    __slots__ = ("_entry", "_kept")

    def __init__(self, entry: LocalEntry, keeps_open: bool) -> None:
        super().__init__(entry.name, entry.size)
        self._entry = entry
        self._kept: int | None = None
        descriptor = self._open()
        if keeps_open:
            self._kept = descriptor
        else:
            os.close(descriptor)

    @property
    def where(self) -> str:
        """Its path."""
        return self._entry.where

    def check_unchanged(self) -> None:
        """Make sure that the file is still the one that was found.

        Raises:
            ExportError: it was changed, replaced or removed.
        """
        with reporting(self):
            status = os.stat(self._entry.path)  # noqa: PTH116  # a Path takes longer than this
        if not self._entry.is_still(status):
            raise self._changed()

    def close(self) -> None:
        """Close the file."""
        kept, self._kept = self._kept, None
        if kept is not None:
            os.close(kept)

    def _read(self, offset: int, size: int) -> bytes:
        with self._descriptor() as descriptor:
            data = os.pread(descriptor, size, offset)
            while 0 < len(data) < size:  # a signal, or more than one call gives
                more = os.pread(descriptor, size - len(data), offset + len(data))
                if not more:
                    break
                data += more
        self.check_unchanged()
        return data

    @contextmanager
    def _descriptor(self) -> Iterator[int]:
        if self._kept is not None:
            yield self._kept
            return
        descriptor = self._open()
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        with reporting(self):
            # A pipe that has taken the place of the file would never open.
            descriptor = os.open(self._entry.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if self._entry.is_still(os.fstat(descriptor)):
            return descriptor
        os.close(descriptor)
        raise self._changed()


@attrs.frozen
class LocalEntry:
    """A regular file of a local folder, or a link to one: where it is, and what it was."""

    folder: str
    name: str
    device: int
    number: int
    size: int
    changed: int

    @property
    def path(self) -> str:
        """The path of the file."""
        return os.path.join(self.folder, self.name)  # noqa: PTH118  # there may be many thousands

    @property
    def where(self) -> str:
        """What messages call it."""
        return shown(self.path)

    @property
    def identity(self) -> object:
        """Its device and number: links to one file are one."""
        return self.device, self.number

    def is_still(self, status: os.stat_result) -> bool:
        """Tell whether a file is the one that was found, and was not changed."""
        found = (self.device, self.number, self.size, self.changed)
        return found == (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def open(self, keeps_open: bool, /) -> ExportFile:
        """Open it."""
        return LocalFile(self, keeps_open)


@attrs.frozen
class LocalFolder:
    """A folder of the local file system."""

    path: str

    def entry(self, name: str, /) -> Entry:
        """Return the file of that name.

        Raises:
            ExportError: there is none, or it is no file, or may not be read.
        """
        path = NamedPlace(os.path.join(self.path, name))  # noqa: PTH118  # as above
        with reporting(path):
            status = os.stat(path.text)  # noqa: PTH116  # as above
        if not stat.S_ISREG(status.st_mode):
            raise ExportError(f"{path.where} is no file; name a file of the export")
        return LocalEntry(
            self.path, name, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        )

    def entries(self, wanted: Callable[[str], bool], /) -> list[Entry] | None:
        """Return the files with such names; None where the folder cannot be listed."""
        try:
            with os.scandir(self.path) as listing:
                names = [entry.name for entry in listing if wanted(entry.name)]
        except OSError:
            return None
        found = (find(self, name) for name in names)
        return [entry for entry in found if entry is not None]
