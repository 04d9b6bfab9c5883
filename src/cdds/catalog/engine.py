"""Opens databases as the catalog needs them.

Place: below the catalog's tables; all that differs between SQLite and PostgreSQL stands here.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Executable,
    Table,
    create_engine,
    event,
    exc,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import StaticPool

from cdds import database
from cdds.errors import CatalogError
from cdds.location import printable

_LONGEST_TIMEOUT = 24 * 60 * 60

_MOST_IDLE = 60_000
"""The milliseconds after which PostgreSQL ends a transaction whose process does nothing any more.

One that was stopped, or cut off, in the middle of it would keep what it has locked from all others.
"""

_NO_DRIVER = "the URL of the catalog has a driver or an option that is none"

WRITES = "cdds_writes"
"""The execution option of a connection that will write."""
_FILE = "cdds_file"


def open_engine(
    location: str | os.PathLike[str], timeout: float, password: str | None = None
) -> Engine:
    """Return an engine for a path or a URL of SQLite or PostgreSQL.

    Args:
        location: a file for SQLite, or a URL; ``sqlite://`` lives in memory.
        timeout: the most seconds to wait for a locked database.
        password: the user's in PostgreSQL, where the URL does not hold it.

    Raises:
        CatalogError: it is no such location.
        MissingDependency: the driver has to be installed.
    """
    url = _url(location, password)
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not is_number or not 0 < timeout <= _LONGEST_TIMEOUT:
        raise CatalogError("the timeout of a catalog is a number of seconds, up to a day")
    with suppress(exc.ArgumentError, ValueError):  # which quote the URL
        return _open(url, timeout)
    raise CatalogError(_NO_DRIVER)


def _open(url: URL, timeout: float) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, timeout)
    if url.get_backend_name() == "postgresql":
        return _postgresql(url, timeout)
    raise CatalogError(f"a catalog lives in SQLite or PostgreSQL, not in {url.drivername[:40]!a}")


def _url(location: str | os.PathLike[str], password: str | None) -> URL:
    url = database.parse_url(location)
    if url is None:
        raise CatalogError("a catalog is given by a path or a URL of a database")
    if password is None:
        return url
    with_password = database.with_password(url, password)
    if with_password is None:
        raise CatalogError("a catalog takes a password, a text in UTF-8, for PostgreSQL alone")
    return with_password


def _sqlite(url: URL, timeout: float) -> Engine:
    in_memory = url.database in {None, "", ":memory:"}
    options: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {}
    engine = create_engine(
        url, connect_args={"timeout": timeout, "check_same_thread": False}, **options
    )

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below
        connection.execute("PRAGMA journal_mode = WAL")
        # What is committed survives a loss of power, too.
        connection.execute("PRAGMA synchronous = FULL")
        record.info[_FILE] = _file_of(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        _check_file(connection.info.get(_FILE))
        # A transaction that reads first and writes then would fail when another one writes between.
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _file_of(connection: Any) -> tuple[str, int, int] | None:
    """Return the file that a connection has open, and which one it is."""
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    if not path:
        return None
    status = os.stat(path)  # noqa: PTH116  # a text as SQLite gives it
    return path, status.st_dev, status.st_ino


def _check_file(file: tuple[str, int, int] | None) -> None:
    """Refuse to go on in a file that has no name any more: what is written there is lost."""
    if file is None:
        return
    path, *same = file
    try:
        status = os.stat(path)  # noqa: PTH116  # as above
    except OSError:
        raise CatalogError(f"the catalog {printable(path)} is not there any more") from None
    if [status.st_dev, status.st_ino] != same:
        raise CatalogError(
            f"the catalog {printable(path)} was replaced while it was open; open it again"
        )


def _postgresql(url: URL, timeout: float) -> Engine:
    if url.drivername not in {"postgresql", "postgresql+psycopg"}:
        raise CatalogError(_NO_DRIVER)
    # Added to what the URL says, which would be lost otherwise.
    given = url.query.get("options", "")
    given = given if isinstance(given, str) else " ".join(given)
    options = (
        f"-c idle_in_transaction_session_timeout={_MOST_IDLE} {given} "
        f"-c timezone=UTC -c lock_timeout={int(timeout * 1000)}"
    )
    url = database.psycopg_url(url, connect_timeout=str(max(2, int(timeout))))
    url = url.update_query_dict({"options": options})
    try:
        return create_engine(url, pool_pre_ping=True)
    except ImportError as error:
        raise database.missing_driver("a catalog", error) from error


def database_time(connection: Connection) -> datetime:
    """Return the time of the database's own clock, which all who share it agree on.

    SQLite runs in this process, so its clock is the system's.
    """
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now.astimezone(UTC)


def insert_or_keep(connection: Connection, table: Table, values: dict[str, Any]) -> Executable:
    """Return what inserts a row, unless there is one with its key."""
    statement: Executable = _insert(connection)(table).values(values).on_conflict_do_nothing()
    return statement


def insert_or_replace(connection: Connection, table: Table, values: dict[str, Any]) -> Executable:
    """Return what inserts a row in place of the one with its key, if there is one."""
    key = list(table.primary_key)
    insert = _insert(connection)(table).values(values)
    statement: Executable = insert.on_conflict_do_update(index_elements=key, set_=values)
    return statement


def _insert(connection: Connection) -> Any:
    module = sqlite if connection.dialect.name == "sqlite" else postgresql
    return module.insert


def reporting(engine: Engine) -> AbstractContextManager[None]:
    """Turn any error of the database into a `CatalogError`."""
    return database.reporting(
        lambda words, _: CatalogError(f"the catalog {shown(engine)}: {words}")
    )


def shown(engine: Engine) -> str:
    """Return the location of a database as it may be shown: its options may hold secrets."""
    return database.shown(engine.url)
