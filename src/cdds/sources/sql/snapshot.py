"""One consistent view of a database: the selected rows of all data files of a run.

Place: what a source of SQL hands to the exporter: lines, counts and sizes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from datetime import timedelta
from functools import cached_property
from typing import Any

from cdds.errors import SourceError
from cdds.model import Selection
from cdds.protocols import Lines
from cdds.sources.sql.batches import Pace, batched
from cdds.sources.sql.selecting import Extract, orphans, selected
from cdds.sources.sql.session import Session

_SAMPLE = 64
_LARGE_SAMPLE = 1024 * 1024
"""So many rows, or bytes where they are large, tell how large a record is."""
_LONGEST_COUNT = timedelta(seconds=10)
"""How long it may take to count what is told for information alone: it looks at all rows."""


class SqlSnapshot:
    """The selected rows of a database, as they were when the snapshot was opened.

    Args:
        session: a transaction that reads.
        extracts: the rows of each data file by its name, parents first.
        selection: which of them are wanted.
        pace: how fast they may be read.
        reporting: turns errors of the database into those of this library.
        notes: what the source has to say to whom it is exported for.
        missed: what else no export holds, each in words that follow a number, with the statement
            that counts it.
    """

    def __init__(
        self,
        session: Session,
        extracts: Mapping[str, Extract],
        selection: Selection,
        *,
        pace: Pace,
        reporting: Callable[[], AbstractContextManager[None]],
        notes: tuple[str, ...] = (),
        missed: Mapping[str, str] | None = None,
    ) -> None:
        self._session = session
        self._all = extracts
        self._selected = selected(session, extracts, selection)
        self._dated = selected(session, extracts, selection, undated=False)
        self._pace = pace
        self._reporting = reporting
        self._notes = notes
        self._missed = missed or {}
        if not session.answers_midway:
            _ = self._size

    def has(self, data_file: str) -> bool:
        """Return whether there is a query for a data file."""
        return data_file in self._selected

    def lines(self, data_file: str) -> Generator[Lines]:
        """Yield the selected rows of a data file as lines, in no order.

        Raises:
            SourceError: the database failed.
        """
        extract = self._selected.get(data_file)
        if extract is None:
            return
        with self._reporting():
            rows = self._session.lines(extract.query, extract.columns, at_once=self._pace.most)
            with closing(rows):
                yield from batched(rows, data_file, self._pace)

    def records(self, data_file: str) -> Iterator[dict[str, Any]]:
        """Yield the selected rows one by one; the exporter takes `lines` instead."""
        for lines in self.lines(data_file):
            yield from map(json.loads, io.BytesIO(lines.data))  # which reads any number and escape

    def count(self, data_file: str) -> int:
        """Return how many rows of a data file are selected; the database counts them.

        Those without a time are read, so that the exporter can tell of them, and not counted where
        there is a time frame.

        Raises:
            SourceError: the database failed.
        """
        extract = self._dated.get(data_file)
        if extract is None:
            return 0
        with self._reporting():
            return int(self._session.value(f"SELECT count(*) FROM ({extract.query}) AS q"))

    def size(self) -> int | None:
        """Return about how many bytes of lines will be read, for progress.

        Raises:
            SourceError: the database failed.
        """
        return self._size

    @cached_property
    def _size(self) -> int:
        with self._reporting():
            return sum(map(self._estimated_size, self._selected.values()))

    def _estimated_size(self, extract: Extract) -> int:
        return round(self._session.estimate(extract.query) * self._mean_size(extract))

    def _mean_size(self, extract: Extract) -> float:
        sizes: list[int] = []
        with closing(self._session.lines(extract.query, extract.columns, limit=_SAMPLE)) as rows:
            for line in rows:
                sizes.append(len(line))
                if sum(sizes) >= _LARGE_SAMPLE:
                    break
        return sum(sizes) / len(sizes) if sizes else 0.0

    def notes(self) -> tuple[str, ...]:
        """Return what a person should know of what was read, in sentences.

        What would take long to be told, or fails, is not told: all that is exported was read.
        """
        told = list(self._notes)
        for what, statement in self._missed.items():
            told += self._told_of(what, statement, "no export holds them")
        for what, statement in self._orphans():
            told += self._told_of(what, statement, "no time frame selects them")
        return tuple(told)

    def _orphans(self) -> Iterator[tuple[str, str]]:
        for name, extract in self._all.items():
            parent = self._all.get(extract.file.parent or "")
            # Where nothing is left out, the exporter sees them for itself.
            if parent is None or self._selected[name] == extract:
                continue
            statement = orphans(self._session, extract, parent)
            if statement is not None:
                yield (
                    f"records of {name} belong to no record of {parent.file.name} at all",
                    statement,
                )

    def _told_of(self, what: str, statement: str, meaning: str) -> Iterator[str]:
        count = self._counted(statement)
        if count is None:
            yield f"how many {what} was not counted: it failed, or took too long"
        elif count:
            yield f"{count} {what}, so {meaning}"

    def _counted(self, statement: str) -> int | None:
        try:
            with self._reporting():
                return int(self._session.value(statement, _LONGEST_COUNT))
        except SourceError:
            return None
