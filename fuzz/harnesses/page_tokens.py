"""Any text after which a page is asked for is the token of one, or is refused with `JobError`.

What it leads to is what follows somewhere in the list, in its order, and no more of it than a page.
The list is sorted by each of three kinds of column, up and down.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, create_engine, select
from sqlalchemy.pool import StaticPool

from cdds.catalog.columns import Moment
from cdds.catalog.paging import Order, read_page
from cdds.errors import JobError

READS = ("cdds.catalog.paging",)
WORDS = (
    *(b"WyJuYW1lIixmYWxzZSxb", b"WyJudW1iZXIiLHRydWUsW", b"==", b"XV0=", b"bnVsbA", b"-", b"_"),
    *(b'["name",false,["', b'["number",true,[', b'["moment",false,["', b"\\u0000", b"\\ud800"),
    *(b"2025-01-02T00:00:00.000001+00:00", b"9223372036854775808", b"null", b"true"),
)

NAMES = ("a", "b", "ü", "z'; --")
_START = datetime(2025, 1, 1, tzinfo=UTC)
_TABLE = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String),
    Column("moment", Moment()),
)
SORTS = {
    "name": (_TABLE.c.name, _TABLE.c.id),
    "moment": (_TABLE.c.moment, _TABLE.c.id),
    "number": (_TABLE.c.id,),
}
LIMIT = 3


def check(data: bytes) -> None:
    """Check the invariant for a text, and for what may be in a token."""
    _check_token(data.decode("utf-8", "surrogateescape"))
    _check_token(urlsafe_b64encode(data).decode())


def _check_token(text: str) -> None:
    for sort, descending in product(SORTS, (False, True)):
        order = Order(sort=sort, descending=descending, after=text, limit=LIMIT)
        try:
            rows, following = page(order)
        except JobError:
            continue
        whole = everything(sort, descending)
        first = whole.index(rows[0]) if rows else len(whole)
        assert rows == whole[first : first + LIMIT]
        assert (following is None) == (first + LIMIT >= len(whole))


def page(order: Order) -> tuple[list[int], str | None]:
    """Return which rows a page has, and the token of the next."""
    rows, following = read_page(_connection(), select(_TABLE), SORTS, order)
    return [row.id for row in rows], following


@cache
def everything(sort: str, descending: bool) -> list[int]:
    """Return which rows the whole list has, in order."""
    return page(Order(sort=sort, descending=descending, limit=len(NAMES) * 3))[0]


@cache
def _connection() -> Connection:
    connection = create_engine("sqlite://", poolclass=StaticPool).connect()
    _TABLE.create(connection)
    days = (None, _START, _START + timedelta(days=1, microseconds=1))
    rows = [{"name": name, "moment": day or _START} for name, day in product(NAMES, days)]
    connection.execute(_TABLE.insert(), rows)
    return connection
