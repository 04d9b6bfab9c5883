"""Tables and queries of a database as the data files of a dataset.

Place: a source like any other; it joins the queries that a host gives with the database that they
are put to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from cdds import database
from cdds.errors import SourceError
from cdds.model import Dataset, Selection
from cdds.sources.memory import refuse_unknown
from cdds.sources.sql.batches import Pace
from cdds.sources.sql.opening import TIMEOUT, checked_rate, checked_url, database_of, opened
from cdds.sources.sql.queries import Query, compiled, described
from cdds.sources.sql.snapshot import SqlSnapshot


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
        SourceError: the URL or a query is none, there is no query, or a limit is out of its range.

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
        if not queries:
            raise SourceError(
                "a source of SQL has no query, so it would export nothing; give a SELECT for each "
                "data file by its name, or read a UCS database as ContactHistory, or by a URL that "
                "begins with ucs+"
            )
        self._url = checked_url(url, password)
        self._database = database_of(self._url, timeout)
        self._rows_per_second = checked_rate(rows_per_second)
        self._queries = {
            name: compiled(query, name, self._database.dialect) for name, query in queries.items()
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
