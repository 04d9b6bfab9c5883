"""Opens the files that sources read: local, compressed, remote.

Place: below the sources of files. Local files are opened by the standard library; fsspec is
loaded for the rest. Every failure becomes a `SourceError` that names the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import IO, TypeAlias, cast

import attrs

from cdds.errors import CddsError, MissingDependency, SourceError
from cdds.location import local_path, shown
from cdds.sources.damage import Damaged

Location: TypeAlias = "str | os.PathLike[str]"

_COMPRESSED = frozenset({".gz", ".bz2", ".xz"})
_UNSUPPORTED = frozenset({".zip", ".zst", ".7z", ".lz4", ".lzma", ".br", ".z"})
"""Not read, for what reads them takes the first member only, or a broken file for a whole one."""


@attrs.frozen
class OpenFile:
    """A file that is being read.

    Attributes:
        name: what messages call it.
        content: its content, decompressed.
        stored: the file as it is stored.
        size: the bytes that were stored when it was opened, where that can be told.
    """

    name: str
    content: IO[bytes]
    stored: IO[bytes]
    size: int | None

    @property
    def at(self) -> int:
        """How many of the stored bytes have been read; 0 for what cannot tell, such as pipes."""
        return self.stored.tell() if self.stored.seekable() else 0

    def check_whole(self) -> None:
        """Refuse a file that ended before all was read that it held when it was opened.

        Raises:
            SourceError: somebody has cut it.
        """
        if self.size is not None and self.at < self.size:
            raise SourceError(f"{self.name} became shorter while it was read")


class InputFile:
    """One input: how to open it, what to call it, how large it is as stored.

    Attributes:
        name: what messages call it: its path, or its URL without user, password and query.
    """

    def __init__(self, location: Location) -> None:
        self._location = os.fspath(location)
        self._path = local_path(self._location)
        self.name = shown(self._location)

    @property
    def size(self) -> int | None:
        """Its size in bytes as it is stored, where that can be told cheaply."""
        return self._path.stat().st_size if self._path and self._path.is_file() else None

    @property
    def suffixes(self) -> list[str]:
        """The endings of its name, in lower case; a URL's query is no part of it."""
        path = self._path or PurePath(re.split(r"[?#]", self._location, maxsplit=1)[0])
        return [suffix.lower() for suffix in path.suffixes]

    @property
    def is_pipe(self) -> bool:
        """Whether it is a named pipe, of which what was read once is gone."""
        return self._path is not None and self._path.is_fifo()

    def check(self) -> None:
        """Refuse a local file that is not there or cannot be read.

        A pipe is left alone: who writes to it would take the closing for its end.

        Raises:
            SourceError: it cannot be opened.
        """
        if self._path is not None and not self.is_pipe:
            with self._reporting(), self._path.open("rb"):
                pass

    @contextmanager
    def open(self) -> Iterator[OpenFile]:
        """Open the file for reading.

        Raises:
            SourceError: it cannot be opened, or an error occurs while it is read.
        """
        with self._reporting(), self._open_stored() as stored:
            size = self.size
            yield OpenFile(self.name, self._decompress(stored), stored, size)

    def _open_stored(self) -> IO[bytes]:
        if self._path is not None:
            return cast(IO[bytes], self._path.open("rb", buffering=0))
        import fsspec  # only for remote files, for it takes long to load

        try:
            file = fsspec.open(self._location, "rb")
        except ImportError as error:  # which names the package
            raise MissingDependency(f"cannot read {self.name}: {error}") from None
        except ValueError:
            raise SourceError(f"cannot read {self.name}: no such kind of URL is known") from None
        return cast(IO[bytes], file.open())

    def _decompress(self, stored: IO[bytes]) -> IO[bytes]:
        suffix = "".join(self.suffixes[-1:])
        if suffix in _UNSUPPORTED:
            raise SourceError(f"{self.name}: {suffix} files cannot be read; unpack it first")
        if suffix not in _COMPRESSED:
            return stored
        from cdds.sources.decompression import decompressed

        return cast(IO[bytes], decompressed(stored, suffix))

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except CddsError:
            raise
        except Exception as error:  # noqa: BLE001  # each library has errors of its own
            failure = _in_words(error)
        else:
            return
        raise SourceError(f"cannot read {self.name}: {failure}")


def _in_words(error: Exception) -> str:
    """Return why a file cannot be read; never the text of others, which may tell a password."""
    match error:
        case OSError(errno=int(number)):
            return os.strerror(number)
        case EOFError():
            return "it is cut off"
        case Damaged():
            return str(error)
        case FileNotFoundError():
            return "there is no such file"
        case PermissionError():
            return "access is denied"
        case _:
            return type(error).__name__


def input_files(given: Location | Sequence[Location]) -> tuple[InputFile, ...]:
    """Return the inputs of a location or several."""
    if isinstance(given, (str, os.PathLike)):
        given = [given]
    return tuple(map(InputFile, given))
