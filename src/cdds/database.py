"""URLs of databases, and what their errors may say.

Place: near the ground, for all rooms that speak to databases. It opens nothing. A message of it
holds no password, no statement and no value of a row.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

from sqlalchemy import URL, exc, make_url

from cdds.errors import CddsError, MissingDependency
from cdds.location import is_usable, printable

_LONGEST_MESSAGE = 300
_WATCHED = {
    "connect_timeout": "30",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""A server that is gone without a word is noticed within a minute, and not in hours."""
_IN_UTF_8 = {"client_encoding": "UTF8"}
"""Of a database without an encoding, SQL_ASCII, the driver would else give bytes for texts."""
_NO_DATABASE = {"SQLITE_NOTADB", "SQLITE_CORRUPT"}
_FREE_OF_VALUES = frozenset(
    (
        # SQLite
        "attempt to write a readonly database",
        "database disk image is malformed",
        "database is locked",
        "database or disk is full",
        "database schema has changed",
        "disk I/O error",
        "ESCAPE expression must be a single character",
        "file is not a database",
        "integer overflow",
        "interrupted",
        "JSON cannot hold BLOB values",
        "json_object() labels must be TEXT",
        "LIKE or GLOB pattern too complex",
        "malformed JSON",
        "not authorized",
        "out of memory",
        "string or blob too big",
        "unable to open database file",
        # PostgreSQL
        "canceling statement due to conflict with recovery",
        "canceling statement due to lock timeout",
        "canceling statement due to statement timeout",
        "canceling statement due to user request",
        "out of shared memory",
        "stack depth limit exceeded",
        "terminating connection because of crash of another server process",
        "terminating connection due to administrator command",
        "terminating connection due to conflict with recovery",
        "terminating connection due to unexpected postmaster exit",
        "the database system is in recovery mode",
        "the database system is shutting down",
        "the database system is starting up",
    )
)
"""What databases say while they read rows, and that holds no value of one."""
_BY_STATE = {
    "22021": "a text is no UTF-8",
    "22P05": "a text has a character that UTF-8 does not have",
    "25006": "a statement would write, and the transaction only reads",
}
"""What states of PostgreSQL mean, whose own words may quote a value, or are not seen else."""
_OF_DRIVERS = (
    "You can only execute one statement at a time.",
    "bad value for connect_timeout",
    "invalid connection option",
)
"""What a driver says before it asks a database; what follows may be a part of a URL."""
_BEFORE_A_VALUE = ("bad JSON path", "fts5: syntax error", "JSON path error", "no such column")
"""What SQLite says of a row, and then quotes it."""


def parse_url(location: str | os.PathLike[str]) -> URL | None:
    """Return the URL of a database; a path is that of a SQLite file. None if it is neither."""
    path = os.fspath(location) if isinstance(location, (str, os.PathLike)) else ""
    if not path or not is_usable(path):
        return None
    if "://" not in path:
        return URL.create("sqlite", database=path)
    try:
        url = make_url(path)
    except (exc.ArgumentError, ValueError):
        return None
    return url if _is_sayable_url(url) else None


def with_password(url: URL, password: str) -> URL | None:
    """Return the URL with the password of its user; None where it can have none, or not this."""
    if not isinstance(password, str) or url.get_backend_name() != "postgresql":
        return None
    with_password = url.set(password=password)
    return with_password if _is_sayable_url(with_password) else None


def is_sayable(text: str) -> bool:
    """Tell whether a database can be told all of a text, in UTF-8 and to its end.

    At a null character drivers leave out what follows.
    """
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _is_sayable_url(url: URL) -> bool:
    """Tell whether a server can be told all of a URL, in which %00 is a null character.

    Without what follows the driver would go to another server.
    """
    options = chain.from_iterable(url.normalized_query.values())
    parts = (url.username, url.password, url.host, url.database, *options)
    return is_sayable("".join(part for part in parts if part is not None))


def psycopg_url(url: URL, **options: str) -> URL:
    """Return a URL of PostgreSQL for the one driver, which notices a server that is gone.

    What the URL says itself goes before the options.
    """
    return url.set(drivername="postgresql+psycopg").update_query_dict(
        {**_WATCHED, **_IN_UTF_8, **options, **url.query}
    )


def missing_driver(what: str, error: ImportError) -> MissingDependency:
    """Return the error for what needs the driver of PostgreSQL."""
    return MissingDependency(
        f"{what} in PostgreSQL needs its driver: pip install 'cdds-sdk[postgres]' ({error})"
    )


def shown(url: URL) -> str:
    """Return a URL as it may be shown: its options may hold secrets."""
    return printable(url.set(query={}).render_as_string(hide_password=True))


@contextmanager
def reporting(
    refuse: Callable[[str, Exception], CddsError],
    *kinds: type[Exception],
    reads_rows: bool = False,
) -> Iterator[None]:
    """Turn any error of a database into one of this library, which shows nothing of the other.

    An interrupt in the middle of a statement may come out as an error that the driver then has in
    putting its connection in order; it is the interrupt that is raised. What is raised does not
    lead to the other error, which holds what no log may show.

    Args:
        refuse: makes the error of what may be said in words, and of the error itself.
        kinds: the errors of drivers that are spoken to past SQLAlchemy.
        reads_rows: whether values of rows are looked at, by a statement of somebody else: anything
            that the database says may then hold such a value, unless it is known to hold none.
    """
    handled = sys.exception()
    errors: tuple[type[Exception], ...] = (exc.SQLAlchemyError, *kinds)
    raised: BaseException | None = None
    try:
        yield
    except errors as error:
        words = in_words(error, reads_rows=reads_rows)
        raised = _interrupt(error, until=handled) or refuse(words, error)
    if raised is not None:
        try:
            raise raised
        finally:
            raised.__context__ = None  # the with statement is still handling the other error
            del raised  # which would else refer to itself


def in_words(error: Exception, *, reads_rows: bool = False) -> str:
    """Return what an error of a database says, without statement, parameters and values."""
    origin = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    # SQLite quotes the text of a row that is no UTF-8.
    line, quotes, _ = str(origin).strip().partition("\n")[0].partition(" with text ")
    if (known := _BY_STATE.get(getattr(origin, "sqlstate", None) or "")) is not None:
        return known
    if reads_rows and _is_of_database(origin):
        return _said_of_rows(origin, line, quotes_text=bool(quotes))
    if not (is_operational(error) or _is_of_statement(origin)):
        of_drivers = (words for words in _OF_DRIVERS if line.startswith(words))
        return next(of_drivers, f"it failed with {type(origin).__name__}")
    return printable(line)[:_LONGEST_MESSAGE]


def is_operational(error: Exception) -> bool:
    """Tell whether an error is of the database's operation, not of what a row holds."""
    return any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)


def _is_of_database(error: BaseException) -> bool:
    """Tell whether SQLite or a server of PostgreSQL said it, and not what connects to a server."""
    return isinstance(error, sqlite3.Error) or getattr(error, "sqlstate", None) is not None


def _said_of_rows(error: BaseException, line: str, *, quotes_text: bool) -> str:
    """Return what an error says of rows, as far as it is known to hold no value of one."""
    if line in _FREE_OF_VALUES:
        return line
    if quotes_text and line.startswith("Could not decode to UTF-8 column "):
        return printable(line)[:_LONGEST_MESSAGE]
    for beginning in _BEFORE_A_VALUE:
        if line.startswith(beginning):
            return beginning
    return (
        f"it failed with {type(error).__name__}; its own words are not shown, for they may quote "
        "a record"
    )


def _is_of_statement(error: BaseException) -> bool:
    """Tell whether a statement was refused before any row was looked at.

    So it is where PostgreSQL names what is missing, may not be read, or cannot be done; and where a
    file is none of SQLite.
    """
    if getattr(error, "sqlite_errorname", None) in _NO_DATABASE:
        return True
    return str(getattr(error, "sqlstate", "")).startswith(("0A", "3F", "42"))


def _interrupt(error: BaseException, until: BaseException | None) -> BaseException | None:
    """Return the last interrupt that was being handled when an error was raised, if any."""
    context = error.__context__
    while context is not None and context is not until:
        if not isinstance(context, Exception):
            return context
        context = context.__context__
    return None
