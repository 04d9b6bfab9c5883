"""A folder of the local file system, with real commit and abort.

Place: the usual sink. An artifact is staged under a hidden name in the same folder, forced to the
disk, and then linked to its name, which a link refuses to take when it is taken. File systems
without hard links get the name reserved first. Nothing is ever overwritten.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

from cdds.errors import SinkError
from cdds.protocols import Buffer
from cdds.sinks.reporting import exists, reporting

STAGED_PREFIX = ".cdds-staged-"
"""How the names of staged files begin; what a crash leaves behind can be told by it."""

# The kernel is told to write back early, so that the final fsync has little left to wait for and
# an export does not push everything else out of the page cache.
_WRITE_BACK_SIZE = 16 * 1024 * 1024
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


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


class LocalUpload:
    """One artifact being written to a folder."""

    # An export may have a hundred thousand of these at once, so paths are made when needed.
    __slots__ = ("_committed", "_fd", "_folder", "_made", "_name", "_token", "_unsynced")

    def __init__(self, folder: str, name: str, made: tuple[Path, ...] = ()) -> None:
        self._folder = folder
        self._name = name
        self._token = secrets.token_bytes(8)
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
        return os.path.join(self._folder, STAGED_PREFIX + self._token.hex())  # noqa: PTH118

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
                if error.errno not in _NO_LINKS:
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
