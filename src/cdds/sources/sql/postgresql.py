"""PostgreSQL as a source: its server writes the records as JSON, through a cursor of its own.

    query --> SELECT of pieces of a line --> DECLARE CURSOR, FETCH --> lines

Place: one of the two databases of this room. Most of a line is put together by the server, on its
own processor; only what is binary, or JSON in a text, is written here. NULLs are left out there.
It never writes to the database, and holds a few megabytes of rows at a time: those that are worked
at, and the next ones, which the server makes meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from inspect import GEN_CLOSED, getgeneratorstate
from itertools import chain, count
from socket import SHUT_RDWR, socket
from typing import Any, TypeAlias

import attrs
import orjson
import pybase64
from sqlalchemy import URL, Connection, Dialect, create_engine, text
from sqlalchemy.pool import NullPool

from cdds import database
from cdds.errors import SourceError
from cdds.sources.sql.ahead import read_ahead
from cdds.sources.sql.columns import Column, Kind
from cdds.sources.sql.json_text import json_text
from cdds.sources.sql.quoting import identifier, literal

_SETTINGS = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    # As many digits as tell a float from its neighbours.
    "extra_float_digits": "1",
    "statement_timeout": "0",
    # Two reads of a table in one snapshot have one order.
    "synchronize_seqscans": "off",
    # All rows are wanted, not the first ones soon.
    "cursor_tuple_fraction": "1",
    # Compiling expressions of a hundred columns takes longer than it saves.
    "jit": "off",
    "standard_conforming_strings": "on",
    # A slow sink keeps the transaction waiting.
    "idle_in_transaction_session_timeout": "0",
}
_NO_LONGER_THAN = (
    "SELECT set_config(name, new::text, true) FROM pg_settings, CAST(%s AS integer) AS new"
    " WHERE name = 'statement_timeout' AND (setting = '0' OR setting::integer > new)"
)
_FETCH = 1024 * 1024
"""The bytes that are fetched at once, more or less: so often the timeout begins anew."""
_MOST_ROWS = 2000
_GROWTH = 16
"""How many times as many rows may be fetched as the time before."""
_AT_ONCE = 2
"""The most rows that the driver holds at once."""
_MOST_HELD = 4 * _FETCH
"""So many bytes are held at most, besides one row, where rows are larger than those before."""

_CANCEL = 5.0
"""The seconds that a server has to take note that nobody waits for its answer."""

_CATEGORIES = {"S": Kind.TEXT, "E": Kind.TEXT, "I": Kind.TEXT, "T": Kind.TEXT, "V": Kind.TEXT}
_CATEGORIES |= {"A": Kind.ARRAY, "B": Kind.BOOLEAN}
_NAMES = {
    "int2": Kind.INTEGER,
    "int4": Kind.INTEGER,
    "int8": Kind.INTEGER,
    "numeric": Kind.NUMBER,
    "float4": Kind.FLOAT,
    "float8": Kind.FLOAT,
    "inet": Kind.ADDRESS,
    "bytea": Kind.BINARY,
    "json": Kind.JSON,
    "jsonb": Kind.JSON,
    "timestamp": Kind.TIMESTAMP,
    "timestamptz": Kind.MOMENT,
    "date": Kind.TEXT,
    "time": Kind.TEXT,
    "timetz": Kind.TEXT,
    "uuid": Kind.TEXT,
    "xml": Kind.TEXT,
}

_COMPARED_AS_THEY_ARE = ({Kind.INTEGER, Kind.NUMBER}, {Kind.BINARY}, {Kind.MOMENT})
"""Kinds of keys among which what is one in a record is one for the database."""
_COMPARED_AS_TEXT = {Kind.TEXT, Kind.ADDRESS, Kind.INTEGER, Kind.ANY}
"""Kinds of keys that a record has as the database casts them to text, so that they compare so.

Texts may be padded.
"""

Write: TypeAlias = Callable[[bytes], Sequence[bytes]]
"""Makes pieces of a line of what the server sent."""


@attrs.frozen
class PostgreSQL:
    """A database of PostgreSQL, which is only read.

    Attributes:
        url: where it is.
        timeout: how long a statement may take; None for as long as it wants.
    """

    url: URL = attrs.field(repr=False)
    timeout: timedelta | None

    @contextmanager
    def snapshot(self) -> Iterator[PostgreSQLSnapshot]:
        """Open a transaction that reads what is committed now, and nothing that comes later."""
        url = database.psycopg_url(self.url)  # whose cursors are spoken to below
        try:
            engine = create_engine(url, poolclass=NullPool)
        except ImportError as error:
            raise database.missing_driver("a source", error) from error
        connection = engine.connect()
        try:
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            for name, value in self._settings.items():
                setting = text("SELECT set_config(:name, :value, true)")
                connection.execute(setting, {"name": name, "value": value})
            snapshot = PostgreSQLSnapshot(connection)
            try:
                yield snapshot
            finally:
                snapshot.close()
        finally:
            connection.invalidate()  # nothing was written; one that is broken could not say so
            connection.close()

    @property
    def dialect(self) -> Dialect:
        """How queries are written for it."""
        from sqlalchemy.dialects import postgresql  # which takes 2 MB that SQLite needs not

        return postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """The errors of the driver, which is spoken to past SQLAlchemy."""
        from psycopg import Error

        return (Error,)

    @property
    def _settings(self) -> dict[str, str]:
        if self.timeout is None:
            return _SETTINGS
        milliseconds = max(1, self.timeout // timedelta(milliseconds=1))
        return _SETTINGS | {"statement_timeout": str(milliseconds)}


class PostgreSQLSnapshot:
    """A transaction that reads."""

    answers_midway = False

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._driver: Any = connection.connection.driver_connection
        self._numbers = count()
        self._readings: list[Generator[_Part]] = []

    def close(self) -> None:
        """End what is still being read, for the connection must not be closed meanwhile."""
        for parts in self._readings:
            if getgeneratorstate(parts) != GEN_CLOSED:
                self._interrupt()
                parts.close()

    def value(self, statement: str, within: timedelta | None = None) -> Any:
        """Return the one value that a statement finds."""
        if within is None:
            return self._execute(statement).fetchone()[0]
        from psycopg import Rollback

        found = None
        with self._driver.transaction():  # a savepoint, to which its settings are put back, too
            self._driver.execute(_NO_LONGER_THAN, [within // timedelta(milliseconds=1)])
            found = self.value(statement)
            raise Rollback
        return found

    def estimate(self, query: str) -> float:
        """Return about how many rows a query finds: the planner's guess."""
        (plan,) = self.value(f"EXPLAIN (FORMAT JSON) {query}")
        return float(plan["Plan"]["Plan Rows"])

    def describe(self, query: str) -> list[tuple[str, Kind]]:
        """Return the columns of a query, and what they hold.

        Raises:
            SourceError: one is of a type that no record can hold.
        """
        found = self._execute(f"SELECT * FROM ({query}) AS q LIMIT 0").description
        codes = [column.type_code for column in found]
        rows = self._driver.execute(
            "SELECT oid, typname, typcategory::text FROM pg_type WHERE oid = ANY(%s)", [codes]
        )
        types = {code: (name, category) for code, name, category in rows}
        return [(column.name, _kind(column.name, *types[column.type_code])) for column in found]

    def is_within(
        self, columns: Sequence[Column], start: datetime | None, end: datetime | None
    ) -> str | None:
        """Return the condition that the first of some columns that is there lies in a span.

        None where a column is no time for the database, so that it cannot tell.
        """
        if any(column.kind not in {Kind.TIMESTAMP, Kind.MOMENT} for column in columns):
            return None
        names = [f"q.{identifier(column.name)}" for column in columns]
        moment = names[0] if len(names) == 1 else f"COALESCE({', '.join(names)})"
        has_zone = any(column.kind is Kind.MOMENT for column in columns)
        bounds = [
            f"{moment} {sign} {_bound(border, has_zone)}"
            for sign, border in ((">=", start), ("<", end))
            if border is not None
        ]
        # What is no finite time is refused by the exporter, and not left out in silence.
        passing = [f"{moment} IS NULL", f"{moment} = 'infinity'", f"{moment} = '-infinity'"]
        return f"({' OR '.join([*passing, '(' + ' AND '.join(bounds) + ')'])})" if bounds else None

    def ascii_lower(self, column: Column) -> str:
        """Return a column as a text whose ASCII letters are small, whatever the locale."""
        return f'lower(q.{identifier(column.name)}::text COLLATE "C")'

    def is_odd(self, column: Column) -> str:
        """Return the condition that a text holds what is not ASCII."""
        name = f"q.{identifier(column.name)}::text"
        # In another encoding of the database, one byte may be a letter that is not ASCII.
        return f"octet_length(convert_to({name}, 'UTF8')) <> char_length({name})"

    def is_among(self, key: Column, other: Column, rows: str) -> str | None:
        """Return the condition that a key of a row ``q`` is one of those that rows ``p`` have.

        None where a record has one of them in a form of its own, which the server does not know.
        """
        left, right = f"q.{identifier(key.name)}", f"p.{identifier(other.name)}"
        kinds = {key.kind, other.kind}
        if not any(kinds <= alike for alike in _COMPARED_AS_THEY_ARE):
            if not kinds <= _COMPARED_AS_TEXT:
                return None
            left, right = _as_text(key, left), _as_text(other, right)
        return f"EXISTS (SELECT 1 FROM {rows} WHERE {right} = {left})"

    def lines(
        self,
        query: str,
        columns: Sequence[Column],
        *,
        at_once: int | None = None,
        limit: int | None = None,
    ) -> Generator[bytes]:
        """Yield the rows of a query as lines of JSON, as the server sends them."""
        pieces, writes = _pieces(columns)
        statement = f"SELECT {', '.join(pieces)} FROM ({query}) AS q"
        if limit is not None:
            statement += f" LIMIT {limit}"
        parts = read_ahead(
            self._parts(statement, min(at_once or _MOST_ROWS, _MOST_ROWS)),
            is_large=lambda part: part.size > _MOST_HELD,
            interrupt=self._interrupt,
        )
        self._readings.append(parts)
        with closing(parts):
            for row in chain.from_iterable(part.rows for part in parts):
                written = [
                    piece
                    for write, value in zip(writes, row, strict=True)
                    if value is not None
                    for piece in write(value)
                ]
                # Copied once, for they may be large: all but the comma they begin with.
                first = memoryview(written[0])[1:] if written else b""
                yield b"".join((b"{", first, *written[1:], b"}\n"))

    def _parts(self, statement: str, most: int) -> Generator[_Part]:
        name = f"cdds_rows_{next(self._numbers)}"
        self._execute(f"DECLARE {name} NO SCROLL CURSOR FOR {statement}")
        wanted = 1
        try:
            while wanted:
                rows = total = 0
                for part in self._fetch(name, wanted):
                    rows += len(part.rows)
                    total += part.size
                    yield part
                fitting = max(_FETCH * rows // max(total, 1), 1)
                wanted = min(fitting, most, _GROWTH * wanted) if rows else 0
        finally:
            self._close(name)

    def _fetch(self, name: str, wanted: int) -> Iterator[_Part]:
        """Yield the next rows of a cursor, in parts of a few megabytes.

        In general they are one part. The server is done with it then, however long whoever takes
        the rows is busy with them, and that does not count as the statement's time.
        """
        from psycopg import Capabilities
        from psycopg.types.string import ByteaBinaryLoader

        size = min(_AT_ONCE, wanted) if Capabilities().has_stream_chunked() else 1
        part = _Part()
        with self._driver.cursor() as cursor:
            cursor.adapters.register_loader("text", ByteaBinaryLoader)
            fetch = f"FETCH FORWARD {wanted} FROM {name}"
            stream = cursor.stream(fetch, binary=True, size=size)
            try:
                for row in stream:
                    part.add(row)
                    if part.size > _MOST_HELD:
                        yield part
                        part = _Part()
            finally:
                for _ in stream:  # what is not read is cancelled, and the transaction with it
                    pass
        yield part

    def _close(self, name: str) -> None:
        """Close the cursor, unless the transaction has failed, which has closed it already."""
        from psycopg.pq import TransactionStatus

        if self._driver.info.transaction_status == TransactionStatus.INTRANS:
            self._execute(f"CLOSE {name}")

    def _interrupt(self) -> None:
        """Let what waits for the server fail, on whatever thread; the transaction is over then."""
        from psycopg import Error

        with suppress(Error):
            self._driver.cancel_safe(timeout=_CANCEL)
        # A server that cannot be reached does not answer either.
        with suppress(OSError, Error), socket(fileno=os.dup(self._driver.fileno())) as connection:
            connection.shutdown(SHUT_RDWR)

    def _execute(self, statement: str) -> Any:
        # What is asked for in binary is one statement: a query could else end the transaction that
        # only reads, and write in another.
        return self._driver.execute(statement, binary=True)


@attrs.define
class _Part:
    """Rows that were fetched together, and their bytes."""

    rows: list[Sequence[bytes | None]] = attrs.field(factory=list)
    size: int = 0

    def add(self, row: Sequence[bytes | None]) -> None:
        self.rows.append(row)
        self.size += sum(map(len, filter(None, row)))


def _kind(column: str, name: str, category: str) -> Kind:
    kind = _NAMES.get(name, _CATEGORIES.get(category))
    if kind is None:
        raise SourceError(
            f"the column {column!a} is of the type {name!a}, which no record can hold; cast it to "
            "another one in the query"
        )
    return kind


def _as_text(column: Column, name: str) -> str:
    """Return a value as the text that a record has."""
    return f"abbrev({name})" if column.kind is Kind.ADDRESS else f"CAST({name} AS text)"


def _bound(moment: datetime, has_zone: bool) -> str:
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    return f"timestamptz '{text}+00'" if has_zone else f"timestamp '{text}'"


def _pieces(columns: Sequence[Column]) -> tuple[list[str], list[Write]]:
    """Return what the server sends of a row, and what makes a line of it."""
    pieces: list[str] = []
    writes: list[Write] = []
    texts: list[str] = []

    def close() -> None:
        if texts:
            # concat() leaves out what is NULL; it takes a hundred arguments at most.
            groups = [texts[start : start + 90] for start in range(0, len(texts), 90)]
            pieces.append(" || ".join(f"concat({', '.join(group)})" for group in groups))
            writes.append(_as_sent)
            texts.clear()

    for column in columns:
        name, label = f"q.{identifier(column.name)}", _label(column)
        is_text = column.kind is Kind.TEXT
        if (is_text or column.kind is Kind.BINARY) and column.holds_json:
            close()
            pieces.append(f"{name}::text" if is_text else name)
            writes.append(_json_writer(label))
        elif column.kind is Kind.BINARY:
            close()
            pieces.append(name)
            writes.append(_base64_writer(label))
        else:
            texts.append(f"{literal(label)} || {_EXPRESSIONS[column.kind](column, name)}")
    close()
    return pieces, writes


def _label(column: Column) -> str:
    return f",{orjson.dumps(column.label).decode()}:"


def _boolean(column: Column, name: str) -> str:
    if column.wants("integer"):
        return f"{name}::int"
    written = f"CASE WHEN {name} THEN 'true' WHEN NOT {name} THEN 'false' END"
    return f"to_json({written})::text" if column.wants("string") else written


def _integer(column: Column, name: str) -> str:
    if column.wants("boolean"):
        return f"CASE {name} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE {name}::text END"
    return _text(column, name) if column.wants("string") else name


def _number(column: Column, name: str) -> str:
    if column.wants("string"):
        return _text(column, name)
    return f"to_json({f'trim_scale({name})' if column.wants('integer') else name})::text"


def _float(column: Column, name: str) -> str:
    return _text(column, name) if column.wants("string") else f"to_json({name})::text"


def _json(column: Column, name: str) -> str:
    if column.wants("string"):
        return _text(column, name)
    return _on_one_line(f"{name}::text")


def _array(_: Column, name: str) -> str:
    return _on_one_line(f"to_json({name})::text")  # its elements may be JSON


def _on_one_line(text: str) -> str:
    # A line feed between tokens would end the line; within a string there is none.
    return f"replace({text}, E'\\n', ' ')"


def _text(_: Column, name: str) -> str:
    return f"to_json({name}::text)::text"


def _address(_: Column, name: str) -> str:
    return f"to_json({name})::text"  # a cast to text would add /32, or /128


def _moment(column: Column, name: str) -> str:
    return _timestamp(column, f"({name} AT TIME ZONE 'UTC')")


def _timestamp(column: Column, name: str) -> str:
    """Return a time in ISO 8601 in UTC: with milliseconds, or microseconds where it has some."""
    pattern = '\'"\\""YYYY-MM-DD"T"HH24:MI:SS.{}"Z\\""\''
    milliseconds, microseconds = (pattern.format(unit) for unit in ("MS", "US"))
    # Infinity, and years that ISO 8601 does not write in four digits, are as the server has them.
    return (
        f"CASE WHEN {name} < '0001-01-01' OR {name} >= '10000-01-01' THEN {_text(column, name)}"
        f" WHEN {name} = date_trunc('milliseconds', {name}) THEN to_char({name}, {milliseconds})"
        f" ELSE to_char({name}, {microseconds}) END"
    )


_EXPRESSIONS: Mapping[Kind, Callable[[Column, str], str]] = {
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.FLOAT: _float,
    Kind.TEXT: _text,
    Kind.ADDRESS: _address,
    Kind.JSON: _json,
    Kind.TIMESTAMP: _timestamp,
    Kind.MOMENT: _moment,
    Kind.ARRAY: _array,
}
"""For what is neither binary nor JSON in a text, the expression whose value is its JSON."""


def _base64_writer(label: str) -> Write:
    prefix = f'{label}"'.encode()
    encode = pybase64.b64encode
    return lambda value: (prefix, encode(value), b'"')


def _as_sent(value: bytes) -> Sequence[bytes]:
    return (value,) if value else ()  # where all that it was put together of is NULL


def _json_writer(label: str) -> Write:
    """Return what writes JSON as it stands.

    What is no JSON is written as a text, so that it stays one value, and the schema refuses it.
    """
    prefix = label.encode()

    def write(value: bytes) -> Sequence[bytes]:
        text = json_text(value)
        return prefix, text or orjson.dumps(value.decode("utf-8", "backslashreplace"))

    return write
