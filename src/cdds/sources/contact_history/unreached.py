"""Documents of a UCS database that belong to no interaction, so that no export can hold them.

Place: beside the queries of Contact History, of whose joins it makes the one that counts what these
leave out. It reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cdds.sources.contact_history.mapping import FileMapping
from cdds.sources.sql.columns import Column, Kind
from cdds.sources.sql.quoting import qualified
from cdds.sources.sql.session import Session

_TABLE = "Document"


def unreached_documents(
    session: Session, mapping: Mapping[str, FileMapping], schema: str | None
) -> str | None:
    """Return what counts the documents that are nobody's original, and that no attachment names.

    None where the database keeps neither, so that there is nothing that could be left out.
    """
    conditions = list(_conditions(session, mapping, schema))
    if len(conditions) < len(mapping):
        return None
    table = next(iter(mapping.values())).tables[_TABLE].name
    return f"SELECT count(*) FROM {qualified(table, schema)} AS q WHERE {' AND '.join(conditions)}"


def _conditions(
    session: Session, mapping: Mapping[str, FileMapping], schema: str | None
) -> Iterator[str]:
    """Yield for each data file that holds documents the condition that one is none of it."""
    for file in mapping.values():
        for join in file.joins:
            if join.table == _TABLE:
                base = next(iter(file.tables.values()))
                rows = f"{qualified(base.name, schema)} AS p"
                known = session.is_among(_key(join.key), _key(join.base_key), rows)
                if known is not None:
                    yield f"NOT {known}"


def _key(name: str) -> Column:
    return Column(name, name, Kind.ANY, frozenset())
