"""SQLite as a source: rows are read in this process, and written as JSON here.

    query --> rows of values --> a mapping of properties, without NULLs --> lines

Place: one of the two databases of this room. SQLite has types of values and not of columns, so a
declared type is a hint, and each value is taken for what it is. It never writes to the database.
"""

from __future__ import annotations

import math
import os
import re
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import compress
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias
from urllib.parse import quote

import attrs
import orjson
import pybase64
from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import NullPool

from cdds.database import shown
from cdds.errors import SourceError
from cdds.sources.sql.columns import Column, Kind
from cdds.sources.sql.json_text import json_text
from cdds.sources.sql.quoting import identifier, literal
from cdds.timestamps import parse_timestamp

_WAIT = 30
"""The seconds to wait for a database that others hold locked."""
_CACHE = 8 * 1024
"""The KiB of pages that are held: those of indexes are asked for over and over."""
_STEPS = 20_000
"""After so many steps of its machine, SQLite asks whether it may go on."""

_MOST_SHAPES = 1000
"""So many combinations of types are remembered; rows with few NULLs have some ten."""
_USUAL = re.compile(
    r"(?!0000)\d{4}-(?:"
    r"(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"[ T](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}",
    re.ASCII,
)
"""A time that is nearly as it shall be, as most are; of leap days it does not know."""

Convert: TypeAlias = Callable[[Any], Any]


@attrs.frozen
class SQLite:
    """A file of SQLite, which is only read.

    Attributes:
        url: where it is.
        timeout: how long it may take to find the next rows; None for as long as it wants.
    """

    url: URL = attrs.field(repr=False)
    timeout: timedelta | None

    dialect = sqlite.dialect(paramstyle="named")

    @contextmanager
    def snapshot(self) -> Iterator[SQLiteSnapshot]:
        """Open a transaction that reads what is committed now, and nothing that comes later."""
        if self.url.database in {None, "", ":memory:"}:
            raise SourceError("a database in memory has nothing to be exported; give a file")
        if not Path(str(self.url.database)).is_file():
            raise SourceError(f"the database {shown(self.url)}: there is no such file")
        engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
        connection = engine.connect()
        try:
            driver: Any = connection.connection.driver_connection
            yield SQLiteSnapshot(connection, driver, self.timeout)
        finally:
            connection.invalidate()
            connection.close()

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """The errors of the driver, which is spoken to past SQLAlchemy."""
        return (sqlite3.Error,)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(str(self.url.database)))}?mode=ro",
            uri=True,
            timeout=_WAIT,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            # What is sorted, or looked up, would be written to the disk in clear text.
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute(f"PRAGMA cache_size = -{_CACHE}")
        except BaseException:
            connection.close()
            raise
        return connection


class SQLiteSnapshot:
    """A transaction that reads."""

    answers_midway = True

    def __init__(
        self, connection: Connection, driver: sqlite3.Connection, timeout: timedelta | None
    ) -> None:
        self.connection = connection
        self._driver = driver
        self._until = math.inf
        self._timeout = _seconds(timeout)
        driver.create_function("cdds_is_within", 3, _is_within, deterministic=True)
        driver.execute("BEGIN")
        driver.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it is fixed
        driver.set_progress_handler(self._is_late, _STEPS)

    def value(self, statement: str, within: timedelta | None = None) -> Any:
        """Return the one value that a statement finds."""
        self._begin(within)
        with self._interruptible():
            return self._driver.execute(statement).fetchone()[0]

    def estimate(self, query: str) -> float:
        """Return how many rows a query finds: SQLite does not guess."""
        return float(self.value(f"SELECT count(*) FROM ({query}) AS q"))

    def describe(self, query: str) -> list[tuple[str, Kind]]:
        """Return the columns of a query, and what they were declared to hold."""
        self._begin()
        # Only a view tells of which columns of tables those of a query are.
        self._driver.execute(f"CREATE TEMP VIEW cdds_columns AS SELECT * FROM ({query}) AS q")
        try:
            found = self._driver.execute("PRAGMA temp.table_info(cdds_columns)").fetchall()
        finally:
            self._driver.execute("DROP VIEW temp.cdds_columns")
        names = [name for _, name, *_ in found]
        _refuse_alike(names)
        return [(name, _kind(declared)) for _, name, declared, *_ in found]

    def is_within(
        self, columns: Sequence[Column], start: datetime | None, end: datetime | None
    ) -> str | None:
        """Return the condition that the first of some columns that is there lies in a span.

        What is no time passes, so that it is refused and not left out in silence.
        """
        names = [f"nullif(q.{identifier(column.name)}, '')" for column in columns]
        first = names[0] if len(names) == 1 else f"coalesce({', '.join(names)})"
        if start is None and end is None:
            return None
        usual = " AND ".join(
            f"{first} || '000' {sign} {literal(_written(border))}"
            for sign, border in ((">=", start), ("<", end))
            if border is not None
        )
        borders = ("NULL" if border is None else _since_epoch(border) for border in (start, end))
        # One call for a row: SQLite would make each call that an expression has. And bytes, for a
        # text that is no UTF-8 would fail it.
        value = f"CASE typeof({first}) WHEN 'text' THEN CAST({first} AS BLOB) END"
        other = "cdds_is_within({}, {}, {})".format(value, *borders)
        # What SQLite writes as it stands is a moment, and is told without a call of Python.
        is_usual = f"{first} >= '0001' AND strftime('%Y-%m-%d %H:%M:%f', {first}) = {first}"
        return f"CASE WHEN {is_usual} THEN {usual} ELSE {other} END"

    def ascii_lower(self, column: Column) -> str:
        """Return a column as a text whose ASCII letters are small."""
        return f"lower(CAST(q.{identifier(column.name)} AS TEXT))"

    def is_odd(self, column: Column) -> str:
        """Return the condition that a text holds what is not ASCII."""
        name = f"q.{identifier(column.name)}"
        return f"length(CAST({name} AS BLOB)) <> length({name})"

    def is_among(self, key: Column, other: Column, rows: str) -> str | None:
        """Return the condition that a key of a row ``q`` is one of those that rows ``p`` have.

        It may be met by more: SQLite tells 5 from '5', and a record may not.
        """
        if {key.kind, other.kind} != {Kind.ANY}:
            return None
        left, right = f"q.{identifier(key.name)}", f"p.{identifier(other.name)}"
        if self._is_indexed(right, rows):
            return f"EXISTS (SELECT 1 FROM {rows} WHERE {right} IN ({_alike(left)}))"
        # All keys are put into an index of its own then, which takes some 45 bytes for each.
        left, right = f"CAST({left} AS text)", f"CAST({right} AS text)"
        keys = f"SELECT {right} FROM {rows} WHERE {right} IS NOT NULL"
        return f"({left} IS NOT NULL AND {left} IN ({keys}))"

    def _is_indexed(self, column: str, rows: str) -> bool:
        """Return whether a value is found in rows without looking at all of them."""
        plan = self._driver.execute(
            f"EXPLAIN QUERY PLAN SELECT 1 FROM {rows} WHERE {column} IN ({_alike('?1')})", [None]
        )
        steps = [step for *_, step in plan]
        return all(step.startswith("SEARCH ") and " AUTOMATIC " not in step for step in steps)

    def lines(
        self,
        query: str,
        columns: Sequence[Column],
        *,
        at_once: int | None = None,  # noqa: ARG002 (SQLite reads row by row)
        limit: int | None = None,
    ) -> Generator[bytes]:
        """Yield the rows of a query as lines of JSON."""
        wanted = ", ".join(f"q.{identifier(column.name)}" for column in columns)
        statement = f"SELECT {wanted} FROM ({query}) AS q"
        if limit is not None:
            statement += f" LIMIT {limit}"
        shapes = _Shapes(columns)
        self._begin()
        with self._interruptible(), closing(self._driver.execute(statement)) as cursor:
            for row in cursor:  # one by one, for each may be large
                yield orjson.dumps(shapes.record(row), None, orjson.OPT_APPEND_NEWLINE)
                self._begin()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let Ctrl-C be Ctrl-C where it strikes what SQLite calls back, which takes it for a no.

        Raises:
            KeyboardInterrupt: it was neither too late nor anything that those raise themselves.
        """
        try:
            yield
        except sqlite3.OperationalError as error:
            is_stopped = str(error) == "interrupted" and not self._is_late()
            if is_stopped or str(error) == "user-defined function raised exception":
                raise KeyboardInterrupt from None
            raise

    def _begin(self, within: timedelta | None = None) -> None:
        self._until = time.monotonic() + min(self._timeout, _seconds(within))

    def _is_late(self) -> bool:
        return time.monotonic() > self._until


@attrs.frozen
class _Shape:
    """What becomes of rows whose values have the same types.

    Attributes:
        is_there: for each column, whether it is not NULL.
        names: the properties of those that are not.
        converted: the columns whose values are not JSON yet: the place in a row, the property, and
            what makes JSON of them.
    """

    is_there: tuple[bool, ...]
    names: tuple[str, ...]
    converted: tuple[tuple[int, str, Convert], ...]


class _Shapes:
    """Makes records of rows, most of which have the types of one before."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._known: dict[tuple[type, ...], _Shape] = {}

    def record(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return the properties of a row, without those that are NULL."""
        types = tuple(map(type, row))
        shape = self._known.get(types)
        if shape is None:
            shape = self._learned(types)
        record = dict(zip(shape.names, compress(row, shape.is_there), strict=True))
        for place, name, convert in shape.converted:
            record[name] = convert(row[place])
        return record

    def _learned(self, types: tuple[type, ...]) -> _Shape:
        there = [
            (place, column.label, _converter(column, of))
            for place, (column, of) in enumerate(zip(self._columns, types, strict=True))
            if of is not NoneType
        ]
        shape = _Shape(
            tuple(of is not NoneType for of in types),
            tuple(name for _, name, _ in there),
            tuple((place, name, convert) for place, name, convert in there if convert is not None),
        )
        if len(self._known) >= _MOST_SHAPES:
            self._known.clear()
        self._known[types] = shape
        return shape


def _alike(value: str) -> str:
    return f"{value}, CAST({value} AS text), CAST({value} AS numeric)"


def _seconds(timeout: timedelta | None) -> float:
    return math.inf if timeout is None else timeout.total_seconds()


def _refuse_alike(names: Sequence[str]) -> None:
    """Refuse columns of one name: SQLite, which does not tell case, numbers the later ones."""
    known = {name.lower() for name in names}
    for name in names:
        first, _, number = name.rpartition(":")
        if number.isdecimal() and first.lower() in known:
            raise SourceError(
                f"a query has two columns of the name {first!a}; give them other names with AS"
            )


def _kind(declared: str) -> Kind:
    words = declared.upper()
    if "BOOL" in words:
        return Kind.BOOLEAN
    if "TIMESTAMP" in words or "DATETIME" in words:
        return Kind.TIMESTAMP
    return Kind.JSON if words.startswith("JSON") else Kind.ANY


def _converter(column: Column, of: type) -> Convert | None:
    """Return what makes JSON of a column's values of a type; None where they are JSON already."""
    if column.holds_json or (column.kind is Kind.JSON and not column.wants("string")):
        return _JSON.get(of)
    if of is str:
        return _time if column.kind is Kind.TIMESTAMP else None
    if column.wants("string"):
        return _binary if of is bytes else str
    if column.wants("boolean") or (column.kind is Kind.BOOLEAN and not column.wants("integer")):
        return _BOOLEAN.get(of)
    return _PLAIN.get(of)


def _json(value: str) -> Any:
    return _json_bytes(value.encode())


def _json_bytes(value: bytes) -> Any:
    """Return JSON as it stands; what is none as a text, which the schema refuses."""
    text = json_text(value)
    return value.decode("utf-8", "backslashreplace") if text is None else orjson.Fragment(text)


def _time(value: str) -> str:
    """Return a date and a time of day in ISO 8601 in UTC; any other text as it is."""
    if _USUAL.fullmatch(value):
        return f"{value[:10]}T{value[11:]}Z"
    try:
        moment = parse_timestamp(value)
    except (ValueError, OverflowError):
        return value
    precision = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _boolean(value: float) -> Any:
    return bool(value) if value in {0, 1} else _finite(value)


def _finite(value: float) -> Any:
    # JSON has no infinity, and a text says what the number was.
    return value if math.isfinite(value) else str(value)


def _binary(value: bytes) -> str:
    return pybase64.b64encode_as_string(value)


_PLAIN: Mapping[type, Convert] = {bytes: _binary, float: _finite}
_JSON: Mapping[type, Convert] = {str: _json, bytes: _json_bytes, float: _finite}
_BOOLEAN: Mapping[type, Convert] = {int: _boolean, float: _boolean, bytes: _binary}
"""What makes JSON of values of a type; those of others are JSON already."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _is_within(value: bytes | None, start: int | None, end: int | None) -> bool:
    """Tell whether a text is a moment in a span of microseconds, or none at all.

    In a database of UTF-16 none is, so that all are read, and the exporter selects.
    """
    if value is None:
        return True
    try:
        moment = _since_epoch(parse_timestamp(value.decode()))
    except (ValueError, OverflowError):
        return True
    return (start is None or start <= moment) and (end is None or moment < end)


def _written(moment: datetime) -> str:
    """Return a moment as SQLite writes one, with microseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _since_epoch(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
