"""Which database is read, under which limits, and the transaction that reads it.

Place: below the sources of SQL, above the two databases. It checks what a host says of a database
before anything is opened, and turns errors of a database into those of this library. It knows no
query.
"""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from typing import Protocol

from sqlalchemy import URL, exc

from cdds import database
from cdds.errors import SourceError, SourceUnavailable
from cdds.sources.sql.postgresql import PostgreSQL
from cdds.sources.sql.session import Database, Session
from cdds.sources.sql.sqlite import SQLite

_DATABASES: Mapping[str, Callable[[URL, timedelta | None], Database]] = {
    "postgresql": PostgreSQL,
    "sqlite": SQLite,
}
TIMEOUT = timedelta(minutes=5)
"""How long a statement may take where a host says nothing."""
_LONGEST_TIMEOUT = timedelta(days=7)

_TRANSIENT = ("08", "40", "53", "55P03", "57P01", "57P02", "57P03")
"""States of PostgreSQL after which the same work may succeed: connections, conflicts, resources."""
_PROTOCOL_VIOLATION = "08P01"
"""Of the class of connections, and what a query with a parameter comes to, whenever it is asked."""
_REFUSED = (
    "authentication failed",
    "certificate verify failed",
    "definition of service",
    "does not exist",
    "does not support SSL",
    "invalid ",
    "no password supplied",
    "not permitted to log in",
    "pg_hba.conf",
    "unrecognized configuration parameter",
)
"""What is said to those who cannot log in, or not as their URL has it, and could not later."""
_CLEARER = {"interrupted": "it was interrupted, for a statement took longer than its timeout"}
"""What SQLite says, in words that tell more."""


class Reporting(Protocol):
    """Turns errors of a database into those of this library."""

    def __call__(self, *, reads_rows: bool = True) -> AbstractContextManager[None]:
        """Return what turns the errors of a block; of what looks at rows less may be said."""
        ...


def checked_url(url: str | os.PathLike[str], password: str | None) -> URL:
    """Return the URL of a database to be read.

    Raises:
        SourceError: it is none, or the password does not belong to it.
    """
    parsed = database.parse_url(url)
    if parsed is None:
        raise SourceError("a database is given by a path or a URL")
    if password is None:
        return parsed
    with_password = database.with_password(parsed, password)
    if with_password is None:
        raise SourceError("a database takes a password, a text in UTF-8, for PostgreSQL alone")
    return with_password


def database_of(url: URL, timeout: timedelta | float | None) -> Database:
    """Return the database of a URL; nothing is opened yet.

    Raises:
        SourceError: it is of no kind that can be read, or the timeout is out of its range.
    """
    kind = _DATABASES.get(url.get_backend_name())
    if kind is None:
        raise SourceError(
            f"a source of SQL reads SQLite or PostgreSQL, not {url.get_backend_name()[:40]!a}"
        )
    return kind(url, None if timeout is None else _checked_timeout(timeout))


def _checked_timeout(timeout: timedelta | float) -> timedelta:
    if (
        isinstance(timeout, (int, float))
        and not isinstance(timeout, bool)
        and 0 < timeout <= _LONGEST_TIMEOUT.total_seconds()
    ):
        timeout = timedelta(seconds=timeout)
    if not (isinstance(timeout, timedelta) and timedelta() < timeout <= _LONGEST_TIMEOUT):
        raise SourceError(
            "the timeout of a statement is a number of seconds or a timedelta, up to 7 days, or "
            "None"
        )
    return timeout


def checked_rate(rows_per_second: float | None) -> float | None:
    """Return a limit of rows in a second.

    Raises:
        SourceError: it is none.
    """
    is_number = isinstance(rows_per_second, (int, float)) and not isinstance(rows_per_second, bool)
    if rows_per_second is not None and not (is_number and 1 <= rows_per_second < math.inf):
        raise SourceError("rows_per_second is a number, 1 or more, or None")
    return rows_per_second


@contextmanager
def opened(of: Database, url: URL) -> Iterator[tuple[Session, Reporting]]:
    """Open a transaction that reads, with what turns its errors into those of this library."""

    def reporting(*, reads_rows: bool = True) -> AbstractContextManager[None]:
        return database.reporting(
            lambda words, error: _refusal(url, words, error), *of.errors, reads_rows=reads_rows
        )

    with ExitStack() as stack:
        with reporting(reads_rows=False):  # what is done with the transaction has errors of its own
            session = stack.enter_context(of.snapshot())
        yield session, reporting


def _refusal(url: URL, words: str, error: Exception) -> SourceError:
    origin = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    state = getattr(origin, "sqlstate", None)
    if state is not None:
        is_transient = state.startswith(_TRANSIENT) and state != _PROTOCOL_VIOLATION
    elif isinstance(origin, sqlite3.Error):
        is_transient = "locked" in words
    else:  # a server that cannot be reached, or is gone; libpq tells no state of those who log in
        is_transient = database.is_operational(error) and not any(map(words.count, _REFUSED))
    words = _CLEARER.get(words, words)
    kind = SourceUnavailable if is_transient else SourceError
    return kind(f"the database {database.shown(url)}: {words}")
