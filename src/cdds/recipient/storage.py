"""Reads the files of an export where they are: in local folders, or through fsspec by ranges.

Place: beside `naming`, below what finds the files of an export. Every failure of a storage becomes
an `ExportError` in words of its own, for the words of others may tell what is secret in a URL. It
writes nothing, and reads no pipe: what is read twice has to be the same.
"""

from __future__ import annotations

import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeGuard
from urllib.parse import quote, unquote

import attrs

from cdds.errors import (
    CddsError,
    ExportError,
    ExportUnavailable,
    JobError,
    MissingDependency,
)
from cdds.location import is_usable, local_path, printable, shown

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
_CONTENT_TAGS = ("ETag", "etag", "md5Hash", "generation")
_TIMES = ("mtime", "Last-Modified", "LastModified", "last_modified", "created")
"""What file systems of fsspec call that by which a changed file is told.

Of a time a listing may give another form than the file itself.
"""


class Shown(Protocol):
    """What messages can name."""

    @property
    def where(self) -> str:
        """Its path, or its URL without what is secret in it."""
        ...


@attrs.frozen
class _Location:
    """A path or a URL, which messages show in a safe form."""

    text: str

    @property
    def where(self) -> str:
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


class RemoteFile(ExportFile):
    """A file of a file system of fsspec, read by ranges.

    What was changed is told by `check_unchanged`, as far as the file system tells it: asking at
    each range would take as long as reading one.
    """

    __slots__ = ("_fs", "_path", "_version", "_where")

    def __init__(self, fs: Any, path: str, name: str, where: str, info: Mapping[str, Any]) -> None:
        super().__init__(name, info["size"])
        self._fs = fs
        self._path = path
        self._where = where
        self._version = _version(info)

    @property
    def where(self) -> str:
        """Its URL, without what is secret in it."""
        return self._where

    def check_unchanged(self) -> None:
        """Make sure that the file is still the one that was found.

        Raises:
            ExportError: it was changed, replaced or removed.
        """
        with reporting(self):
            self._fs.invalidate_cache()
            info = self._fs.info(self._path)
        if (info["size"], _version(info)) != (self.size, self._version):
            raise self._changed()

    def close(self) -> None:
        """Do nothing: each range is a request of its own."""

    def _read(self, offset: int, size: int) -> bytes:
        if not size:  # which cannot be asked for
            return b""
        try:
            return bytes(self._fs.cat_file(self._path, start=offset, end=offset + size))
        except Exception as error:
            if _is_range_refused(error):
                self.check_unchanged()
            raise


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
        path = _Location(os.path.join(self.path, name))  # noqa: PTH118  # as above
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


@attrs.frozen
class RemoteEntry:
    """A file of a file system of fsspec."""

    fs: Any
    path: str
    name: str
    where: str
    info: Mapping[str, Any]

    @property
    def identity(self) -> object:
        """Its path."""
        return self.path

    def open(self, _: bool, /) -> ExportFile:
        """Open it.

        Raises:
            ExportError: its size is not told, or its server cannot read ranges.
        """
        info = self.info
        if not any(info.get(key) for key in _CONTENT_TAGS):
            with reporting(self):
                info = self.fs.info(self.path)
        if not isinstance(info.get("size"), int):
            raise ExportError(f"the size of {self.where} is not told; download it first")
        if _is_http(self.fs) and info["size"] > 1:
            self._check_ranges()
        return RemoteFile(self.fs, self.path, self.name, self.where, info)

    def _check_ranges(self) -> None:
        """Ask for one byte in a way that notices when a server sends all of them."""
        try:
            with self.fs.open(self.path, "rb", block_size=1, cache_type="none") as file:
                file.seek(1)
                file.read(1)
        except ValueError:
            pass
        except Exception as error:  # noqa: BLE001  # each library has errors of its own
            raise _failure(self.where, error) from None
        else:
            return
        raise ExportError(f"the server of {self.where} cannot read ranges; download it first")


@attrs.frozen
class RemoteFolder:
    """A folder, or a prefix, of a file system of fsspec.

    Attributes:
        fs: the file system.
        path: the folder, without a slash at its end.
        query: what follows the name in each URL, such as a token; HTTP only.
        given: the name and the path of the file that the folder was found by.
    """

    fs: Any
    path: str
    query: str
    given: tuple[str, str]

    def entry(self, name: str, /) -> Entry:
        """Return the file of that name.

        Raises:
            ExportError: there is none, or it is no file, or may not be read.
        """
        path = self._path_of(name)
        with reporting(self._location(path)):
            info = self.fs.info(path)
        return self._entry(name, path, info)

    def entries(self, wanted: Callable[[str], bool], /) -> list[Entry] | None:
        """Return the files with such names; None where the folder cannot be listed."""
        if _is_http(self.fs):  # which lists what a page links to, if anything
            return None
        try:
            self.fs.invalidate_cache()
            listing = self.fs.ls(self.path, detail=True)
        except Exception:  # noqa: BLE001  # that it is refused, each library tells in its own way
            return None
        named = ((info["name"].rpartition("/")[2], info) for info in listing)
        return [
            self._entry(name, self._path_of(name), info)
            for name, info in named
            if info["type"] == "file" and wanted(name)
        ]

    def _entry(self, name: str, path: str, info: Mapping[str, Any]) -> Entry:
        where = self._location(path).where
        if info["type"] != "file":
            raise ExportError(f"{where} is no file; name a file of the export")
        return RemoteEntry(self.fs, path, name, where, info)

    def _path_of(self, name: str) -> str:
        if name == self.given[0]:
            return self.given[1]
        return f"{self.path}/{quote(name) if _is_http(self.fs) else name}{self.query}"

    def _location(self, path: str) -> _Location:
        return _Location(self.fs.unstrip_protocol(path))


def located(location: str, options: Mapping[str, Any]) -> tuple[Folder, str]:
    """Return the folder of a file, and its name; nothing is read.

    Raises:
        JobError: the text is no path or URL.
        ExportError: the URL's file system is unknown, or cannot be reached.
        MissingDependency: the package for it is not installed.
    """
    if not location or not is_usable(location):
        raise JobError(
            "the location is no path or URL: it is empty, too long, or holds what no name has"
        )
    path = local_path(location)
    if path is not None:
        path = path.absolute()
        return LocalFolder(str(path.parent)), path.name
    return _located_remotely(location, options)


def _located_remotely(url: str, options: Mapping[str, Any]) -> tuple[Folder, str]:
    import fsspec  # only for remote files, for it takes long to load

    try:
        with reporting(_Location(url)):
            fs, path = fsspec.core.url_to_fs(url, **options)
    except ExportUnavailable:
        raise ExportError(f"cannot open {shown(url)}: no such kind of URL or options") from None
    head, mark, query = path.partition("?") if _is_http(fs) else (path, "", "")
    folder, _, name = head.rpartition("/")
    if _is_http(fs):
        name = unquote(name)
    return RemoteFolder(fs, folder, mark + query, (name, path)), name


@contextmanager
def reporting(file: Shown) -> Iterator[None]:
    """Turn any error of a storage into an `ExportError` that says what could not be read."""
    try:
        yield
    except CddsError:
        raise
    except Exception as error:  # noqa: BLE001  # each library has errors of its own
        raise _failure(file.where, error) from None


def _failure(where: str, error: Exception) -> CddsError:
    if isinstance(error, ImportError):  # which names the package
        return MissingDependency(f"cannot read {where}: {printable(str(error))}")
    if _is_of_http(error.__cause__):  # told as a missing file, whatever it is
        error = error.__cause__
    status = getattr(error, "status", None)
    if isinstance(error, FileNotFoundError) or status in {404, 410}:
        return ExportError(f"cannot read {where}: there is no such file")
    if isinstance(error, PermissionError) or status in {401, 403}:
        return ExportError(f"cannot read {where}: access is denied")
    if isinstance(error, OSError) and error.errno is not None:
        kind = ExportError if error.errno in _FINAL else ExportUnavailable
        return kind(f"cannot read {where}: {os.strerror(error.errno)}")
    return ExportUnavailable(f"cannot read {where}: {type(error).__name__}")


def _is_range_refused(error: Exception) -> bool:
    """Tell whether a store says that a file has no such range: by HTTP's status, or as s3fs."""
    return getattr(error, "status", None) == 416 or getattr(error, "errno", None) == errno.EINVAL


def _is_of_http(error: BaseException | None) -> TypeGuard[Exception]:
    return isinstance(error, Exception) and type(error).__module__.startswith("aiohttp")


def _is_http(fs: Any) -> bool:
    known = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return "http" in known or "https" in known


def _version(info: Mapping[str, Any]) -> str | None:
    told = (f"{key} {info[key]}" for key in (*_CONTENT_TAGS, *_TIMES) if info.get(key))
    return next(told, None)
