"""What this room asks of a database: one transaction that reads.

Place: the seam between the source and its two databases. Each has a file of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, Dialect

from cdds.sources.sql.columns import Column, Kind


class Session(Protocol):
    """A transaction that reads what was committed when it began, and nothing that came later."""

    connection: Connection
    answers_midway: bool
    """Whether it can be asked for something else while rows are read."""

    def value(self, statement: str, within: timedelta | None = None) -> Any:
        """Return the one value that a statement finds.

        Args:
            statement: a SELECT.
            within: how long it may take, if that is less than any statement may. The transaction
                goes on after one that fails.
        """
        ...

    def estimate(self, query: str) -> float:
        """Return about how many rows a query finds, at little cost."""
        ...

    def describe(self, query: str) -> list[tuple[str, Kind]]:
        """Return the columns of a query, and what they hold.

        Raises:
            SourceError: one is of a type that no record can hold.
        """
        ...

    def is_within(
        self, columns: Sequence[Column], start: datetime | None, end: datetime | None
    ) -> str | None:
        """Return the condition that a row ``q`` lies in a span, or has no time.

        Args:
            columns: the times of a row; the first that is there counts.
            start: the first moment, in UTC; None for any.
            end: the first moment that is no more in the span; None for any.

        Returns:
            None where the database cannot tell, or there is no border.
        """
        ...

    def ascii_lower(self, column: Column) -> str:
        """Return a column of a row ``q`` as a text whose ASCII letters are small."""
        ...

    def is_odd(self, column: Column) -> str:
        """Return the condition that a text of a row ``q`` holds what is not ASCII."""
        ...

    def is_among(self, key: Column, other: Column, rows: str) -> str | None:
        """Return the condition that a key of a row ``q`` is one of those that some rows have.

        Args:
            key: a column of ``q``.
            other: a column of the rows.
            rows: a SELECT in parentheses, or a table, with the alias ``p``.

        Returns:
            None where the database cannot tell. Where there is doubt, the condition is met.
        """
        ...

    def lines(
        self,
        query: str,
        columns: Sequence[Column],
        *,
        at_once: int | None = None,
        limit: int | None = None,
    ) -> Generator[bytes]:
        """Yield the rows of a query as lines of JSON.

        Args:
            query: a SELECT.
            columns: what is taken of it, in their order.
            at_once: the most rows to ask the database for at once.
            limit: the most rows to read.
        """
        ...


class Database(Protocol):
    """A database that is only read."""

    @property
    def dialect(self) -> Dialect:
        """How SQLAlchemy writes statements for it."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """The errors of the driver, which is spoken to past SQLAlchemy."""
        ...

    def snapshot(self) -> AbstractContextManager[Session]:
        """Open a transaction that reads."""
        ...
