"""Records as Arrow batches, Parquet files and pandas frames, with the types of their schema.

Place: at the end of reading, for whoever has the data of an entry. It needs the extra ``arrow``,
and nothing else loads it. It proves nothing: what it is given must be proven already, or an error
must come before its end.

| in the schema | in Arrow |
|---|---|
| string | string |
| string, ``format: date-time``; the dates of Contact History | timestamp, microseconds in UTC |
| string, ``contentEncoding: base64`` | binary |
| integer | int64 |
| number | float64 |
| boolean | bool |
| object, array, several types, no type | string: the JSON text as it is written |
| what the schema does not know | one string ``additional_properties``: a JSON object of it all |

Any value may be missing; null is missing, too. Moments are read as time frames read them: without
a zone in UTC, without what is finer than a microsecond, and an empty text as none. Numbers become
the nearest of 64 bits. All else is exact, or refused: no value is lost or changed in silence.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from cdds.errors import JobError, MissingDependency, RecordError
from cdds.recipient.columns import Column, Columns, Kind, columns_of
from cdds.recipient.extraction import Extraction
from cdds.recipient.lines import CHUNK_SIZE, MAX_LINE_SIZE, faults_last, whole_lines
from cdds.recipient.rows import Row, Rows, Table, binaries_of, moments_of
from cdds.refusal import Refusal
from cdds.reject import Reject

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError as error:
    raise MissingDependency(
        f"tables of records need pyarrow: pip install 'cdds-sdk[arrow]' ({error})"
    ) from error

BATCH_ROWS = 4 * 1024
_MOST_VALUES = 1024 * 1024
_MOST_BYTES = 2**31 - 1  # an offset in a string column has 32 bits
_ROW_GROUP_SIZE = 16 * 1024 * 1024
_ROW_GROUP_ROWS = 1024 * 1024
_COMPRESSIONS = ("zstd", "snappy", "gzip", "lz4", "none")
_FAULTS = (pa.ArrowInvalid, OverflowError, Refusal)

_TIMESTAMP = pa.timestamp("us", "UTC")
_TYPES: dict[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TIMESTAMP: _TIMESTAMP,
    Kind.BINARY: pa.binary(),
    Kind.JSON: pa.string(),
}
_IS_JSON = {"contentMediaType": "application/json"}
_NULL = b"null"

# What Arrow and Python read alike, but for the years 0 and 10,000, which Python does not have.
_USUAL_MOMENT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
_FIRST_MOMENT, _LAST_MOMENT = -62_135_596_800_000_000, 253_402_300_799_999_999


class ArrowConverter:
    """Turns the data of one data file, as JSON Lines, into tables.

    Attributes:
        schema: the columns: those of the properties in their order, and the one of all others.

    Args:
        schema: the JSON Schema, draft 7, of the records.
        data_file: the name of the data file, for messages.
        origin: the name of its entry, for messages.
        timestamps: further properties that are moments in ISO 8601.
        texts: properties that stay as they are written, whatever the schema says: strings as they
            are, and all else as JSON text. So records can be read whose values do not keep to it.
        batch_rows: how many rows a batch has at most.
        batch_bytes: how many bytes of JSON a batch is made of, about.
        max_line_size: the longest line that is read, in bytes.

    Raises:
        JobError: a name is no property of the schema, or no string that could be a timestamp; or a
            size is below 1, or beyond what a batch can hold.

    >>> converter = ArrowConverter(schema, data_file="interaction")
    >>> converter.to_parquet(archive.open(entry), "interactions.parquet")
    """

    schema: pa.Schema

    def __init__(
        self,
        schema: Mapping[str, Any],
        *,
        data_file: str,
        origin: str = "",
        timestamps: Collection[str] = (),
        texts: Collection[str] = (),
        batch_rows: int = BATCH_ROWS,
        batch_bytes: int = CHUNK_SIZE,
        max_line_size: int = MAX_LINE_SIZE,
    ) -> None:
        if min(batch_rows, batch_bytes, max_line_size) < 1:
            raise JobError("batch_rows, batch_bytes and max_line_size are 1 or more")
        if 2 * batch_bytes + max_line_size > _MOST_BYTES:
            raise JobError("2 * batch_bytes + max_line_size must be below 2 GiB")
        self._columns = columns_of(schema, timestamps=timestamps, texts=texts)
        self._rows = Rows(self._columns)
        self._data_file = data_file
        self._origin = origin
        self._batch_bytes = batch_bytes
        self._batch_rows = min(batch_rows, _MOST_VALUES // (1 + len(self._columns.known)) or 1)
        self._max_line_size = max_line_size
        self.schema = _arrow_schema(self._columns)

    def batches(self, pieces: Iterable[bytes]) -> Iterator[pa.RecordBatch]:
        """Yield the records as batches, none of them empty.

        Args:
            pieces: the data of the data file, in pieces of any size. Empty lines are no records.

        Raises:
            RecordError: a line is too long or no JSON object, or holds a value that its column
                cannot; the message names the line and the field. Errors of `pieces` pass through,
                and come first: the pieces are read to their end before a record is found fault
                with.
        """
        pieces = iter(pieces)
        return faults_last(self._batches(pieces), pieces)

    def _batches(self, pieces: Iterable[bytes]) -> Iterator[pa.RecordBatch]:
        first = 1
        for lines in self._groups(pieces):
            batch = self._batch(lines, first)
            first += len(lines)
            if batch.num_rows:
                yield batch

    def to_arrow(self, pieces: Iterable[bytes]) -> pa.RecordBatchReader:
        """Return a reader of the batches, to be read once; its ``read_all()`` gives a table.

        It raises what `batches` raises while it is read.
        """
        return pa.RecordBatchReader.from_batches(self.schema, self.batches(pieces))

    def to_pandas(self, pieces: Iterable[bytes]) -> Any:
        """Return all records as a pandas ``DataFrame``, in memory.

        Integers and booleans are of the types ``Int64`` and ``boolean``, which can be missing: by
        NumPy's types they would become floating-point numbers, and large ones others.

        Raises:
            MissingDependency: pandas is not installed.
            RecordError: as `batches`.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingDependency(
                f"frames of records need pandas: pip install 'cdds-sdk[arrow]' ({error})"
            ) from error
        types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        return self.to_arrow(pieces).read_all().to_pandas(types_mapper=types.get)

    def to_parquet(
        self, pieces: Iterable[bytes], path: str | os.PathLike[str], *, compression: str = "zstd"
    ) -> None:
        """Write all records to a Parquet file, in bounded memory.

        The file gets its name when all are written and on the disk; until then it has a hidden
        name beside it, and whatever fails, nothing is left.

        Args:
            pieces: as for `batches`.
            path: the file, which must not be there yet; folders are made.
            compression: ``zstd``, ``snappy``, ``gzip``, ``lz4`` or ``none``.

        Raises:
            JobError: there is no such compression.
            ExportError: there is a file of that name, or it cannot be written.
            RecordError: as `batches`.
        """
        if compression not in _COMPRESSIONS:
            raise JobError(f"compression is one of {', '.join(_COMPRESSIONS)}")
        import pyarrow.parquet as pq

        target = Path(path).absolute()
        with (
            Extraction(target.parent, [target.name]) as extraction,
            extraction.file(target.name) as file,
            pq.ParquetWriter(file, self.schema, compression=compression) as writer,
        ):
            for table in _row_groups(self.batches(pieces)):
                writer.write_table(table, row_group_size=_ROW_GROUP_ROWS)

    def _groups(self, pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
        """Yield the lines that make one batch."""
        count = 0
        refusal: Refusal | None = None
        try:
            for chunk in whole_lines(
                pieces, size=self._batch_bytes, max_line_size=self._max_line_size
            ):
                lines = io.BytesIO(chunk)
                while group := list(islice(lines, self._batch_rows)):
                    count += len(group)
                    yield group
        except Refusal as caught:
            refusal = caught
        if refusal is not None:
            raise self._error(refusal, count + 1, "read it with a larger max_line_size")

    def _batch(self, lines: Sequence[bytes], first: int) -> pa.RecordBatch:
        table = self._rows.fast(lines)
        if table is not None:
            with suppress(*_FAULTS):
                return self._of_rows(*table)
        return self._of_rows(*self._with_care(lines, first))

    def _with_care(self, lines: Sequence[bytes], first: int) -> Table:
        rows: list[Row] = []
        others: list[bytes | None] = []
        for number, line in enumerate(lines, start=first):
            refusal: Refusal | None = None
            try:
                read = self._rows.careful(line)
            except Refusal as caught:
                refusal = caught.with_traceback(None)
            if refusal is not None:  # outside the handler: its context would hold the line
                raise self._error(refusal, number, self._advice(refusal.field))
            if read is not None:
                rows.append(read[0])
                others.append(read[1])
        return rows, others

    def _error(self, refusal: Refusal, line: int, advice: str) -> RecordError:
        reject = Reject(self._data_file, self._origin, line, refusal.rule, refusal.field)
        return RecordError(reject, advice)

    def _advice(self, field: str | None) -> str:
        kinds = {column.name: column.kind for column in self._columns.known}
        if field is None or kinds[field] is Kind.TEXT:
            return "read the records one by one"
        return "name the field in texts, and it is read as it is written"

    def _of_rows(self, rows: list[Row], others: list[bytes | None] | None) -> pa.RecordBatch:
        known = self._columns.known
        values = zip(*rows, strict=True) if rows else ((),) * len(known)
        arrays = [_array(column.kind, of) for column, of in zip(known, values, strict=True)]
        if self._columns.others is not None:
            arrays.append(_array(Kind.JSON, others or (None,) * len(rows)))
        return pa.record_batch(arrays, schema=self.schema)


def _arrow_schema(columns: Columns) -> pa.Schema:
    known = [_field(column) for column in columns.known]
    others = [] if columns.others is None else [_field(Column(columns.others, Kind.JSON))]
    return pa.schema(known + others)


def _field(column: Column) -> pa.Field:
    metadata = _IS_JSON if column.kind is Kind.JSON else None
    return pa.field(column.name, _TYPES[column.kind], metadata=metadata)


def _array(kind: Kind, values: Sequence[Any]) -> pa.Array:
    """Return one column of a batch.

    Raises:
        ArrowInvalid, OverflowError, Refusal: it cannot hold a value.
    """
    if values.count(None) == len(values):  # as is most of Contact History
        return pa.nulls(len(values), _TYPES[kind])
    convert = _CONVERTED.get(kind)
    return pa.array(values, _TYPES[kind]) if convert is None else convert(values)


def _json_texts(values: Sequence[Any]) -> pa.Array:
    texts = [None if value is None else bytes(value) for value in values]
    return pa.array([None if text == _NULL else text for text in texts], pa.string())


def _binaries(values: Sequence[str | None]) -> pa.Array:
    return pa.array(binaries_of(values), pa.binary())


def _timestamps(values: Sequence[str | None]) -> pa.Array:
    texts = pa.array(values, pa.string())
    if pc.all(pc.match_substring_regex(texts, _USUAL_MOMENT)).as_py():
        try:
            moments = pc.cast(texts, _TIMESTAMP)
        except pa.ArrowInvalid:  # no such day or hour
            pass
        else:
            ends = pc.min_max(moments)
            if ends["min"].value >= _FIRST_MOMENT and ends["max"].value <= _LAST_MOMENT:
                return moments
    return pa.array(moments_of(values), _TIMESTAMP)


_CONVERTED: dict[Kind, Callable[[Sequence[Any]], pa.Array]] = {
    Kind.JSON: _json_texts,
    Kind.BINARY: _binaries,
    Kind.TIMESTAMP: _timestamps,
}


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the batches, so many together as make a row group: small ones are slow to read."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= _ROW_GROUP_SIZE:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    if held:
        yield pa.Table.from_batches(held)
