"""The download of one artifact: its bytes, counted and held against its digest.

Place: between the storage and whoever downloads. It refuses to end well when the file is shorter,
longer or other than the artifact that was stored.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from types import TracebackType

from cdds.catalog import ArtifactEntry
from cdds.errors import JobError, SinkError
from cdds.protocols import Storage
from cdds.sinks import LocalSink


class Download:
    """An iterable of the bytes of an artifact; a context manager that closes the storage's file.

    Iterating raises `SinkError` where the storage fails, or the file is not the artifact that was
    stored.

    Attributes:
        name: the name of the file.
        start: the first byte, counted from 0.
        end: the byte after the last; None where the size is not known.
        size: the bytes of the whole file; None where it is not known.
    """

    def __init__(
        self, name: str, start: int, end: int | None, size: int | None, chunks: Iterator[bytes]
    ) -> None:
        self.name = name
        self.start = start
        self.end = end
        self.size = size
        self._chunks = chunks

    @classmethod
    def of(
        cls,
        storage: Storage,
        artifact: ArtifactEntry,
        start: int,
        end: int | None,
        on_complete: Callable[[], None],
    ) -> Download:
        """Return the download of an artifact, checked against what the catalog knows of it.

        Raises:
            JobError: the range is none.
            SinkError: the storage cannot be read.
        """
        size = artifact.size
        start, end = _range(start, end)
        end = size if end is None else end
        if max(start, end) > size:
            raise JobError(f"the range does not lie within the {size} bytes of the file")
        sha256 = artifact.sha256 if (start, end) == (0, size) else None
        chunks = storage.read(artifact.name, start, end)
        reaches_end = end == size and (start < end or not size)
        checked = _checked(chunks, end - start, sha256, on_complete if reaches_end else _nothing)
        return cls(artifact.name, start, end, size, _begun(checked))

    @classmethod
    def unsized(cls, storage: Storage, name: str, start: int, end: int | None) -> Download:
        """Return the download of a file of digests, or of a signature.

        Raises:
            JobError: the range is none.
            SinkError: the storage cannot be read.
        """
        start, end = _range(start, end)
        return cls(name, start, end, None, _begun(storage.read(name, start, end)))

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def __enter__(self) -> Download:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the storage's file; a download that is not read to its end is broken off."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the file into a local folder, where its name must be free: whole, or not at all.

        Raises:
            SinkError: the storage cannot be read, or the folder not be written.
        """
        sink = LocalSink(folder)
        upload = sink.create(self.name)
        try:
            with self:
                for chunk in self:
                    upload.write(chunk)
            upload.stage()
            upload.commit()
            sink.sync()
        except BaseException:
            upload.abort()
            raise


def _nothing() -> None:
    """Do nothing: the last byte of the file was not asked for."""


def _range(start: int, end: int | None) -> tuple[int, int | None]:
    for value in (start, end):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise JobError("a range is given in whole bytes")
    if start is None or start < 0 or (end is not None and end < start):
        raise JobError("the range does not lie within the file")
    return start, end


def _begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Read the first chunk now, so that a file that cannot be read is told before any is used."""
    first = next(chunks, b"")
    return _continued(first, chunks)


def _continued(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        if first:
            yield first
        yield from chunks
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def _checked(
    chunks: Iterator[bytes], size: int, sha256: str | None, on_complete: Callable[[], None]
) -> Iterator[bytes]:
    """Yield chunks, the last one only when length and digest are right."""
    digest = hashlib.sha256()
    count = 0
    held = b""
    with closing(chunks):  # type: ignore[type-var]  # a generator
        for chunk in chunks:
            if held:
                yield held
            held = chunk
            count += len(chunk)
            if sha256 is not None:
                digest.update(chunk)
    if count != size or (sha256 is not None and digest.hexdigest() != sha256):
        raise SinkError("the file in the storage is not the artifact that was stored")
    if held:
        yield held
    on_complete()
