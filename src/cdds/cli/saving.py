"""Saves a download in a folder: whole or not at all, and from where it broke off before.

Place: between `cdds artifacts download` and the service. What has come so far stands in a hidden
file beside; the file gets its name only when its length and SHA-256 are those in the catalog.
Nothing is ever overwritten.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cdds.errors import ArtifactExists, SinkError

if TYPE_CHECKING:
    from cdds.access import Principal
    from cdds.catalog import ArtifactEntry
    from cdds.cli.stopping import Stop
    from cdds.service import Download, DownloadService

_AT_ONCE = 1024 * 1024

Watch = Callable[[int], object]
"""Called with how many more bytes are there."""


class Saving:
    """Downloads artifacts of a service into a folder, on behalf of a user."""

    def __init__(
        self, service: DownloadService, principal: Principal, folder: Path, stop: Stop
    ) -> None:
        self._service = service
        self._principal = principal
        self._folder = folder
        self._stop = stop

    def check_free(self, name: str) -> None:
        """Refuse a name that is taken.

        Raises:
            ArtifactExists: there is such a file.
        """
        if os.path.lexists(self._folder / name):
            raise ArtifactExists(f"{self._folder / name} is there already, and is left as it is")

    def save(self, artifact: ArtifactEntry, watch: Watch) -> Path:
        """Save an artifact, and return its path; what is there of it already is not fetched again.

        Raises:
            CddsError: it cannot be downloaded, or was stopped; then what has come is kept hidden.
            OSError: the folder cannot be written.
        """
        self.check_free(artifact.name)
        path, partial = self._folder / artifact.name, self._folder / f".{artifact.name}.part"
        with _held(partial) as file:
            self._fill(file, artifact, watch)
            self._check(file, artifact, partial)
            _publish(partial, path)
        return path

    def save_beside(self, name: str) -> Path:
        """Save a file of digests or its signature, which are small, and return its path.

        Raises:
            CddsError: it cannot be downloaded, or its name is taken.
        """
        self._stop.check()
        with self._service.artifacts.open(self._principal, name) as download:
            download.save(self._folder)
        return self._folder / name

    def _fill(self, file: IO[bytes], artifact: ArtifactEntry, watch: Watch) -> None:
        there = min(file.seek(0, os.SEEK_END), artifact.size)
        file.truncate(file.seek(there))
        watch(there)
        if there == artifact.size:
            return
        # A range has no digest that the service could check, so the whole is checked here.
        with self._service.artifacts.open(self._principal, artifact.name, start=there) as download:
            self._copy(download, file, watch)

    def _copy(self, download: Download, file: IO[bytes], watch: Watch) -> None:
        for chunk in download:
            self._stop.check()
            file.write(chunk)
            watch(len(chunk))

    def _check(self, file: IO[bytes], artifact: ArtifactEntry, partial: Path) -> None:
        """Refuse what is not the artifact; what came is useless then."""
        file.flush()
        os.fsync(file.fileno())
        digest = hashlib.sha256()
        file.seek(0)
        while chunk := file.read(_AT_ONCE):
            self._stop.check()
            digest.update(chunk)
        if digest.hexdigest() != artifact.sha256:
            partial.unlink(missing_ok=True)
            raise SinkError(
                f"what came of {artifact.name} is not what was stored; it was removed, try again"
            )


@contextmanager
def _held(partial: Path) -> Iterator[IO[bytes]]:
    """Open what has come so far, which no other download may write to at the same time."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(partial, flags, 0o666), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SinkError(f"{partial} is being written by another download") from None
        try:
            yield file
        finally:
            file.flush()
            if not os.fstat(file.fileno()).st_size:  # there is nothing to go on from
                partial.unlink(missing_ok=True)


def _publish(partial: Path, path: Path) -> None:
    """Give a file its name, which must still be free, and make that durable."""
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        raise ArtifactExists(f"{path} is there already, and is left as it is") from None
    except OSError:  # a file system without links: the name is reserved first
        _reserve(path)
        partial.replace(path)
    with suppress(FileNotFoundError):
        partial.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _reserve(path: Path) -> None:
    try:
        path.open("xb").close()
    except FileExistsError:
        raise ArtifactExists(f"{path} is there already, and is left as it is") from None
