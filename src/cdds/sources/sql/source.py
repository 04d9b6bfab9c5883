"""Tables and queries of a database as the data files of a dataset.

Place: a source like any other; it joins the queries that a host gives, or that another source
makes, with the database that they are put to.
"""

from __future__ import annotations

import math
import os
import sqlite3
import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from typing import Protocol, TypeAlias

from sqlalchemy import URL, FromClause, SelectBase, exc, select

from cdds import database
from cdds.errors import SourceError, SourceUnavailable
from cdds.model import Dataset, Selection
from cdds.sources.memory import refuse_unknown
from cdds.sources.sql.batches import Pace
from cdds.sources.sql.columns import columns_of
from cdds.sources.sql.postgresql import PostgreSQL
from cdds.sources.sql.selecting import Extract
from cdds.sources.sql.session import Database, Session
from cdds.sources.sql.snapshot import SqlSnapshot
from cdds.sources.sql.sqlite import SQLite

Query: TypeAlias = "str | FromClause | SelectBase"
"""A SELECT as a text, or a table or a select of SQLAlchemy."""

_DATABASES: Mapping[str, Callable[[URL, timedelta | None], Database]] = {
    "postgresql": PostgreSQL,
    "sqlite": SQLite,
}
TIMEOUT = timedelta(minutes=5)
_LONGEST_TIMEOUT = timedelta(days=7)

_TRANSIENT = ("08", "40", "53", "55P03", "57P01", "57P02", "57P03")
"""States of PostgreSQL after which the same work may succeed: connections, conflicts, resources."""
_REFUSED = (
    "authentication failed",
    "does not exist",
    "no password supplied",
    "not permitted to log in",
    "pg_hba.conf",
)
"""What PostgreSQL says to those who cannot log in, and could not a moment later."""
_CLEARER = {"interrupted": "it was interrupted, for a statement took longer than its timeout"}
"""What SQLite says, in words that tell more."""


class Sql:
    """A query of SQLite or PostgreSQL for each data file by its name.

    The rows of all data files are read in one transaction that only reads, and sees what was
    committed when it began: one consistent snapshot. They stream through in bounded memory. The
    columns of a query are the properties of a record, told apart without regard to case, and their
    types become what the schema asks for: times become ISO 8601 in UTC, what is binary base64, JSON
    in a text or a binary is passed on as it stands where the schema wants an object or an array,
    and NULLs are left out. The database selects by time frame, media type and parent.

    Args:
        url: ``sqlite:///file.db`` or the path of a file, or ``postgresql://user@host/database``.
        password: the user's in PostgreSQL, so that it need not stand in the URL.
        timeout: how long one statement may take, of which an export makes many; a number is one of
            seconds, None as long as it wants.
        rows_per_second: the most rows that are read in a second, to spare the database.
        queries: a SELECT as a text, or a table or select of SQLAlchemy, for each data file.

    Raises:
        SourceError: the URL or a query is none, or a limit is out of its range.

    >>> Sql("postgresql://reader@replica/surveys", password=secret,
    ...     answer="SELECT id, given, score FROM answers")
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        password: str | None = None,
        timeout: timedelta | float | None = TIMEOUT,
        rows_per_second: float | None = None,
        **queries: Query,
    ) -> None:
        self._url = checked_url(url, password)
        self._database = open_database(self._url, timeout)
        self._rows_per_second = checked_rate(rows_per_second)
        self._queries = {
            name: compiled(query, name, self._database) for name, query in queries.items()
        }

    def __repr__(self) -> str:
        return f"Sql({database.shown(self._url)!r}, {', '.join(self._queries)})"

    def snapshot(
        self, dataset: Dataset, selection: Selection
    ) -> AbstractContextManager[SqlSnapshot]:
        """Open a transaction that reads the rows of all data files.

        Raises:
            SourceError: the dataset has no such data file, or the database refuses a query.
            SourceUnavailable: the database cannot be reached.
            MissingDependency: the driver has to be installed.
        """
        refuse_unknown(self._queries, dataset)
        return self._snapshot(dataset, selection)

    @contextmanager
    def _snapshot(self, dataset: Dataset, selection: Selection) -> Iterator[SqlSnapshot]:
        pace = Pace(self._rows_per_second)
        with opened(self._database, self._url) as (session, reporting):
            with reporting(reads_rows=False):
                extracts = described(session, self._queries, dataset)
            yield SqlSnapshot(session, extracts, selection, pace=pace, reporting=reporting)


class Reporting(Protocol):
    """Turns errors of a database into those of this library."""

    def __call__(self, *, reads_rows: bool = True) -> AbstractContextManager[None]:
        """Return what turns the errors of a block; of what looks at rows less may be said."""
        ...


def open_database(url: URL, timeout: timedelta | float | None) -> Database:
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


def described(session: Session, queries: Mapping[str, str], dataset: Dataset) -> dict[str, Extract]:
    """Return the rows of each data file that there is a query for, parents first."""
    return {
        file.name: Extract(
            file, queries[file.name], columns_of(file, session.describe(queries[file.name]))
        )
        for file in dataset.files
        if file.name in queries
    }


def compiled(query: Query, data_file: str, of: Database) -> str:
    """Return a query as a database understands it.

    Raises:
        SourceError: it is no query.
    """
    if isinstance(query, str):
        text = query.strip().rstrip(string.whitespace + ";")
        if not text:
            raise SourceError(f"data file {data_file}: its query is empty; give a SELECT")
        return text + "\n"  # a comment at its end would swallow what is put after it
    statement = select(query) if isinstance(query, FromClause) else query
    if not isinstance(statement, SelectBase):
        raise SourceError(
            f"data file {data_file}: a query is a SELECT as a text, or a table or a select of "
            "SQLAlchemy"
        )
    try:
        # Written out, a parameter without a value would be NULL, and find nothing.
        statement.compile(dialect=of.dialect).construct_params()
        return str(statement.compile(dialect=of.dialect, compile_kwargs={"literal_binds": True}))
    except exc.SQLAlchemyError as error:
        kind = type(error).__name__
    raise SourceError(
        f"data file {data_file}: its query cannot be written out ({kind}); its parameters must be "
        "values that SQL can write"
    )


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
        raise SourceError("a database takes a password, a text, for PostgreSQL alone")
    return with_password


def checked_rate(rows_per_second: float | None) -> float | None:
    """Return a limit of rows in a second.

    Raises:
        SourceError: it is none.
    """
    is_number = isinstance(rows_per_second, (int, float)) and not isinstance(rows_per_second, bool)
    if rows_per_second is not None and not (is_number and 1 <= rows_per_second < math.inf):
        raise SourceError("rows_per_second is a number, 1 or more, or None")
    return rows_per_second


def _refusal(url: URL, words: str, error: Exception) -> SourceError:
    origin = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    state = getattr(origin, "sqlstate", None)
    if state is not None:
        is_transient = state.startswith(_TRANSIENT)
    elif isinstance(origin, sqlite3.Error):
        is_transient = "locked" in words
    else:  # a server that cannot be reached, or is gone; libpq tells no state of those who log in
        is_transient = database.is_operational(error) and not any(map(words.count, _REFUSED))
    words = _CLEARER.get(words, words)
    kind = SourceUnavailable if is_transient else SourceError
    return kind(f"the database {database.shown(url)}: {words}")
