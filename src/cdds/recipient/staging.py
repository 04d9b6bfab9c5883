"""The hidden folder that an extraction writes into, and what is left of those of dead processes.

Place: below `extraction`. A staging folder is locked for as long as its process lives, whatever
ends it. So one that holds something and can be locked belongs to nobody any more: who has made it
removes it when they next extract into the same folder. Where the file system knows no locks it
stays. A name proves nothing, where others may write too: what is of another user, or holds what no
extraction has made, is left alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

_TOKEN_SIZE = 8
_NAME = re.compile(rf"\.cdds-[0-9a-f]{{{2 * _TOKEN_SIZE}}}")
_STAGED = re.compile(r"[0-9]+")


class StagingFolder:
    """A hidden folder of one process.

    Args:
        folder: the folder to make it in.

    Attributes:
        path: where it is, once it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f".cdds-{secrets.token_hex(_TOKEN_SIZE)}"
        self._locked: int | None = None

    def make(self) -> None:
        """Make and lock it, and remove those beside it whose processes are dead.

        Raises:
            OSError: it cannot be made.
        """
        _remove_dead(self.path.parent)
        self.path.mkdir(mode=0o700)
        self._locked = _opened(self.path)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._locked, fcntl.LOCK_EX)

    def staged(self, number: int) -> Path:
        """Return where the file of that number is."""
        return self.path / str(number)

    def remove(self) -> None:
        """Remove it, with what it holds, as far as it was made."""
        with suppress(OSError):  # then it stays
            if self._locked is not None:
                _remove_files(self._locked)
            self.path.rmdir()
        locked, self._locked = self._locked, None  # only now, for Ctrl-C may come before
        if locked is not None:
            os.close(locked)


def _remove_dead(folder: Path) -> None:
    with suppress(OSError):  # then they stay
        for path in folder.iterdir():
            if _NAME.fullmatch(path.name):
                with suppress(OSError):  # its process lives, or it is somebody else's
                    _remove_if_dead(path)


def _remove_if_dead(path: Path) -> None:
    """Remove a staging folder that can be locked; an empty one may be about to be locked."""
    folder = _opened(path)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        names = os.listdir(folder)  # noqa: PTH208  # of what was locked, whatever has its name
        if names and _is_ours(folder) and all(map(_STAGED.fullmatch, names)):
            _remove_files(folder)
            path.rmdir()
    finally:
        os.close(folder)


def _is_ours(folder: int) -> bool:
    return os.fstat(folder).st_uid == os.geteuid()


def _remove_files(folder: int) -> None:
    """Empty a folder; it is named by its descriptor, for its path may lead elsewhere by now."""
    for name in os.listdir(folder):
        os.unlink(name, dir_fd=folder)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
