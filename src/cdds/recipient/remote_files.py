"""The files of a file system of fsspec: object stores, web servers and more.

Place: one of the two kinds of storage that an export is read from. Each range is a request of its
own; one that fails, or is cut short, is made again a few times, so that a connection that is lost
does not end hours of reading.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, unquote

import attrs

from cdds.errors import CddsError, ExportError, ExportUnavailable
from cdds.location import shown
from cdds.recipient.storage import Entry, ExportFile, Folder, NamedPlace, failure, reporting

_PAUSES = (0.5, 1.0, 2.0)
"""The seconds before a range is asked for again, as often as there are pauses."""
_CONTENT_TAGS = ("ETag", "etag", "md5Hash", "generation")
_TIMES = ("mtime", "Last-Modified", "LastModified", "last_modified", "created")
"""What file systems of fsspec call that by which a changed file is told.

Of a time a listing may give another form than the file itself.
"""


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
        for pause in _PAUSES:
            with self._passing_over_what_may_pass():
                data = self._range(offset, offset + size)
                if len(data) >= size:
                    return data
            time.sleep(pause)
        return self._range(offset, offset + size)

    @contextmanager
    def _passing_over_what_may_pass(self) -> Iterator[None]:
        try:
            yield
        except ExportUnavailable:
            pass
        except CddsError:  # such as that the file was changed
            raise
        except Exception as error:
            if not isinstance(failure(self._where, error), ExportUnavailable):
                raise

    def _range(self, start: int, end: int) -> bytes:
        try:
            return bytes(self._fs.cat_file(self._path, start=start, end=end))
        except Exception as error:
            if _is_range_refused(error):
                self.check_unchanged()
            raise


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
            raise failure(self.where, error) from None
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

    def _location(self, path: str) -> NamedPlace:
        return NamedPlace(self.fs.unstrip_protocol(path))


def located_remotely(url: str, options: Mapping[str, Any]) -> tuple[Folder, str]:
    """Return the folder of a URL, and the name of its file.

    Raises:
        ExportError: the URL's file system is unknown, or cannot be reached.
        MissingDependency: the package for it is not installed.
    """
    import fsspec  # it takes long to load

    try:
        with reporting(NamedPlace(url)):
            fs, path = fsspec.core.url_to_fs(url, **options)
    except ExportUnavailable:
        raise ExportError(f"cannot open {shown(url)}: no such kind of URL or options") from None
    head, mark, query = path.partition("?") if _is_http(fs) else (path, "", "")
    folder, _, name = head.rpartition("/")
    if _is_http(fs):
        name = unquote(name)
    return RemoteFolder(fs, folder, mark + query, (name, path)), name


def _is_range_refused(error: Exception) -> bool:
    """Tell whether a store says that a file has no such range: by HTTP's status, or as s3fs."""
    return getattr(error, "status", None) == 416 or getattr(error, "errno", None) == errno.EINVAL


def _is_http(fs: Any) -> bool:
    known = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return "http" in known or "https" in known


def _version(info: Mapping[str, Any]) -> str | None:
    told = (f"{key} {info[key]}" for key in (*_CONTENT_TAGS, *_TIMES) if info.get(key))
    return next(told, None)
