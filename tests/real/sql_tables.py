"""Tables that tests read as sources, and what the exporter takes of them.

What is expected is said by the tests, or by a source in memory: nothing here selects or maps.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import orjson
import sqlalchemy

from cdds.model import DataFile, Dataset, Job, Selection
from cdds.protocols import LineSnapshot
from cdds.records import Gate, KeySet, Tally, lines_of

DATABASES = ("sqlite", "postgresql")


def dataset(properties: Mapping[str, Any], **more: Any) -> Dataset:
    """Return a dataset of one data file, ``row``, whose properties have these types."""
    schema = {
        "type": "object",
        "properties": {
            name: {} if types is None else {"type": types} for name, types in properties.items()
        },
    }
    return Dataset("Table", [DataFile(name="row", label="Row", schema=schema, **more)])


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """Yield a connection of the driver that commits each statement."""
    parsed = sqlalchemy.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(parsed.database), isolation_level=None)) as connection:
            yield connection
    else:
        import psycopg

        with psycopg.connect(url, autocommit=True, client_encoding="utf8") as connection:
            yield connection


def execute(url: str, *statements: str) -> None:
    with connected(url) as connection:
        for statement in statements:
            connection.execute(statement)


def insert(url: str, table: str, rows: Iterable[Sequence[Any]]) -> None:
    """Fill a table by the driver, which speaks for itself."""
    mark = "?" if url.startswith("sqlite") else "%s"
    with connected(url) as connection:
        cursor = connection.cursor()
        for row in rows:
            cursor.execute(f"INSERT INTO {table} VALUES ({', '.join(mark for _ in row)})", row)


def lines(
    source: Any, of: Dataset, selection: Selection | None = None, data_file: str = "row"
) -> list[bytes]:
    """Return the lines that a source yields."""
    with source.snapshot(of, selection or Selection()) as snapshot:
        return [line for part in snapshot.lines(data_file) for line in io.BytesIO(part.data)]


def records(
    source: Any, of: Dataset, selection: Selection | None = None, data_file: str = "row"
) -> list[Any]:
    """Return the records that a source yields, each on a line of its own."""
    return list(map(orjson.loads, lines(source, of, selection, data_file)))


def taken(source: Any, job: Job) -> tuple[dict[str, list[Any]], Tally]:
    """Return the records of each data file that the exporter takes, and what it counts."""
    tally = Tally(job.on_invalid, job.max_rejects)
    found: dict[str, list[Any]] = {}
    keys: dict[str, KeySet] = {}
    with source.snapshot(job.dataset, job.selection) as snapshot:
        for order, file in enumerate(job.dataset.files):
            if any(child.parent == file.name for child in job.dataset.files):
                keys[file.name] = KeySet()
            gate = Gate(
                file,
                job,
                tally,
                order=order,
                parents=keys.get(file.parent or ""),
                keys=keys.get(file.name),
            )
            if isinstance(snapshot, LineSnapshot):
                parts = snapshot.lines(file.name)
            else:
                numbered = enumerate(snapshot.records(file.name), start=1)
                parts = lines_of((("", number, record) for number, record in numbered), file)
            exported = b"".join(map(gate, parts))
            found[file.name] = list(map(orjson.loads, exported.splitlines()))
    return found, tally
