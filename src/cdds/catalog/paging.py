"""Pages of a list, read along an index by keys: the last page costs what the first one does.

Place: below the tables' queries. Where the next page begins is told by a token, which holds the
sort and the keys of the last row. It gives no rights: a changed one can only lead elsewhere in what
the caller may see.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeAlias, TypeVar

import attrs
from sqlalchemy import Column, Connection, Row, Select, literal, tuple_

from cdds.catalog.columns import EARLIEST, Moment
from cdds.errors import JobError

T = TypeVar("T")
Sorts: TypeAlias = Mapping[str, tuple[Column[Any], ...]]
"""What a list can be sorted by: the columns of an index, of which the last is unique."""

MAX_LIMIT = 500


@attrs.frozen
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        items: the entries, in order.
        next: what to pass as `after` for the page that follows; None on the last one.
    """

    items: tuple[T, ...]
    next: str | None = None


@attrs.frozen(kw_only=True)
class Order:
    """How a list is sorted, and which part of it is wanted.

    Attributes:
        sort: one of the list's sorts.
        descending: whether the largest comes first.
        after: the `next` of the page before; None for the first page.
        limit: the most entries of the page, 1 to 500.
    """

    sort: str
    descending: bool = False
    after: str | None = None
    limit: int = 50


def read_page(
    connection: Connection, query: Select[Any], sorts: Sorts, order: Order
) -> tuple[list[Row[Any]], str | None]:
    """Return the rows of a page, and the token of the next.

    Raises:
        JobError: there is no such sort, the token belongs to another list, or the limit is none.
    """
    limit = _limit(order.limit)
    columns = _columns(sorts, order.sort)
    if order.after is not None:
        keys = _keys(order, columns)
        position = tuple_(*columns)
        query = query.where(position < keys if order.descending else position > keys)
    ordering = [column.desc() if order.descending else column.asc() for column in columns]
    rows = list(connection.execute(query.order_by(*ordering).limit(limit + 1)))
    more = len(rows) > limit
    rows = rows[:limit]
    return rows, _token(order, columns, rows[-1]) if more else None


def _limit(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_LIMIT:
        raise JobError(f"the limit of a page is a whole number from 1 to {MAX_LIMIT}")
    return value


def _columns(sorts: Sorts, sort: object) -> tuple[Column[Any], ...]:
    if not isinstance(sort, str) or sort not in sorts:
        raise JobError(f"this list can be sorted by {', '.join(sorts)}")
    return sorts[sort]


def _token(order: Order, columns: Sequence[Column[Any]], row: Row[Any]) -> str:
    values = [_to_json(column, row._mapping[column]) for column in columns]  # noqa: SLF001
    text = json.dumps([order.sort, bool(order.descending), values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def _to_json(column: Column[Any], value: Any) -> Any:
    if not isinstance(column.type, Moment):
        return value
    return (value or column.type.none or EARLIEST).isoformat()


def _keys(order: Order, columns: Sequence[Column[Any]]) -> Any:
    refusal = JobError("after is no token of a page of this list in this order")
    try:
        sort, descending, values = json.loads(base64.urlsafe_b64decode(str(order.after)))
        if (sort, descending) != (order.sort, bool(order.descending)):
            raise refusal
        keys = [_from_json(column, value) for column, value in zip(columns, values, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise refusal from None
    return tuple_(*keys)


def _from_json(column: Column[Any], value: Any) -> Any:
    if isinstance(column.type, Moment):
        value = datetime.fromisoformat(value)
        if value.tzinfo is None:
            raise ValueError
        value = value.astimezone(UTC)
    elif not isinstance(value, column.type.python_type) or not _fits(value):
        raise TypeError
    return literal(value, column.type)


def _fits(value: object) -> bool:
    """Tell whether every database takes a value."""
    if isinstance(value, int):
        return abs(value) < 2**63 and not isinstance(value, bool)
    return "\0" not in str(value).encode().decode()  # half a surrogate pair cannot be encoded
