"""What the columns of a query become in a record: names, and types that the schema asks for.

Place: the ground of this room, below both databases. It looks at names and types alone, never at
a value.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import attrs

from cdds.errors import SourceError
from cdds.json_schema import types_of
from cdds.model import DataFile


class Kind(enum.Enum):
    """What the values of a column are, whatever the database calls it."""

    BOOLEAN = enum.auto()
    INTEGER = enum.auto()
    NUMBER = enum.auto()
    """With decimals, or too large for an integer of 64 bits."""
    FLOAT = enum.auto()
    TEXT = enum.auto()
    ADDRESS = enum.auto()
    """A host with or without a network: what a cast to text writes is not what is printed."""
    BINARY = enum.auto()
    JSON = enum.auto()
    TIMESTAMP = enum.auto()
    """A date and a time of day without a zone, taken for UTC."""
    MOMENT = enum.auto()
    """A date and a time of day with a zone."""
    ARRAY = enum.auto()
    ANY = enum.auto()
    """Each value as it is: SQLite's columns without a declared type."""


@attrs.frozen
class Column:
    """A column of a query.

    Attributes:
        name: what the query calls it.
        label: the property that it becomes.
        kind: what its values are.
        types: the types of JSON that the schema allows for it; empty where it says nothing.
    """

    name: str
    label: str
    kind: Kind
    types: frozenset[str] = frozenset()

    @property
    def holds_json(self) -> bool:
        """Whether a text or a binary of it is JSON already, for the schema wants its structure."""
        return bool(self.types) and self.types <= {"object", "array", "null"}

    def wants(self, kind: str) -> bool:
        """Tell whether the schema asks for values of one type of JSON, besides null."""
        return self.types - {"null"} == {kind}


def columns_of(file: DataFile, found: Iterable[tuple[str, Kind]]) -> tuple[Column, ...]:
    """Return the columns of a query in the order of the schema, those it does not know last.

    A column is the property of its name; SQL does not tell the case of names, so one that differs
    in case alone is that property, too. The key and the others that the data file names itself are
    properties, whether the schema knows them or not.

    Raises:
        SourceError: two columns are one property.
    """
    known_names = file.known_names
    by_case: dict[str, list[str]] = {}
    for name in known_names:
        by_case.setdefault(name.casefold(), []).append(name)
    columns: dict[str, Column] = {}
    for name, kind in found:
        alike = by_case.get(name.casefold(), [])
        known = name if name in known_names or len(alike) != 1 else alike[0]
        if known in columns:
            raise SourceError(
                f"data file {file.name}: the columns {columns[known].name!a} and {name!a} of its "
                "query would be one property; give them other names with AS"
            )
        columns[known] = Column(name, known, kind, types_of(file.properties.get(known)))
    order = {name: number for number, name in enumerate(known_names)}
    return tuple(sorted(columns.values(), key=lambda column: order.get(column.label, len(order))))
