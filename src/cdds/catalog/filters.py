"""Conditions that several lists share.

Place: below the tables' queries.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, false, func

from cdds.wording import line, sort_key


def belongs(table: Table, tenant: str, owners: frozenset[str] | None) -> ColumnElement[bool]:
    """Return the condition that a row is of a tenant, and of some owners only where given."""
    condition = table.c.tenant == tenant
    if owners is None:
        return condition
    if len(owners) == 1:
        return condition & (table.c.owner == next(iter(owners)))
    return condition & table.c.owner.in_(sorted(owners))


def aside(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the same condition, asked only of rows that are found by others.

    A database takes conditions to be independent of each other, and SQLite knows nothing of how
    many rows meet one. So it would follow the index of all of a tenant for what another index finds
    at once. No index serves this form.
    """
    return func.coalesce(condition, false())


def contains(query: Select[Any], column: Column[Any], text: str | None) -> Select[Any]:
    """Keep what holds a text, without regard to case; None keeps all.

    Raises:
        JobError: the text cannot be searched for.
    """
    if text is None:
        return query
    key = sort_key(line(text, "the title to look for"))
    return query.where(column.contains(key, autoescape=True))
