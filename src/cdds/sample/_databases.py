"""Loaders of the databases that hold a sample: all that differs between SQLite and PostgreSQL.

Place: below `_load`. Each is open for one transaction, whose error leaves nothing behind. It
refuses what is not empty, and no message of it holds a password or a value of a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cdds.errors import CddsError, JobError, SourceError
from cdds.location import printable
from cdds.sample._spelling import SPELLINGS, respelled
from cdds.sample._tables import Row, Table

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import URL

_SQLITE_CACHE = -64 * 1024  # KiB: random keys are put into indexes
_NO_OPTION = "the URL of the database has an option that is none"
_COMMENT = re.compile(r"--.*")
_BOOLEAN, _TIMESTAMP = 16, 1114  # as pg_type numbers them
_DRIVERS_OWN: Mapping[int, Callable[[Any], Any]] = {
    _BOOLEAN: bool,
    _TIMESTAMP: datetime.fromisoformat,
}


class Loader(Protocol):
    """Loads an open database, within its transaction."""

    script: str
    """The file with the statements that make the tables."""

    def tables(self) -> list[str]:
        """Return the names of all tables and views there are."""

    def execute(self, statement: str) -> None:
        """Execute a statement without parameters."""

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows to a table."""


def create_tables(loader: Loader, names: str) -> None:
    """Create the tables, without the keys and indexes that are sooner made of all rows.

    Raises:
        JobError: the database holds something already.
    """
    if there := loader.tables():
        raise JobError(
            f"the database holds tables already, such as {printable(there[0])}; "
            "a sample is loaded into an empty one"
        )
    for statement in _statements(loader):
        if statement.startswith("create table"):
            loader.execute(respelled(statement, names))


def finish_tables(loader: Loader, names: str) -> None:
    """Create the keys and indexes."""
    for statement in _statements(loader):
        if not statement.startswith("create table"):
            loader.execute(respelled(statement, names))


def _statements(loader: Loader) -> list[str]:
    script = (files("cdds.sample") / "ucs" / loader.script).read_text(encoding="utf-8")
    statements = _COMMENT.sub("", script).split(";")
    return [statement.strip() for statement in statements if statement.strip()]


@contextmanager
def opened(location: str, password: str | None, names: str) -> Iterator[Loader]:
    """Open a database for one transaction: committed at the end, or undone by an error.

    Raises:
        JobError: it is no URL of a database that is meant, or there is no such spelling.
        MissingDependency: the driver has to be installed.
        SourceError: the database cannot be reached, or refused something.
    """
    if names not in SPELLINGS:
        raise JobError(f"names is one of {', '.join(SPELLINGS)}, not {str(names)[:40]!a}")
    url = _with_password(parsed(location), password)
    opening = _sqlite if url.get_backend_name() == "sqlite" else _postgresql
    with opening(url, names) as loader:
        yield loader


def _with_password(url: URL, password: str | None) -> URL:
    from cdds import database

    if password is None:
        return url
    with_password = database.with_password(url, password)
    if with_password is None:
        raise JobError("a file of SQLite has no password; PostgreSQL takes one in UTF-8")
    return with_password


def parsed(location: str) -> URL:
    """Read the URL of a database.

    Raises:
        JobError: it is none, or not of a file of SQLite or a database of PostgreSQL.
    """
    from cdds import database

    url = database.parse_url(location) if "://" in str(location) else None
    if url is None:
        raise JobError(
            "a database is given by its URL: sqlite:///FILE or postgresql://USER@HOST/NAME"
        )
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise JobError(
            f"a sample is loaded into SQLite or PostgreSQL, not into {url.drivername[:40]!a}"
        )
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise JobError("a database in memory would be gone; give a file: sqlite:///FILE")
    return url


def _arguments(url: URL) -> dict[str, Any]:
    """Return what the driver is to be called with."""
    from sqlalchemy import exc

    from cdds import database

    if url.get_backend_name() == "postgresql":
        url = database.psycopg_url(url)
    else:
        url = url.set(drivername="sqlite+pysqlite")
    with suppress(exc.ArgumentError, ValueError):  # which quote the URL
        positional, named = url.get_dialect()().create_connect_args(url)
        return {**named, "database": positional[0]} if positional else dict(named)
    raise JobError(_NO_OPTION)


class SQLiteLoader:
    """Loads a file of SQLite."""

    script = "sqlite.sql"

    def __init__(self, connection: Any, names: str) -> None:
        self._connection = connection
        self._names = names

    def tables(self) -> list[str]:
        """Return the names of all tables and views there are."""
        rows = self._connection.execute("select name from sqlite_master order by name")
        return [name for (name,) in rows]

    def execute(self, statement: str) -> None:
        """Execute a statement without parameters."""
        self._connection.execute(statement)

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows to a table."""
        values = ", ".join("?" * len(table.columns))
        into = respelled(f'"{table.name}" ({_columns(table)})', self._names)
        self._connection.executemany(f"insert into {into} values ({values})", rows)  # noqa: S608


@contextmanager
def _sqlite(url: URL, names: str) -> Iterator[SQLiteLoader]:
    import sqlite3

    arguments = {**_arguments(url), "isolation_level": None}  # it is begun below
    path = Path(arguments["database"])
    was_there = path.exists()
    with _reporting(url, sqlite3.Error):
        try:
            with closing(sqlite3.connect(**arguments)) as connection:
                connection.execute(f"pragma cache_size = {_SQLITE_CACHE}")
                connection.execute("begin immediate")
                yield SQLiteLoader(connection, names)
                connection.execute("commit")
        except BaseException:
            if not was_there and path.exists() and not path.stat().st_size:
                path.unlink()  # opening it has made it
            raise


class PostgreSQLLoader:
    """Loads a schema of PostgreSQL: the first on the search path."""

    script = "postgresql.sql"

    def __init__(self, connection: psycopg.Connection, names: str) -> None:
        self._connection = connection
        self._names = names

    def tables(self) -> list[str]:
        """Return the names of all tables and views there are."""
        rows = self._connection.execute(
            "select relname from pg_class join pg_namespace on relnamespace = pg_namespace.oid "
            "where nspname = current_schema() and relkind in ('r', 'p', 'v', 'm', 'f') "
            "order by relname"
        )
        return [name for (name,) in rows]

    def execute(self, statement: str) -> None:
        """Execute a statement without parameters."""
        self._connection.execute(statement.encode())

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows to a table."""
        name, columns = self._spelled(f'"{table.name}"'), self._spelled(_columns(table))
        types = self._types(f"select {columns} from {name} where false")  # noqa: S608
        statement = f"copy {name} ({columns}) from stdin (format binary)"
        with self._connection.cursor().copy(statement.encode()) as copy:
            copy.set_types(types)
            for row in _typed(rows, types):
                copy.write_row(row)

    def _spelled(self, text: str) -> str:
        return respelled(text, self._names)

    def _types(self, query: str) -> list[int]:
        """Return the types of a query's columns; none is converted in a binary copy."""
        description = self._connection.execute(query.encode()).description or []
        return [column.type_code for column in description]


def _typed(rows: Iterable[Row], types: Sequence[int]) -> Iterator[Row]:
    """Make flags and instants what the driver takes for them."""
    typed = [(place, _DRIVERS_OWN[oid]) for place, oid in enumerate(types) if oid in _DRIVERS_OWN]
    for row in rows:
        values = list(row)
        for place, of_driver in typed:
            if values[place] is not None:
                values[place] = of_driver(values[place])
        yield tuple(values)


@contextmanager
def _postgresql(url: URL, names: str) -> Iterator[PostgreSQLLoader]:
    try:
        import psycopg
    except ImportError as error:
        from cdds import database

        raise database.missing_driver("a sample", error) from error
    with _reporting(url, psycopg.Error), psycopg.connect(**_arguments(url)) as connection:
        yield PostgreSQLLoader(connection, names)


def _columns(table: Table) -> str:
    return ", ".join(f'"{column}"' for column in table.columns)


def _reporting(url: URL, kind: type[Exception]) -> AbstractContextManager[None]:
    """Turn the errors of a driver into those of this library."""
    from cdds import database

    def refusal(words: str, error: Exception) -> CddsError:
        # It is the driver's own, not the server's.
        if type(error).__name__ == "ProgrammingError" and getattr(error, "sqlstate", "") is None:
            return JobError(_NO_OPTION)
        return SourceError(f"the database {database.shown(url)}: {words}")

    return database.reporting(refusal, kind)
