"""A folder of the local file system, with real commit and abort.

Place: the usual sink. An artifact is staged under a hidden name in the same folder, forced to the
disk, and then linked to its name, which a link refuses to take when it is taken. File systems
without hard links get the name reserved first. Nothing is ever overwritten.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from cdds.errors import SinkError
from cdds.protocols import Buffer, Stored
from cdds.sinks.reading import check_name, check_range, chunks, is_plain
from cdds.sinks.reporting import exists, reporting

STAGED_PREFIX = ".cdds-staged-"
"""How the names of staged files begin; what a crash leaves behind can be told by it.

The name of the artifact follows, a dot, and a token that no other upload has. So where names of
files have 255 bytes at most, those of artifacts have 225.
"""

_TOKEN_SIZE = 8
_STAGED = re.compile(rf"{re.escape(STAGED_PREFIX)}(.+)\.[0-9a-f]{{{2 * _TOKEN_SIZE}}}", re.DOTALL)

# The kernel is told to write back early, so that the final fsync has little left to wait for and
# an export does not push everything else out of the page cache.
_WRITE_BACK_SIZE = 16 * 1024 * 1024

NO_LINKS = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
)
"""What file systems answer that have no hard links, or none between folders."""


class LocalSink:
    """A local folder; it is made, with its parents, when the first artifact begins."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder).absolute()
        self._text = str(self._folder)

    def __repr__(self) -> str:
        return f"LocalSink({str(self._folder)!r})"

    def create(self, name: str) -> LocalUpload:
        """Begin an artifact of that name.

        Raises:
            ArtifactExists: the name is taken.
            SinkError: the folder cannot be made or written.
        """
        with reporting(self._folder):
            made = _make_folder(self._folder)
            try:
                return LocalUpload(self._text, name, made)
            except BaseException:
                _remove_folders(made)
                raise

    def sync(self) -> None:
        """Force the folder's entries to the disk."""
        with reporting(self._folder):
            _sync_folder(self._folder)

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes `start` <= i < `end` of an artifact, in chunks of at most 1 MiB.

        Raises:
            ArtifactMissing: there is no file of that name.
            JobError: the range begins or ends before the artifact does.
            SinkError: it cannot be read, is a link, or the name is not a plain one.
        """
        check_name(name)
        check_range(start, end)
        path = self._folder / name
        return chunks(lambda: _open_file(path), str(path), start, end)

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        """Yield the artifacts whose names begin with `prefix`, and the staged files for such.

        Files only: no subfolders, no links, nothing else that is hidden. A folder that does not
        exist holds nothing.

        Raises:
            SinkError: the folder cannot be listed.
        """
        with reporting(self._folder, "list"):
            try:
                entries = os.scandir(self._folder)
            except FileNotFoundError:
                return
            with entries:
                for entry in entries:
                    item = _described(entry)
                    if item is not None and item.name.startswith(prefix):
                        yield item

    def remove(self, item: Stored) -> None:
        """Remove one file, committed or staged, and force that to the disk.

        Raises:
            SinkError: it cannot be removed, or it is not the name of such a file.
        """
        check_name(item.name)
        if item.staged is not None and _artifact(item.staged) != item.name:
            raise SinkError(f"{item.staged!a} is no staged file of {item.name!a}")
        path = self._folder / (item.name if item.staged is None else item.staged)
        with reporting(path, "remove"):
            path.unlink(missing_ok=True)
            with suppress(FileNotFoundError):  # then the folder is gone with all that was in it
                _sync_folder(self._folder)


class LocalUpload:
    """One artifact being written to a folder."""

    # An export may have a hundred thousand of these at once, so paths are made when needed.
    __slots__ = ("_committed", "_fd", "_folder", "_made", "_name", "_token", "_unsynced")

    def __init__(self, folder: str, name: str, made: tuple[Path, ...] = ()) -> None:
        self._folder = folder
        self._name = name
        self._token = secrets.token_bytes(_TOKEN_SIZE)
        self._made = made
        self._committed = False
        if os.path.lexists(self._final):
            raise exists(self._final)
        self._unsynced = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._fd: int | None = os.open(self._staged, flags, 0o600)

    @property
    def _final(self) -> str:
        return os.path.join(self._folder, self._name)  # noqa: PTH118  # it is text that is needed

    @property
    def _staged(self) -> str:
        name = f"{STAGED_PREFIX}{self._name}.{self._token.hex()}"
        return os.path.join(self._folder, name)  # noqa: PTH118

    def write(self, data: Buffer) -> None:
        """Append bytes to the staged file."""
        if self._fd is None:
            raise SinkError(f"{self._final} is staged already; nothing can be added to it")
        with reporting(self._final):
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        self._unsynced += len(data)
        if self._unsynced >= _WRITE_BACK_SIZE:
            self._unsynced = 0
            _write_back(self._fd)

    def stage(self) -> None:
        """Force the staged file to the disk and close it."""
        if self._fd is not None:
            with reporting(self._final):
                os.fsync(self._fd)
                self._close()

    def commit(self) -> None:
        """Give the staged file its name.

        Raises:
            ArtifactExists: the name has been taken meanwhile.
        """
        with reporting(self._final):
            try:
                os.link(self._staged, self._final)
            except FileExistsError:
                raise exists(self._final) from None
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                self._rename()
            else:
                self._committed = True
                Path(self._staged).unlink()

    def _rename(self) -> None:
        """Commit where there are no hard links: reserve the name, then replace what reserves it."""
        try:
            reserved = os.open(self._final, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise exists(self._final) from None
        self._committed = True
        os.close(reserved)
        Path(self._staged).replace(self._final)

    def abort(self) -> None:
        """Remove the file, whether staged or committed, and the folders made for it."""
        with suppress(OSError):
            self._close()
        with reporting(self._final):
            if self._committed or self._was_linked():
                Path(self._final).unlink(missing_ok=True)
            Path(self._staged).unlink(missing_ok=True)
        self._committed = False
        _remove_folders(self._made)

    def _was_linked(self) -> bool:
        """Tell whether a commit got as far as the link before it was interrupted."""
        try:
            return Path(self._staged).samefile(self._final)
        except OSError:
            return False

    def _close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)


def _artifact(staged: str) -> str | None:
    """Return which artifact a staged file was to become, None where it is no staged file."""
    match = _STAGED.fullmatch(staged)
    return match and match[1]


def _described(entry: os.DirEntry[str]) -> Stored | None:
    """Return what an entry of the folder is, None where it is nothing of a sink."""
    artifact = _artifact(entry.name)
    name = artifact or entry.name
    try:
        if not is_plain(name) or not entry.is_file(follow_symlinks=False):
            return None
        size = entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:  # committed or removed since it was listed
        return None
    return Stored(name, size, staged=entry.name if artifact else None)


def _open_file(path: Path) -> BinaryIO:
    """Open a regular file; a link would lead out of the folder, and a pipe would never open."""
    flags = os.O_RDONLY
    for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"):
        flags |= getattr(os, name, 0)
    fd = os.open(path, flags)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return open(fd, "rb", buffering=0)  # noqa: PTH123
    os.close(fd)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _make_folder(folder: Path) -> tuple[Path, ...]:
    """Make a folder and its parents; return those that were missing, the innermost first."""
    missing = tuple(path for path in (folder, *folder.parents) if not path.exists())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in missing:  # or a loss of power may take the folder with all that is in it
            _sync_folder(path.parent)
    except BaseException:
        _remove_folders(missing)
        raise
    return missing


def _remove_folders(folders: tuple[Path, ...]) -> None:
    for folder in folders:
        with suppress(OSError):  # it was never made, or somebody else uses it by now
            folder.rmdir()


def _write_back(fd: int) -> None:
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
