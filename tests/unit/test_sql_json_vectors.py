"""JSON in a column: each text of JSONTestSuite as a value of its own, in databases that are real.

What must parse comes out as it stands, where its schema takes what it is; what must not parse never
comes out, and harms no other row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from sql_tables import connected, dataset, lines
from vectors import cases_or_skip, vectors

from cdds.model import Job
from cdds.protocols import Lines
from cdds.records import Gate, Tally
from cdds.sources import Sql


@attrs.frozen
class Place:
    """Where a text is kept: a column, as a text or as bytes, and what the schema takes of it."""

    kind: str
    column: str
    is_text: bool
    types: tuple[str, ...] = ("object", "array", "null")


NO_STRING = ("object", "array", "number", "boolean", "null")
PLACES = {
    "sqlite text": Place("sqlite", "TEXT", True),
    "sqlite blob": Place("sqlite", "BLOB", False),
    "sqlite json": Place("sqlite", "JSON TEXT", True, NO_STRING),
    "postgresql text": Place("postgresql", "text", True),
    "postgresql bytea": Place("postgresql", "bytea", False),
    "postgresql json": Place("postgresql", "json", True, NO_STRING),
}
TYPES = {dict: "object", list: "array", type(None): "null", bool: "boolean", str: "string"}


def cases() -> Iterator[tuple[Path, str]]:
    """Yield the files, and whether they are to be accepted, rejected, or either."""
    root = vectors()
    if root is not None:
        for line in (root / "json" / "cases.jsonl").read_text().splitlines():
            case = json.loads(line)
            yield root / "json" / case["file"], case["expect"]


def filled(url: str, place: Place) -> set[str]:
    """Put the texts into a column, each in a row, and return the names of those that it takes."""
    taken = set()
    mark = "?" if place.kind == "sqlite" else "%s"
    with connected(url) as connection:
        connection.execute("DROP TABLE IF EXISTS vectors")
        connection.execute(f"CREATE TABLE vectors (id text, v {place.column})")
        for path, _ in cases():
            text = path.read_bytes()
            with suppress(UnicodeDecodeError, *_refusals(place)):
                value = text.decode() if place.is_text else text
                connection.execute(
                    f"INSERT INTO vectors VALUES ({mark}, {mark})", [path.stem, value]
                )
                taken.add(path.stem)
    return taken


def _refusals(place: Place) -> tuple[type[Exception], ...]:
    if place.kind == "sqlite":
        return ()
    import psycopg

    return (psycopg.DataError, psycopg.errors.StatementTooComplex)


def exported(url: str, place: Place) -> dict[str, tuple[bytes, bytes]]:
    """Return for each row the line of the source, and what is exported of it, if anything is."""
    of = dataset({"id": "string", "v": list(place.types)})
    job = Job(dataset=of, on_invalid="reject")
    found = {}
    for number, line in enumerate(lines(Sql(url, row="SELECT id, v FROM vectors"), of), start=1):
        name = re.match(rb'\{"id":"([^"]+)"', line)
        assert name is not None
        gate = Gate(of.files[0], job, Tally("reject"))
        found[name[1].decode()] = line, gate(Lines(line, number, 1, "row"))
    return found


@pytest.fixture(scope="module")
def exports(new_catalog_url: Any) -> Iterator[Any]:
    """Return what gives the lines that are exported of a place, all read at once."""
    with ExitStack() as stack:
        urls: dict[str, str] = {}
        made: dict[str, dict[str, tuple[bytes, bytes]]] = {}

        def of(name: str) -> dict[str, tuple[bytes, bytes]]:
            place = PLACES[name]
            if place.kind not in urls:
                urls[place.kind] = stack.enter_context(new_catalog_url(place.kind))
            if name not in made:
                taken = filled(urls[place.kind], place)
                made[name] = exported(urls[place.kind], place)
                assert made[name].keys() == taken
            return made[name]

        yield of


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("path", "expect"),
    cases_or_skip([pytest.param(path, expect, id=path.stem) for path, expect in cases()], width=2),
)
def test_agrees_with_the_json_test_suite(exports: Any, path: Path, expect: str, place: str) -> None:
    found = exports(place)
    if path.stem not in found:  # the database takes no such value
        assert expect != "accept"
        return
    given, line = found[path.stem]
    assert list(json.loads(given)) == ["id", "v"]
    text = path.read_bytes().replace(b"\n", b" ")  # a record stands on one line
    whole = b'{"id":"%b","v":%b}\n' % (path.stem.encode(), text)
    if expect == "accept":
        fits = TYPES.get(type(json.loads(text)), "number") in PLACES[place].types
        assert line == (whole if fits else b"")
    elif expect == "reject":
        assert line == b""
    else:
        assert line in {b"", whole}
