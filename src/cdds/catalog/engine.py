"""Opens databases as the catalog needs them, and puts their errors into words.

Place: below the catalog's tables; all that differs between SQLite and PostgreSQL stands here. A
message of it holds no password and no value of a row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, exc, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import StaticPool

from cdds.errors import CatalogError, MissingDependency
from cdds.location import printable

WRITES = "cdds_writes"
"""The execution option of a connection that will write."""


def open_engine(location: str | os.PathLike[str], timeout: float) -> Engine:
    """Return an engine for a path or a URL of SQLite or PostgreSQL.

    Args:
        location: a file for SQLite, or a URL; ``sqlite://`` lives in memory.
        timeout: the most seconds to wait for a locked database.

    Raises:
        CatalogError: it is no such location.
        MissingDependency: the driver has to be installed.
    """
    url = _url(location)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, timeout)
    if url.get_backend_name() == "postgresql":
        return _postgresql(url, timeout)
    raise CatalogError(f"a catalog lives in SQLite or PostgreSQL, not in {url.drivername}")


def _url(location: str | os.PathLike[str]) -> URL:
    path = os.fspath(location)
    if not isinstance(path, str) or not path or "\0" in path:
        raise CatalogError("a catalog is given by a path or a URL")
    if "://" not in path:
        return URL.create("sqlite", database=path)
    try:
        return make_url(path)
    except (exc.ArgumentError, ValueError):
        raise CatalogError("the URL of the catalog cannot be read") from None


def _sqlite(url: URL, timeout: float) -> Engine:
    in_memory = url.database in {None, "", ":memory:"}
    options: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {}
    engine = create_engine(
        url, connect_args={"timeout": timeout, "check_same_thread": False}, **options
    )

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below
        connection.execute("PRAGMA journal_mode = WAL")
        # What is committed survives a loss of power, too.
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes then would fail when another one writes between.
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL, timeout: float) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    milliseconds = int(timeout * 1000)
    options = f"-c timezone=UTC -c lock_timeout={milliseconds}"
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args={"options": options, "connect_timeout": max(2, int(timeout))},
        )
    except ImportError as error:
        raise MissingDependency(
            f"a catalog in PostgreSQL needs its driver: pip install 'cdds-sdk[postgres]' ({error})"
        ) from error


def database_time(connection: Connection) -> datetime:
    """Return the time of the database's own clock, which all who share it agree on.

    SQLite runs in this process, so its clock is the system's.
    """
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now.astimezone(UTC)


def insert_or(connection: Connection, table: Table) -> Any:
    """Return an INSERT that can say what is done where the row is there: ``on_conflict_do_…``."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


@contextmanager
def reporting(engine: Engine) -> Iterator[None]:
    """Turn any error of the database into a `CatalogError`."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise CatalogError(f"the catalog {printable(where)}: {_in_words(error)}") from error


def _in_words(error: exc.SQLAlchemyError) -> str:
    """Return what an error says, without the statement, its parameters and the values of rows."""
    if isinstance(error, exc.OperationalError) and error.orig is not None:
        return printable(str(error.orig).strip().partition("\n")[0])[:300]
    if isinstance(error, exc.DBAPIError) and error.orig is not None:
        return f"it failed with {type(error.orig).__name__}"
    return f"it failed with {type(error).__name__}"
