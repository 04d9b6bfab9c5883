"""Any fsspec file system that can hold a commit back: memory, S3 and other object stores.

Place: the sink for URLs. An artifact is opened with ``autocommit=False``, so nothing is visible
before its commit; a file system that would publish on close is refused before anything is
written.
"""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

from cdds.errors import JobError, MissingDependency, SinkError
from cdds.location import shown
from cdds.model import parse_size
from cdds.protocols import Buffer, Upload
from cdds.sinks.reporting import exists, in_words, reporting
from cdds.sinks.s3 import MIN_PART_SIZE, S3Upload

DEFAULT_BLOCK_SIZE = 8 * 1024 * 1024
_S3 = ("s3://", "s3a://")


class FileSystemSink:
    """A folder, or a prefix, of an fsspec file system, by its URL.

    Args:
        url: such as ``memory://exports`` or ``s3://bucket/prefix``.
        block_size: how much of an artifact is held in memory before it is sent, in bytes or as
            ``"8 MiB"``; for S3 at least 5 MiB, and an artifact is at most 10,000 times as large.
        options: passed to the file system, such as credentials.

    Raises:
        JobError: the block size is none.
        SinkError: the URL's file system is unknown.
        MissingDependency: the package for it is not installed.
    """

    def __init__(
        self, url: str, *, block_size: str | int = DEFAULT_BLOCK_SIZE, **options: Any
    ) -> None:
        if "::" in url:
            raise SinkError("a chained URL publishes before it is told to; use a plain target")
        self._is_s3 = url.startswith(_S3)
        bucket = url.partition("://")[2].partition("/")[0]
        if self._is_s3 and ("@" in bucket or (":" in bucket and not bucket.startswith("arn:"))):
            raise SinkError(
                "an S3 URL holds no credentials; give them as options, or in the environment"
            )
        self._block_size = _block_size(block_size, MIN_PART_SIZE if self._is_s3 else 1)
        if self._is_s3:  # some stores that speak its protocol want parts of one size
            options = {"fixed_upload_size": True} | options
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            raise MissingDependency(f"cannot open the target: {error}") from error
        except Exception as error:  # noqa: BLE001  # each file system has errors of its own
            raise SinkError(f"cannot open {shown(url)}: {in_words(error)}") from None
        self._root = self._root.rstrip("/")

    def __repr__(self) -> str:
        return f"FileSystemSink({self._root!r})"

    def create(self, name: str) -> Upload:
        """Begin an artifact of that name.

        Raises:
            ArtifactExists: the name is taken.
            SinkError: the file system cannot be written, or cannot hold a commit back.
        """
        path = f"{self._root}/{name}"
        if self._is_s3:
            return S3Upload(self._fs, path, self._block_size)
        return FileSystemUpload(self._fs, path, self._block_size)


def _block_size(given: str | int, least: int) -> int:
    size = parse_size(given)
    if size < least:
        raise JobError(f"a block size of {size} bytes is too small; at least {least} are needed")
    return size


class FileSystemUpload:
    """One artifact being written to an fsspec file system."""

    def __init__(self, fs: Any, path: str, block_size: int) -> None:
        self._path = path
        self._fs = fs
        self._committed = self._gone = False
        with reporting(path):
            self._refuse_existing()
            self._file = _open_deferred(fs, path, block_size)

    def write(self, data: Buffer) -> None:
        """Append bytes."""
        with reporting(self._path):
            self._file.write(data)

    def stage(self) -> None:
        """Send what is still buffered, without making it visible."""
        with reporting(self._path):
            self._file.close()

    def commit(self) -> None:
        """Make the artifact visible.

        Raises:
            ArtifactExists: the name has been taken meanwhile.
        """
        with reporting(self._path):
            self._refuse_existing()
            self._file.commit()
        self._committed = True

    def abort(self) -> None:
        """Drop what was written, or remove what was committed."""
        with reporting(self._path):
            if self._committed:
                self._fs.rm_file(self._path)
            elif not self._gone:
                self._file.discard()
        self._committed, self._gone = False, True

    def _refuse_existing(self) -> None:
        self._fs.invalidate_cache()  # another process may have taken the name
        if self._fs.exists(self._path):
            raise exists(self._path)


class _MemoryFile(io.BytesIO):
    """A file for fsspec's memory file system, which itself would publish it when it is opened."""

    def __init__(self, fs: Any, path: str) -> None:
        super().__init__()
        self._fs = fs
        self._path = path
        self._data = b""

    def close(self) -> None:
        if not self.closed:
            self._data = self.getvalue()
        super().close()

    def commit(self) -> None:
        self._fs.pipe_file(self._path, self._data)

    def discard(self) -> None:
        self._data = b""


def _open_deferred(fs: Any, path: str, block_size: int) -> Any:
    """Open a file that waits for its commit, or refuse the file system."""
    if isinstance(fs, MemoryFileSystem):
        return _MemoryFile(fs, path)
    file = fs.open(path, "wb", block_size=block_size, autocommit=False)
    if _defers(file):
        return file
    for take_back in (file.close, lambda: fs.rm_file(path)):  # the name was free: it is ours
        with suppress(Exception):
            take_back()
    raise SinkError(f"the file system of {path} cannot hold a commit back; use another target")


def _defers(file: Any) -> bool:
    """Tell whether a file opened with ``autocommit=False`` really waits for its commit.

    The base class of fsspec's buffered files has a commit that does nothing.
    """
    commit = getattr(type(file), "commit", None)
    return commit is not None and commit is not AbstractBufferedFile.commit
