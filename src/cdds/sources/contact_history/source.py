"""Contact History out of a UCS database: interactions, documents, contacts, attributes.

Place: above the source of SQL, which it gives its queries: it looks at what a database has, and
joins the tables into the one merged record of the schema.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import attrs

from cdds import database
from cdds.errors import SourceError
from cdds.model import Dataset, Selection
from cdds.sources.contact_history.layout import LAYOUTS, TIMES, Layout
from cdds.sources.contact_history.mapping import FileMapping, look, map_files
from cdds.sources.contact_history.unreached import unreached_documents
from cdds.sources.sql.batches import Pace
from cdds.sources.sql.columns import Kind
from cdds.sources.sql.opening import TIMEOUT, checked_rate, checked_url, database_of, opened
from cdds.sources.sql.queries import described
from cdds.sources.sql.quoting import identifier, qualified
from cdds.sources.sql.selecting import Extract
from cdds.sources.sql.session import Session
from cdds.sources.sql.snapshot import SqlSnapshot


class ContactHistory:
    """A UCS database in SQLite or PostgreSQL, for the datasets ``Interaction`` and ``Contact``.

    `Interaction` is joined with `EmailIn`, `EmailOut`, `Chat`, `PhoneCall`, `Callback`, `CoBrowse`
    and the original document into one record in the order of the schema. The names of tables and
    columns are told apart without regard to case and underscores, and what is not found is told in
    the warnings of an export. All is read in one snapshot, as by `Sql`.

    Args:
        url: ``sqlite:///file.db`` or the path of a file, or ``postgresql://user@host/database``.
        password: the user's in PostgreSQL, so that it need not stand in the URL.
        schema: the schema of PostgreSQL that holds the tables; the first on the search path when
            left out.
        columns: where properties are that are not found, or not rightly: for a data file and a
            property a ``table.column``.
        timeout: how long one statement may take, of which an export makes many; a number is one of
            seconds, None as long as it wants.
        rows_per_second: the most rows that are read in a second, to spare the database.

    Raises:
        SourceError: the URL is none, or a limit is out of its range.

    >>> ContactHistory("postgresql://reader@replica/ucs", password=secret,
    ...     columns={"interaction": {"QUEUEENAME": "Interaction.LAST_QUEUE"}})
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        password: str | None = None,
        schema: str | None = None,
        columns: Mapping[str, Mapping[str, str]] | None = None,
        timeout: timedelta | float | None = TIMEOUT,
        rows_per_second: float | None = None,
    ) -> None:
        self._url = checked_url(url, password)
        self._database = database_of(self._url, timeout)
        self._schema = _checked_schema(schema)
        self._overrides = _checked_columns({} if columns is None else columns)
        self._rows_per_second = checked_rate(rows_per_second)

    def __repr__(self) -> str:
        return f"ContactHistory({database.shown(self._url)!r})"

    def snapshot(
        self, dataset: Dataset, selection: Selection
    ) -> AbstractContextManager[SqlSnapshot]:
        """Open a transaction that reads the records of a dataset.

        Raises:
            SourceError: it is no dataset of Contact History, or the database holds none.
            SourceUnavailable: the database cannot be reached.
            MissingDependency: the driver has to be installed.
        """
        _check(dataset)
        return self._snapshot(dataset, selection)

    def mapping(self, dataset: Dataset) -> dict[str, FileMapping]:
        """Return where the properties of each data file are in the database.

        Raises:
            SourceError: as for `snapshot`.
            SourceUnavailable: the database cannot be reached.
        """
        _check(dataset)
        with opened(self._database, self._url) as (session, reporting), reporting(reads_rows=False):
            return self._mapping(session, dataset)

    def _mapping(self, session: Session, dataset: Dataset) -> dict[str, FileMapping]:
        layouts = [LAYOUTS[file.name] for file in dataset.files]
        wanted = [layout.base for layout in layouts]
        wanted += [join.table for layout in layouts for join in layout.joins]
        tables = look(session.connection, self._schema, wanted)
        return map_files(dataset, tables, self._overrides)

    @contextmanager
    def _snapshot(self, dataset: Dataset, selection: Selection) -> Iterator[SqlSnapshot]:
        pace = Pace(self._rows_per_second)
        with opened(self._database, self._url) as (session, reporting):
            with reporting(reads_rows=False):
                mapping = self._mapping(session, dataset)
                queries = {name: self._query(LAYOUTS[name], mapping[name]) for name in mapping}
                extracts = {
                    name: _with_times(extract)
                    for name, extract in described(session, queries, dataset).items()
                }
            yield SqlSnapshot(
                session,
                extracts,
                selection,
                pace=pace,
                reporting=reporting,
                notes=_notes(dataset, mapping),
                missed=self._missed(session, mapping),
            )

    def _missed(self, session: Session, mapping: Mapping[str, FileMapping]) -> dict[str, str]:
        statement = unreached_documents(session, mapping, self._schema)
        if statement is None:
            return {}
        return {"documents are no interaction's original, and no attachment names them": statement}

    def _query(self, layout: Layout, mapping: FileMapping) -> str:
        aliases = {name: f"t{number}" for number, name in enumerate(mapping.tables)}
        columns = ", ".join(
            f"{aliases[table]}.{identifier(column)} AS {identifier(name)}"
            for name, (table, column) in mapping.columns.items()
        )
        base = mapping.tables[layout.base]
        query = (
            f"SELECT {columns} FROM {qualified(base.name, self._schema)} AS {aliases[layout.base]}"
        )
        for join in mapping.joins:
            alias = aliases[join.table]
            query += (
                f" LEFT JOIN {qualified(mapping.tables[join.table].name, self._schema)} AS {alias}"
                f" ON {alias}.{identifier(join.key)}"
                f" = {aliases[layout.base]}.{identifier(join.base_key)}"
            )
        return query


def _with_times(extract: Extract) -> Extract:
    """Return the rows of a data file, whose times are such in columns without a type, too."""
    columns = (
        attrs.evolve(column, kind=Kind.TIMESTAMP)
        if column.kind is Kind.ANY and column.label in TIMES
        else column
        for column in extract.columns
    )
    return attrs.evolve(extract, columns=tuple(columns))


def _check(dataset: Dataset) -> None:
    unknown = [file.name for file in dataset.files if file.name not in LAYOUTS]
    if unknown:
        raise SourceError(
            f"a UCS database holds the datasets Interaction and Contact, not {dataset.name}; "
            "use cdds.sources.Sql for tables of your own"
        )


def _checked_schema(schema: object) -> str | None:
    if schema is None or (isinstance(schema, str) and schema and database.is_sayable(schema)):
        return schema
    raise SourceError("schema= is the name of a schema, a text in UTF-8")


def _checked_columns(columns: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    if not _is_of_texts(columns):
        raise SourceError(
            "columns= has a table.column for each property of a data file; give it as "
            "{'interaction': {'QUEUEENAME': 'Interaction.MY_QUEUE'}}"
        )
    for name, places in columns.items():
        known = LAYOUTS[name].places if name in LAYOUTS else {}
        unknown = [field for field in places if field not in known]
        if name not in LAYOUTS or unknown:
            raise SourceError(
                f"columns= has {unknown[0] if name in LAYOUTS else name!a}, which Contact History "
                "does not know; give it as {'interaction': {'QUEUEENAME': 'Interaction.MY_QUEUE'}}"
            )
    return columns


def _is_of_texts(columns: object) -> bool:
    """Whether it has the form of overrides, whatever these name: a host may have it from a file."""
    return isinstance(columns, Mapping) and all(
        isinstance(places, Mapping) and all(isinstance(place, str) for place in places.values())
        for places in columns.values()
    )


def _notes(dataset: Dataset, mapping: Mapping[str, FileMapping]) -> tuple[str, ...]:
    notes = []
    for file in dataset.files:
        if file.name not in mapping:
            notes.append(f"the database has no table for {file.name}, so there are none of them")
            continue
        unmapped = mapping[file.name].unmapped
        unused = mapping[file.name].unused
        if unmapped:
            notes.append(f"the database has no column for {file.name}: {', '.join(unmapped)}")
        if unused:
            notes.append(f"these columns are no property of {file.name}: {', '.join(unused)}")
    return tuple(notes)
