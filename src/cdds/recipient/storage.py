"""What a recipient's files are, wherever they lie: read by ranges, found by name in a folder.

Place: at the bottom of finding an export; `local_files` and `remote_files` are the two kinds. Every
failure of a storage becomes an `ExportError` in words of its own, for the words of others may tell
what is secret in a URL. Nothing here writes.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeGuard

import attrs

from cdds.errors import (
    CddsError,
    ExportError,
    ExportIncomplete,
    ExportUnavailable,
    MissingDependency,
)
from cdds.location import printable, shown

_FINAL = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EACCES,
        errno.EPERM,
        errno.ELOOP,
        errno.ENAMETOOLONG,
    }
)
"""Errors of local files that come again until somebody changes something."""


class Shown(Protocol):
    """What messages can name."""

    @property
    def where(self) -> str:
        """Its path, or its URL without what is secret in it."""
        ...


@attrs.frozen
class NamedPlace:
    """A path or a URL, which messages show in a safe form."""

    text: str

    @property
    def where(self) -> str:
        """What messages call it."""
        return shown(self.text)


class ExportFile(ABC):
    """A file of an export, of which any range can be read, by several threads at once.

    Attributes:
        name: its name, without a folder.
        size: its bytes.
    """

    # An export may have many thousands of these at once.
    __slots__ = ("name", "size")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size

    @property
    @abstractmethod
    def where(self) -> str:
        """Its path, or its URL without what is secret in it, for messages."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.where!r}, {self.size})"

    def read(self, offset: int, size: int, /) -> bytes:
        """Return `size` bytes from `offset`, all of which must be in the file.

        Raises:
            ExportError: they are not, or the file cannot be read, or was changed meanwhile.
        """
        if offset < 0 or size < 0 or offset + size > self.size:
            raise ExportError(
                f"{self.where} has {self.size} bytes; {size} from {offset} on are not among them"
            )
        with reporting(self):
            data = self._read(offset, size)
        if len(data) != size:
            raise ExportError(
                f"{self.where} gave {len(data)} bytes where {size} were asked for; "
                "it was changed while it was read, or its storage cannot read ranges"
            )
        return data

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the whole file, `size` bytes at a time.

        Raises:
            ExportError: it cannot be read, or was changed meanwhile.
        """
        for offset in range(0, self.size, size):
            yield self.read(offset, min(size, self.size - offset))
        self.check_unchanged()

    def whole(self, most: int) -> bytes:
        """Return what is in the file, which shall be small.

        Raises:
            ExportIncomplete: it has more than `most` bytes.
            ExportError: it cannot be read, or was changed meanwhile.
        """
        if self.size > most:
            raise ExportIncomplete(f"{self.where} is larger than {most} bytes, so it is not read")
        return b"".join(self.pieces(most))

    @abstractmethod
    def check_unchanged(self) -> None:
        """Make sure that the file is still the one that was found.

        Raises:
            ExportError: it was changed, replaced or removed.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file; it is not read any more."""

    @abstractmethod
    def _read(self, offset: int, size: int) -> bytes: ...

    def _changed(self) -> ExportError:
        return ExportError(f"{self.where} was changed while it was read; open the export again")


class Entry(Protocol):
    """A file that was found."""

    @property
    def name(self) -> str:
        """Its name, without a folder."""
        ...

    @property
    def where(self) -> str:
        """What messages call it."""
        ...

    @property
    def identity(self) -> object:
        """What two ways to name the same file have in common."""
        ...

    def open(self, keeps_open: bool, /) -> ExportFile:
        """Open it; where it does not stay open, nothing is held for it.

        Raises:
            ExportError: it cannot be read.
        """
        ...


class Folder(Protocol):
    """Where files are looked for."""

    def entry(self, name: str, /) -> Entry:
        """Return the file of that name.

        Raises:
            ExportError: there is none, or it is no file, or may not be read.
        """
        ...

    def entries(self, wanted: Callable[[str], bool], /) -> list[Entry] | None:
        """Return the files with such names; None where the folder cannot be listed."""
        ...


def find(folder: Folder, name: str) -> Entry | None:
    """Return the file of that name, None where there is none that may be read.

    Raises:
        ExportUnavailable: the storage cannot be reached.
    """
    try:
        return folder.entry(name)
    except ExportUnavailable:
        raise
    except ExportError:
        return None


@contextmanager
def reporting(file: Shown) -> Iterator[None]:
    """Turn any error of a storage into an `ExportError` that says what could not be read."""
    try:
        yield
    except CddsError:
        raise
    except Exception as error:  # noqa: BLE001  # each library has errors of its own
        raise failure(file.where, error) from None


def failure(where: str, error: Exception) -> CddsError:
    """Return what an error of a storage means; `ExportUnavailable` where it may pass."""
    if isinstance(error, ImportError):  # which names the package
        return MissingDependency(f"cannot read {where}: {printable(str(error))}")
    if _is_of_http(error.__cause__):  # told as a missing file, whatever it is
        error = error.__cause__
    status = getattr(error, "status", None)
    if TypeError in {type(error), type(error.__cause__)}:  # of what a file system has handed on
        return ExportError(f"cannot read {where}: check the storage options, one is not taken")
    if isinstance(error, FileNotFoundError) or status in {404, 410}:
        return ExportError(f"cannot read {where}: there is no such file")
    if isinstance(error, PermissionError) or status in {401, 403}:
        return ExportError(f"cannot read {where}: access is denied")
    if isinstance(error, OSError) and error.errno is not None:
        kind = ExportError if error.errno in _FINAL else ExportUnavailable
        return kind(f"cannot read {where}: {os.strerror(error.errno)}")
    return ExportUnavailable(f"cannot read {where}: {type(error).__name__}")


def _is_of_http(error: BaseException | None) -> TypeGuard[Exception]:
    return isinstance(error, Exception) and type(error).__module__.startswith("aiohttp")
