"""Writes the files of an archive into a folder: all of them when all are proven, or none.

Place: the end of extracting, and of whatever else writes files of an export. What it is given is
written into a hidden folder beside the files to be, and gets its name only when the last of them
has come to its end without an error. It never overwrites, and follows no symbolic link below the
folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from io import RawIOBase
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

from cdds.errors import ArchiveError, ExportError
from cdds.location import printable
from cdds.recipient.staging import StagingFolder
from cdds.sinks.local import NO_LINKS


class Extraction:
    """Files on their way into a folder; a context manager that names them, or leaves nothing.

    Args:
        folder: where they shall be; made if it is not there.
        names: the names of all of them, with ``/`` between folders.

    Raises:
        ArchiveError: one name is that of a file and of a folder.
        ExportError: a file of such a name is there already, or the folder cannot be written to.
    """

    def __init__(self, folder: Path, names: Collection[str]) -> None:
        _check_folders(names)
        self._folder = folder
        self._numbers = {name: number for number, name in enumerate(names)}
        # What is made is noted before, for Ctrl-C may come between.
        self._staging = StagingFolder(folder)
        self._made: list[Path] = []  # folders, outer ones first
        self._named: list[Path] = []
        self._written: set[tuple[int, int]] = set()  # devices and numbers of files

    def __enter__(self) -> Extraction:
        with self._reporting():
            for name in self._numbers:
                _check_free(self._folder / name)
            try:
                self._make_folder(self._folder)
                self._staging.make()
            except BaseException:
                self._undo()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                with self._reporting():
                    self._name_all()
                    self._staging.remove()
        except BaseException:
            self._undo()
            raise
        if error is not None:
            self._undo()

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write one of the files, to its end; an error of `pieces` passes through.

        Raises:
            ExportError: it cannot be written.
        """
        with self.file(name) as file:
            for piece in pieces:
                file.write(piece)

    @contextmanager
    def file(self, name: str) -> Iterator[RawIOBase]:
        """Open one of the files, to be written from its beginning to its end.

        Raises:
            ExportError: it cannot be written.
        """
        path = self.staged(name)
        with self._reporting():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            self._written.add(_identity(os.fstat(descriptor)))
            yield _StagedFile(descriptor, self._reporting)
            with self._reporting():
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def staged(self, name: str) -> Path:
        """Return where one of the files is until it gets its name, for who proves what it holds."""
        return self._staging.staged(self._numbers[name])

    def _name_all(self) -> None:
        for name in self._numbers:
            path = self._folder / name
            self._make_folder(path.parent)
            _check_free(path)
            self._named.append(path)
            self._give_name(self.staged(name), path)

    def _give_name(self, staged: Path, path: Path) -> None:
        """Give a file its name, unless there is one of that name."""
        try:
            path.hardlink_to(staged)
        except FileExistsError:
            raise _taken(path) from None
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            reserved = self._reserve(path)
            staged.replace(path)
            self._written.remove(reserved)  # the next new file may be of that number

    def _reserve(self, path: Path) -> tuple[int, int]:
        """Take a name by an empty file, and return its identity; ours alone is then put over it."""
        try:
            reserved = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise _taken(path) from None
        identity = _identity(os.fstat(reserved))
        self._written.add(identity)
        os.close(reserved)
        return identity

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and those around it, below the target without following links."""
        target_depth = len(self._folder.parts)
        for step in (*reversed(folder.parents), folder):
            if len(step.parts) > target_depth and step.is_symlink():
                raise ExportError(
                    f"{printable(str(step))} is a symbolic link; nothing was extracted"
                )
            if not step.is_dir():
                self._made.append(step)
                try:
                    step.mkdir(mode=0o700)
                except FileExistsError:  # somebody else has made it meanwhile
                    self._made.remove(step)
                    if not step.is_dir() or step.is_symlink():
                        raise

    def _undo(self) -> None:
        """Remove what was made, and nothing that somebody else has put there."""
        for path in self._named:
            with suppress(OSError):
                if _identity(path.lstat()) in self._written:
                    path.unlink()
        self._staging.remove()
        for folder in reversed(self._made):
            with suppress(OSError):  # somebody else has put something there
                folder.rmdir()

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ExportError(
                f"nothing can be extracted into {printable(str(self._folder))}: {error.strerror}"
            ) from error


class _StagedFile(RawIOBase):
    """A file that has no name yet; whoever opened the descriptor closes it."""

    def __init__(
        self, descriptor: int, reporting: Callable[[], AbstractContextManager[None]]
    ) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._reporting = reporting

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        rest = memoryview(data)
        size = rest.nbytes
        with self._reporting():
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return size


def _check_folders(names: Iterable[str]) -> None:
    # What is below a folder comes right behind it: names hold nothing that sorts before NUL.
    for name, next_name in pairwise(sorted(names, key=lambda name: name.replace("/", "\0"))):
        if next_name.startswith(f"{name}/"):
            raise ArchiveError(
                f"the archive has a file {printable(name)} and files in a folder of that name"
            )


def _check_free(path: Path) -> None:
    if os.path.lexists(path):
        raise _taken(path)


def _taken(path: Path) -> ExportError:
    return ExportError(
        f"{printable(str(path))} is there already, and is left alone; choose another place"
    )


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
