"""Conditions that several lists share.

Place: below the tables' queries.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Select

from cdds.wording import line, sort_key


def owned(query: Select[Any], column: Column[Any], owners: frozenset[str] | None) -> Select[Any]:
    """Keep what belongs to some owners; None keeps all."""
    if owners is None:
        return query
    if len(owners) == 1:
        return query.where(column == next(iter(owners)))
    return query.where(column.in_(sorted(owners)))


def contains(query: Select[Any], column: Column[Any], text: str | None) -> Select[Any]:
    """Keep what holds a text, without regard to case; None keeps all.

    Raises:
        JobError: the text cannot be searched for.
    """
    if text is None:
        return query
    key = sort_key(line(text, "the title to look for"))
    return query.where(column.contains(key, autoescape=True))
