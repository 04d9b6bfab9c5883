"""Finds the tables and columns of a UCS database, however a deployment spells them.

Place: between the layout and the queries. Names are told apart without regard to case and
underscores. What is not found is reported, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, cast

import attrs
from sqlalchemy import Connection, Inspector, inspect

from cdds.errors import SourceError
from cdds.model import Dataset
from cdds.sources.contact_history.layout import LAYOUTS, Join, Layout
from cdds.sources.sql.quoting import qualified

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql.base import PGInspector

_MOST_NAMES = 12
"""So many tables are named at most where one is missing."""


@attrs.frozen
class Table:
    """A table as it is in the database: its own name, and those of its columns."""

    name: str
    columns: Mapping[str, str]
    """The columns by their plain names."""

    @classmethod
    def of(cls, name: str, columns: Iterable[str]) -> Table:
        """Return a table; of columns that spell one name, the one without underscores is it."""
        found: dict[str, str] = {}
        for column in sorted(columns, key=lambda column: column.count("_")):
            found[column if plain(column) in found else plain(column)] = column
        return cls(name, found)

    def find(self, column: str) -> str | None:
        """Return the column's own name, if there is one."""
        return column if column in self.columns.values() else self.columns.get(plain(column))


@attrs.frozen
class FileMapping:
    """Where the records of one data file come from.

    Attributes:
        tables: the tables that there are, by their names in the layout.
        joins: how they are joined, with the columns' own names.
        columns: for each property its table, by its name in the layout, and its column.
        unmapped: the properties that no column was found for.
        unused: the columns that no property of any data file was found for, as ``table.column``.
    """

    tables: Mapping[str, Table]
    joins: tuple[Join, ...]
    columns: Mapping[str, tuple[str, str]]
    unmapped: tuple[str, ...]
    unused: tuple[str, ...]


def plain(name: str) -> str:
    """Return a name without what deployments differ in."""
    return name.replace("_", "").casefold()


def look(connection: Connection, schema: str | None, wanted: Iterable[str]) -> dict[str, Table]:
    """Return the wanted tables that there are, by their plain names.

    Raises:
        SourceError: there are several of one name.
    """
    inspector = inspect(connection)
    names: dict[str, list[str]] = {}
    for name in _names(inspector, schema):
        names.setdefault(plain(name), []).append(name)
    found = {}
    for key in map(plain, wanted):
        alike = sorted(names.get(key, []))
        if len(alike) > 1:
            raise SourceError(
                f"the database has more than one table of one name: {', '.join(alike)}; name the "
                "schema of the right one with schema=, or use cdds.sources.Sql"
            )
        if alike:
            # Looked at by its names alone: there are types that SQLAlchemy does not know.
            found[key] = Table.of(alike[0], _columns(connection, qualified(alike[0], schema)))
    return found


def _names(inspector: Inspector, schema: str | None) -> Iterator[str]:
    """Yield the names of all that can be selected from."""
    yield from inspector.get_table_names(schema)
    yield from inspector.get_view_names(schema)
    if inspector.dialect.name == "postgresql":
        of_postgresql = cast("PGInspector", inspector)
        yield from of_postgresql.get_materialized_view_names(schema)
        yield from of_postgresql.get_foreign_table_names(schema)


def _columns(connection: Connection, table: str) -> Iterable[str]:
    # Nothing in a name is a parameter.
    return connection.exec_driver_sql(
        f"SELECT * FROM {table} LIMIT 0", execution_options={"no_parameters": True}
    ).keys()


def map_files(
    dataset: Dataset, tables: Mapping[str, Table], overrides: Mapping[str, Mapping[str, str]]
) -> dict[str, FileMapping]:
    """Return the mapping of each data file of a dataset.

    The first data file must be there; one that belongs to another may be missing.

    Args:
        dataset: Contact History's interactions or contacts.
        tables: what there is, by plain names.
        overrides: for a data file and a property the ``table.column`` where it is.

    Raises:
        SourceError: a table or a key is missing, or an override names nothing.
    """
    mapped = {}
    for file in dataset.files:
        layout = LAYOUTS[file.name]
        if plain(layout.base) not in tables:
            if file.parent is not None:
                _refuse_overrides(file.name, layout.base, overrides)
                continue
            known = ", ".join(sorted(table.name for table in tables.values())[:_MOST_NAMES])
            raise SourceError(
                f"the database has no table {layout.base}, so it is no UCS database"
                + (f"; it has {known}" if known else "")
            )
        mapped[file.name] = _map(layout, tables, overrides.get(file.name, {}), file.name)
        for key in (file.key, file.parent_key):
            if key is not None and key not in mapped[file.name].columns:
                places = " or ".join(map(".".join, layout.places[key]))
                raise SourceError(
                    f"the database has no column for {key}, a key of {file.name}: there is no "
                    f"{places}; name another with columns="
                )
    return _without_what_others_use(mapped)


def _refuse_overrides(
    data_file: str, table: str, overrides: Mapping[str, Mapping[str, str]]
) -> None:
    for name in overrides.get(data_file, {}):
        raise SourceError(
            f"columns= has a place for {data_file}.{name}, but the database has no table {table}"
        )


def _without_what_others_use(mapped: Mapping[str, FileMapping]) -> dict[str, FileMapping]:
    """Tell of a column that no data file uses; the name of a document is one's, not another's."""
    used = {
        f"{file.tables[table].name}.{column}"
        for file in mapped.values()
        for table, column in file.columns.values()
    }
    return {
        name: attrs.evolve(
            file, unused=tuple(column for column in file.unused if column not in used)
        )
        for name, file in mapped.items()
    }


def _map(
    layout: Layout, tables: Mapping[str, Table], overrides: Mapping[str, str], data_file: str
) -> FileMapping:
    base = tables[plain(layout.base)]
    joins = []
    joined = {layout.base: base}
    for join in layout.joins:
        table = tables.get(plain(join.table))
        key = None if table is None else table.find(join.key)
        base_key = base.find(join.base_key)
        if table is not None and key is not None and base_key is not None:
            joined[join.table] = table
            joins.append(Join(join.table, key, base_key))
    columns = {
        name: place
        for name, places in layout.places.items()
        if (place := _first(places, joined)) is not None
    }
    columns |= {
        name: _overridden(place, joined, f"{data_file}.{name}") for name, place in overrides.items()
    }
    return FileMapping(
        tables=joined,
        joins=tuple(joins),
        columns=columns,
        unmapped=tuple(name for name in layout.places if name not in columns),
        unused=tuple(_unused(layout, joined, set(columns.values()))),
    )


def _first(
    places: Iterable[tuple[str, str]], tables: Mapping[str, Table]
) -> tuple[str, str] | None:
    for name, column in places:
        if name in tables and (found := tables[name].find(column)) is not None:
            return name, found
    return None


def _overridden(place: str, tables: Mapping[str, Table], what: str) -> tuple[str, str]:
    table, _, column = place.partition(".")
    names = {plain(name): name for name in tables}
    found = _first([(names.get(plain(table), ""), column)], tables)
    if found is None:
        raise SourceError(f"columns= has {place!a} for {what}, which is no table.column")
    return found


def _unused(
    layout: Layout, tables: Mapping[str, Table], used: set[tuple[str, str]]
) -> Iterator[str]:
    keys = {(join.table, plain(join.key)) for join in layout.joins}
    for name, table in tables.items():
        for key, column in table.columns.items():
            if (name, column) not in used and (name, key) not in keys:
                yield f"{table.name}.{column}"
