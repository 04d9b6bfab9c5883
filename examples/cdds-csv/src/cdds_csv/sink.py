"""A file of SQLite as a sink: artifacts in pieces, invisible until one statement commits them.

It keeps to `cdds.protocols.Sink` and `Storage`. A connection is opened for each step, so that
uploads on many threads, or of many processes, do not wait for one another longer than a step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cdds.errors import ArtifactExists, ArtifactMissing, JobError, SinkError
from cdds.protocols import Buffer, Stored

PIECE = 1024 * 1024
"""The bytes of all pieces of an artifact but the last."""

_PATIENCE = 60
_TABLES = """
create table if not exists artifact (
    id integer primary key autoincrement, name text not null, size integer not null default 0,
    visible integer not null default 0
);
create unique index if not exists visible_names on artifact (name) where visible;
create table if not exists piece (
    artifact integer not null references artifact on delete cascade, number integer not null,
    data blob not null, primary key (artifact, number)
);
"""


class Shelf:
    """All artifacts in one file.

    Args:
        url: ``shelf:///folder/file.db``; the file is made, in a folder that is there.

    Raises:
        SinkError: the URL names no file of this machine, or it cannot be opened.
    """

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        if place.netloc or place.query or not place.path:
            raise SinkError("a shelf is shelf:///folder/file.db, with three slashes")
        self._path = Path(unquote(place.path))
        with self._open() as database:
            database.executescript(_TABLES)

    def create(self, name: str) -> ShelfUpload:
        """Begin an artifact of that name.

        Raises:
            ArtifactExists: the name is taken.
        """
        _check(name)
        with self._open() as database:
            if _find(database, name) is not None:
                raise _taken(name)
            row = database.execute("insert into artifact (name) values (?)", (name,)).lastrowid
        return ShelfUpload(self, name, row or 0)

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield a range of an artifact.

        Raises:
            ArtifactMissing: there is none of that name.
            JobError: the range begins or ends before the artifact does.
            SinkError: it cannot be read, or the name is not a plain one.
        """
        _check(name)
        if start < 0 or (end is not None and end < 0):
            raise JobError("both ends of a range count from the first byte")
        return self._pieces(name, start, end)

    def _pieces(self, name: str, start: int, end: int | None) -> Iterator[bytes]:
        with self._open() as database:
            found = _find(database, name)
        if found is None:
            raise ArtifactMissing(f"there is no {name}; it was removed, or never made")
        row, size = found
        end = size if end is None else min(end, size)
        while start < end:
            number, offset = divmod(start, PIECE)
            length = min(PIECE - offset, end - start)
            with self._open() as database:
                piece = database.execute(
                    "select substr(data, ?, ?) from piece where artifact = ? and number = ?",
                    (offset + 1, length, row, number),
                ).fetchone()
            if piece is None:
                raise ArtifactMissing(f"{name} was removed while it was read")
            yield piece[0]
            start += length

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        """Yield what is there whose name begins with `prefix`, staged or committed."""
        with self._open() as database:
            rows = database.execute("select id, name, size, visible from artifact").fetchall()
        for row, name, size, visible in rows:
            if name.startswith(prefix):
                yield Stored(name, size, staged=None if visible else str(row))

    def remove(self, item: Stored) -> None:
        """Remove an artifact, or one that is staged.

        Raises:
            SinkError: it cannot be removed, or the name is not a plain one.
        """
        _check(item.name)
        with self._open() as database:
            if item.staged is None:
                database.execute("delete from artifact where name = ? and visible", (item.name,))
            else:
                database.execute(
                    "delete from artifact where id = ? and name = ? and not visible",
                    (item.staged, item.name),
                )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction, and turn its errors into those of a sink."""
        try:
            database = sqlite3.connect(self._path, timeout=_PATIENCE)
            try:
                database.execute("pragma foreign_keys = on")
                with database:
                    yield database
            finally:
                database.close()
        except sqlite3.Error as error:
            raise SinkError(f"cannot use {self._path}: {type(error).__name__}") from error


class ShelfUpload:
    """One artifact being written; its row is there from the beginning, and not visible."""

    def __init__(self, shelf: Shelf, name: str, row: int) -> None:
        self._shelf = shelf
        self._name = name
        self._row = row
        self._buffer = bytearray()
        self._count = 0

    def write(self, data: Buffer) -> None:
        """Append bytes; whole pieces are written at once."""
        self._buffer += data
        while len(self._buffer) >= PIECE:
            self._put(self._buffer[:PIECE])
            del self._buffer[:PIECE]

    def stage(self) -> None:
        """Write the last piece, and how large the artifact is; SQLite has it on the disk then."""
        size = self._count * PIECE + len(self._buffer)
        if self._buffer:
            self._put(self._buffer)
            self._buffer = bytearray()
        with self._shelf._open() as database:  # noqa: SLF001  # the upload is a part of the shelf
            database.execute("update artifact set size = ? where id = ?", (size, self._row))

    def commit(self) -> None:
        """Make the artifact visible, unless its name has been taken meanwhile.

        Raises:
            ArtifactExists: it has.
        """
        with self._shelf._open() as database:  # noqa: SLF001
            if _find(database, self._name) is not None:
                raise _taken(self._name)
            # Where another commits in between, the unique index refuses this one.
            database.execute("update artifact set visible = 1 where id = ?", (self._row,))

    def abort(self) -> None:
        """Remove the row with its pieces, staged or committed; no other row has its id."""
        with self._shelf._open() as database:  # noqa: SLF001
            database.execute("delete from artifact where id = ?", (self._row,))

    def _put(self, data: bytearray) -> None:
        with self._shelf._open() as database:  # noqa: SLF001
            row = (self._row, self._count, bytes(data))
            database.execute("insert into piece values (?, ?, ?)", row)
        self._count += 1


def _find(database: sqlite3.Connection, name: str) -> tuple[int, int] | None:
    """Return the id and the size of what is visible under a name."""
    found: tuple[int, int] | None = database.execute(
        "select id, size from artifact where name = ? and visible", (name,)
    ).fetchone()
    return found


def _taken(name: str) -> ArtifactExists:
    return ArtifactExists(f"{name} exists already; nothing is overwritten")


def _check(name: str) -> None:
    """Refuse what is no plain name, though here none would lead anywhere."""
    if not name or name.startswith(".") or any(character in name for character in "/\\\0"):
        raise SinkError(f"{name!a} is no name of an artifact")
