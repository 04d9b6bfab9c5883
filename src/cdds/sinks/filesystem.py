"""Any fsspec file system that can hold a commit back: memory, S3 and other object stores.

Place: the sink for URLs. An artifact is opened with ``autocommit=False``, so nothing is visible
before its commit; a file system that would publish on close is refused before anything is
written.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Self

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from fsspec.utils import get_protocol

from cdds.errors import JobError, MissingDependency, SinkError
from cdds.location import shown
from cdds.model import parse_size
from cdds.protocols import Buffer, Stored, Upload
from cdds.sinks.reading import check_name, check_range, chunks, is_plain
from cdds.sinks.reporting import exists, in_words, reporting

DEFAULT_BLOCK_SIZE = 8 * 1024 * 1024
_READ_AHEAD = 8 * 1024 * 1024
_S3 = ("s3://", "s3a://")


class FileSystemSink:
    """A folder, or a prefix, of an fsspec file system, by its URL.

    As `pathlib.Path` does, it makes an object of the subclass that fits: one that signs links for
    file systems that can, and one for S3. What such a file system stages is not in its listings,
    so nothing staged is ever among what is stored, but for S3.

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

    _least_block_size = 1

    def __new__(cls, url: str = "", **_: Any) -> Self:
        """Choose the class by the URL, which is missing only when a sink is unpickled."""
        chosen: Any = _class_for(url) if cls is FileSystemSink else cls
        sink: Self = object.__new__(chosen)
        return sink

    def __init__(
        self, url: str, *, block_size: str | int = DEFAULT_BLOCK_SIZE, **options: Any
    ) -> None:
        if "::" in url:
            raise SinkError("a chained URL publishes before it is told to; use a plain target")
        self._block_size = _block_size(block_size, self._least_block_size)
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            raise MissingDependency(f"cannot open the target: {error}") from error
        except Exception as error:  # noqa: BLE001  # each file system has errors of its own
            raise SinkError(f"cannot open {shown(url)}: {in_words(error)}") from None
        self._root = self._root.rstrip("/")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._root!r})"

    def create(self, name: str) -> Upload:
        """Begin an artifact of that name.

        Raises:
            ArtifactExists: the name is taken.
            SinkError: the file system cannot be written, or cannot hold a commit back.
        """
        return FileSystemUpload(self._fs, f"{self._root}/{name}", self._block_size)

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes `start` <= i < `end` of an artifact, in chunks of at most 1 MiB.

        Raises:
            ArtifactMissing: there is none of that name.
            JobError: the range begins or ends before the artifact does.
            SinkError: it cannot be read, or the name is not a plain one.
        """
        path = self._path(name)
        check_range(start, end)
        wanted = _READ_AHEAD if end is None else max(1, min(_READ_AHEAD, end - start))
        return chunks(lambda: _open_to_read(self._fs, path, wanted), path, start, end)

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        """Yield the artifacts whose names begin with `prefix`; no subfolders.

        A folder that does not exist holds nothing.

        Raises:
            SinkError: the file system cannot be listed.
        """
        with reporting(self._root, "list"):
            self._fs.invalidate_cache()  # others have put something there, or removed it
            try:
                entries = self._fs.ls(self._root, detail=True)
            except FileNotFoundError:
                return
        for entry in entries:
            name = entry["name"].rpartition("/")[2]
            is_artifact = entry["type"] == "file" and entry["name"] != self._root
            if is_artifact and is_plain(name) and name.startswith(prefix):
                yield Stored(name, entry["size"] or 0)

    def remove(self, item: Stored) -> None:
        """Remove an artifact.

        Raises:
            SinkError: it cannot be removed, or the name is not a plain one.
        """
        path = self._path(item.name)
        if item.staged is not None:
            raise SinkError(f"{self._root} lists nothing that is staged, so it removes no such")
        with reporting(path, "remove"), suppress(FileNotFoundError):
            self._fs.rm_file(path)

    def _path(self, name: str) -> str:
        """Return the path of an artifact whose name may come from anywhere.

        Raises:
            SinkError: it is not a plain name.
        """
        check_name(name)
        return f"{self._root}/{name}"


class SigningFileSystemSink(FileSystemSink):
    """The sink for file systems that can sign links, such as the clouds' object stores."""

    def signed_url(self, name: str, lifetime: timedelta) -> str:
        """Return a link by which anybody may fetch the artifact for so long.

        Raises:
            JobError: the lifetime is less than a second.
            SinkError: the link cannot be signed, or the name is not a plain one.
        """
        path = self._path(name)
        seconds = lifetime // timedelta(seconds=1)
        if seconds < 1:
            raise JobError(f"a link cannot live for {lifetime}; give a second or more")
        with reporting(path, "sign a link to"):
            return str(self._fs.sign(path, expiration=seconds))


def protocols() -> list[str]:
    """Return the names that URLs of file systems begin with, whether or not they are installed."""
    return sorted({*fsspec.available_protocols(), *fsspec.registry})


def _class_for(url: str) -> type[FileSystemSink]:
    """Return the class of the sink for a URL: a runtime protocol is told by a class's methods."""
    if url.startswith(_S3):
        from cdds.sinks.s3 import S3Sink  # stands above this module

        return S3Sink
    try:
        found = fsspec.get_filesystem_class(get_protocol(url))
    except Exception:  # noqa: BLE001  # opening it will tell what is wrong
        return FileSystemSink
    can_sign = found.sign is not AbstractFileSystem.sign
    return SigningFileSystemSink if can_sign else FileSystemSink


def _block_size(given: str | int, least: int) -> int:
    size = parse_size(given)
    if size < least:
        raise JobError(f"a block size of {size} bytes is too small; at least {least} are needed")
    return size


def _open_to_read(fs: Any, path: str, block_size: int) -> Any:
    """Open a file that reads so many bytes ahead.

    Raises:
        FileNotFoundError: there is none, or it is a folder.
    """
    if isinstance(fs, MemoryFileSystem):  # all who open a file there share one position
        return io.BytesIO(fs.cat_file(path))
    file = fs.open(path, "rb", block_size=block_size, cache_type="readahead")
    if getattr(file, "details", {}).get("type") != "directory":
        return file
    file.close()
    raise FileNotFoundError(path)


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
        with reporting(self._path), abandoning(self._file):
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
    forget(fs, file)
    if _defers(file):
        return file
    for take_back in (file.close, lambda: fs.rm_file(path)):  # the name was free: it is ours
        with suppress(Exception):
            take_back()
    raise SinkError(f"the file system of {path} cannot hold a commit back; use another target")


def forget(fs: Any, file: Any) -> None:
    """Have a file system not keep a file that waits for its commit.

    fsspec keeps all such, open and with their buffers, for the end of a transaction that nobody has
    begun; and the file systems themselves are kept for the life of the process.
    """
    with suppress(ValueError, RuntimeError):  # it is not there; another thread is at it
        fs.transaction.files.remove(file)


@contextmanager
def abandoning(file: Any) -> Iterator[None]:
    """Close a file at the end, whatever happens, without sending what it holds.

    One of fsspec's buffered files that is not closed would send that when it is collected.
    """
    try:
        yield
    finally:
        if isinstance(file, AbstractBufferedFile):
            file.closed = True
        else:
            with suppress(Exception):  # what it still held is not wanted
                file.close()


def _defers(file: Any) -> bool:
    """Tell whether a file opened with ``autocommit=False`` really waits for its commit.

    The base class of fsspec's buffered files has a commit that does nothing.
    """
    commit = getattr(type(file), "commit", None)
    return commit is not None and commit is not AbstractBufferedFile.commit
