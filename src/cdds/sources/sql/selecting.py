"""A selection as the database makes it: time frame, media types, and the records they belong to.

Place: between the queries of a source and its databases. It leaves out only what the exporter would
leave out, too: where a database cannot tell, a record passes, and the exporter selects again.
"""

from __future__ import annotations

import string
from collections.abc import Mapping

import attrs

from cdds.model import DataFile, Selection
from cdds.sources.sql.columns import Column
from cdds.sources.sql.quoting import identifier, literal
from cdds.sources.sql.session import Session

_BLANKS = string.whitespace + "\x1c\x1d\x1e\x1f"
"""What the exporter leaves out at both ends of a media type."""


@attrs.frozen
class Extract:
    """The rows of one data file: a query and its columns.

    Attributes:
        file: the data file.
        query: a SELECT.
        columns: what it gives, in the order of the schema.
    """

    file: DataFile
    query: str
    columns: tuple[Column, ...]

    def column(self, name: str | None) -> Column | None:
        """Return the column that becomes a property."""
        return next((column for column in self.columns if column.label == name), None)

    def where(self, condition: str | None) -> Extract:
        """Return the rows of these that meet a condition on ``q``."""
        if condition is None:
            return self
        return attrs.evolve(self, query=f"SELECT q.* FROM ({self.query}) AS q WHERE {condition}")


def selected(
    session: Session,
    extracts: Mapping[str, Extract],
    selection: Selection,
    *,
    undated: bool = True,
) -> dict[str, Extract]:
    """Return the rows that a selection wants, of each data file; parents come before children.

    Where there is a time frame, `undated` says whether rows without a time are among them.
    """
    chosen: dict[str, Extract] = {}
    for name, extract in extracts.items():
        conditions = [
            _is_of_media_types(session, extract, selection),
            _is_in_timeframe(session, extract, selection),
            None if undated else _has_time(extract, selection),
            _is_of_parent(session, extract, extracts, chosen),
        ]
        met = " AND ".join(condition for condition in conditions if condition is not None)
        chosen[name] = extract.where(met or None)
    return chosen


def orphans(session: Session, child: Extract, parent: Extract) -> str | None:
    """Return what counts the rows that belong to no row of another data file at all.

    None where the database cannot tell.
    """
    key, parent_key = child.column(child.file.parent_key), parent.column(parent.file.key)
    if key is None or parent_key is None:
        return None
    known = session.is_among(key, parent_key, f"({parent.query}) AS p")
    return None if known is None else f"SELECT count(*) FROM ({child.query}) AS q WHERE NOT {known}"


def _is_of_media_types(session: Session, extract: Extract, selection: Selection) -> str | None:
    column = extract.column(extract.file.media_type)
    if column is None or not selection.media_types:
        return None
    name = session.ascii_lower(column)
    wanted = ", ".join(literal(media_type) for media_type in sorted(selection.media_types))
    # It is casefold() for ASCII alone; the exporter compares what is not.
    return f"(trim({name}, {literal(_BLANKS)}) IN ({wanted}) OR {session.is_odd(column)})"


def _is_in_timeframe(session: Session, extract: Extract, selection: Selection) -> str | None:
    timeframe = selection.timeframe
    known = _timestamps(extract)
    if timeframe is None or not known:
        return None
    return session.is_within(known, timeframe.start, timeframe.end)


def _has_time(extract: Extract, selection: Selection) -> str | None:
    known = _timestamps(extract)
    if selection.timeframe is None or not known:
        return None
    return "({})".format(" OR ".join(f"CAST(q.{_name(column)} AS text) <> ''" for column in known))


def _timestamps(extract: Extract) -> list[Column]:
    columns = [extract.column(name) for name in extract.file.timestamps]
    return [column for column in columns if column is not None]


def _is_of_parent(
    session: Session,
    extract: Extract,
    extracts: Mapping[str, Extract],
    chosen: Mapping[str, Extract],
) -> str | None:
    name = extract.file.parent
    if name is None or name not in chosen or chosen[name] == extracts[name]:
        return None
    parent, key = chosen[name], extract.column(extract.file.parent_key)
    parent_key = parent.column(parent.file.key)
    if key is None or parent_key is None:
        return None
    return session.is_among(key, parent_key, f"({parent.query}) AS p")


def _name(column: Column) -> str:
    return identifier(column.name)
