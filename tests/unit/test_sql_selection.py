"""A database selects what the exporter would: at every border, of any media type, for any parent.

The same rows in memory, which the exporter alone selects from, are the judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sql_tables import DATABASES, execute, insert, records, taken

from cdds.model import DataFile, Dataset, Job, Selection, Timeframe
from cdds.sources import Records, Sql
from cdds.timestamps import parse_timestamp

each_database = pytest.mark.parametrize("kind", DATABASES)

NOON = datetime(2025, 3, 4, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def typed(**types: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": of} for name, of in types.items()}}


CALLS = Dataset(
    "Calls",
    [
        DataFile(
            name="call",
            label="Call",
            schema=typed(key="string", at="string", seen="string", medium="string"),
            key="key",
            timestamps=("at", "seen"),
            media_type="medium",
        ),
        DataFile(
            name="note",
            label="Note",
            schema=typed(number="integer", call="string"),
            parent="call",
            parent_key="call",
        ),
    ],
)


@pytest.fixture(scope="module")
def urls(new_catalog_url: Any) -> Iterator[Any]:
    """Return what gives the URL of one database of each kind."""
    with ExitStack() as stack:
        made: dict[str, str] = {}

        def url_of(kind: str) -> str:
            if kind not in made:
                made[kind] = stack.enter_context(new_catalog_url(kind))
            return made[kind]

        yield url_of


@attrs.frozen
class Call:
    """A row, and how its times are written."""

    at: datetime | None
    seen: datetime | None
    medium: str | None
    hours: int
    is_iso: bool

    def written(self, moment: datetime | None) -> str | None:
        """Return a time with its zone, as PostgreSQL and ISO 8601 know it."""
        if moment is None:
            return None
        zone = timezone(timedelta(hours=self.hours))
        return moment.astimezone(zone).isoformat("T" if self.is_iso else " ")


def stored(
    url: str, calls: Sequence[Call], notes: Sequence[int | None], times: str = "timestamptz"
) -> Sql:
    """Return a source of these calls, and of notes to some of them."""
    execute(
        url,
        "DROP TABLE IF EXISTS call",
        "DROP TABLE IF EXISTS note",
        f"CREATE TABLE call (key text, at {times}, seen {times}, medium text)",
        "CREATE TABLE note (number integer, call text)",
    )
    insert(
        url,
        "call",
        [
            (f"k{number}", call.written(call.at), call.written(call.seen), call.medium)
            for number, call in enumerate(calls)
        ],
    )
    insert(url, "note", [(n, None if call is None else f"k{call}") for n, call in enumerate(notes)])
    return Sql(url, call="SELECT * FROM call", note="SELECT * FROM note")


def in_memory(calls: Sequence[Call], notes: Sequence[int | None]) -> Records:
    return Records(
        call=[
            {
                name: value
                for name, value in (
                    ("key", f"k{number}"),
                    ("at", call.written(call.at)),
                    ("seen", call.written(call.seen)),
                    ("medium", call.medium),
                )
                if value is not None
            }
            for number, call in enumerate(calls)
        ],
        note=[
            {"number": n} if call is None else {"number": n, "call": f"k{call}"}
            for n, call in enumerate(notes)
        ],
    )


def keys(found: dict[str, list[Any]]) -> tuple[list[str], list[int]]:
    return (
        sorted(call["key"] for call in found["call"]),
        sorted(note["number"] for note in found["note"]),
    )


MOMENTS = st.one_of(
    st.builds(lambda n: NOON + n * TICK, st.integers(-3, 3)),
    st.builds(lambda n: NOON + timedelta(hours=n), st.integers(-30, 30)),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)),
)
MEDIA = st.one_of(
    st.none(),
    st.sampled_from(["chat", "CHAT", " Chat\t", "chat\u00a0", "\x1fchat\x0b", "email", "e mail"]),
    st.sampled_from(
        ["STRASSE", "straße", "İ", "i", "I", "\u0131", "K", "\u212a", "ÉMAIL", "émail", ""]
    ),
)
CALL = st.builds(
    Call, st.none() | MOMENTS, st.none() | MOMENTS, MEDIA, st.integers(-14, 14), st.booleans()
)
FORMS = {"sqlite": ["text", "timestamp", ""], "postgresql": ["timestamptz", "text"]}


@each_database
@given(
    data=st.data(),
    calls=st.lists(CALL, max_size=8),
    borders=st.lists(MOMENTS, min_size=1, max_size=5).map(sorted),
    wanted=st.none() | st.lists(MEDIA.filter(lambda name: name and name.strip()), min_size=1),
)
@settings(max_examples=40)
def test_consecutive_windows_give_each_record_once(
    urls: Any, kind: str, data: Any, calls: list[Call], borders: list[datetime], wanted: Any
) -> None:
    """Any instants as borders: what memory gives, and each record that has a time once."""
    notes = data.draw(st.lists(st.none() | st.integers(0, 10), max_size=8))
    source = stored(urls(kind), calls, notes, data.draw(st.sampled_from(FORMS[kind])))
    judge = in_memory(calls, notes)
    everything = keys(
        taken(judge, Job(dataset=CALLS, timeframe=Timeframe(), media_types=wanted))[0]
    )

    seen: tuple[list[str], list[int]] = ([], [])
    for start, end in pairwise([None, *borders, None]):
        job = Job(dataset=CALLS, timeframe=Timeframe(start, end), media_types=wanted)
        found, tally = taken(source, job)
        expected, judged = taken(judge, job)
        assert keys(found) == keys(expected)
        assert tally.undated == judged.undated
        calls_found, notes_found = keys(found)
        seen[0].extend(calls_found)
        seen[1].extend(notes_found)
    assert (sorted(seen[0]), sorted(seen[1])) == everything


@each_database
@pytest.mark.parametrize("moment", [NOON - TICK, NOON, NOON + TICK])
@pytest.mark.parametrize("times", ["timestamp", "timestamptz"])
def test_a_window_holds_its_start_and_not_its_end(
    urls: Any, kind: str, times: str, moment: datetime
) -> None:
    source = stored(urls(kind), [Call(moment, None, "chat", 0, True)], [0], times)

    def count(start: datetime | None, end: datetime | None) -> int:
        selection = Selection(Timeframe(start, end))
        with source.snapshot(CALLS, selection) as snapshot:
            counted = snapshot.count("call")
            assert snapshot.count("note") == counted
        assert len(records(source, CALLS, selection, "call")) == counted
        return counted

    assert count(NOON, None) == (moment >= NOON)
    assert count(None, NOON) == (moment < NOON)
    assert count(moment, moment) == 0


@each_database
@given(calls=st.lists(CALL, max_size=8), media=st.none() | st.just(["chat"]))
@example([Call(None, None, "chat", 0, True)], None)
@settings(max_examples=20)
def test_the_count_is_what_is_exported(
    urls: Any, kind: str, calls: list[Call], media: list[str] | None
) -> None:
    """Where media types are ASCII; of others the exporter decides, and the count is the most."""
    calls = [call for call in calls if (call.medium or "").isascii()]
    source = stored(urls(kind), calls, range(len(calls)), FORMS[kind][0])
    for timeframe in (None, Timeframe(NOON, None), Timeframe(None, NOON)):
        job = Job(dataset=CALLS, timeframe=timeframe, media_types=media)

        with source.snapshot(CALLS, job.selection) as snapshot:
            counted = {file.name: snapshot.count(file.name) for file in CALLS.files}

        found, _ = taken(source, job)
        assert counted == {name: len(exported) for name, exported in found.items()}


@each_database
def test_orphans_are_told_whatever_is_selected(urls: Any, kind: str) -> None:
    calls = [Call(NOON, None, "chat", 0, True), Call(NOON - TICK, None, "chat", 0, True)]
    source = stored(urls(kind), calls, [0, 1, 7, None])

    with source.snapshot(CALLS, Selection(Timeframe(NOON, None))) as snapshot:
        (note,) = snapshot.notes()
        assert [record["number"] for record in snapshot.records("note")] == [0]

    assert note.startswith("2 records of note belong to no record of call at all")
    with source.snapshot(CALLS, Selection()) as snapshot:
        assert snapshot.notes() == ()  # the exporter sees them, and counts them
    assert taken(source, Job(dataset=CALLS))[1].unmatched == 2


@each_database
def test_orphans_are_counted_without_an_index(urls: Any, kind: str) -> None:
    """Each of 30,000 looked for among as many would take longer than a statement may."""
    execute(
        urls(kind),
        "DROP TABLE IF EXISTS call",
        "DROP TABLE IF EXISTS note",
        "CREATE TABLE call (key text, at timestamp)",
        "CREATE TABLE note (number integer, call text)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
        " INSERT INTO call SELECT 'k' || i, '2025-03-04 11:00:00' FROM n",
        "INSERT INTO note SELECT 1, key FROM call UNION ALL SELECT 2, 'none' UNION ALL"
        " SELECT 3, NULL",
    )
    source = Sql(
        urls(kind),
        timeout=timedelta(seconds=4),
        call="SELECT * FROM call",
        note="SELECT * FROM note",
    )

    with source.snapshot(CALLS, Selection(Timeframe(NOON, None))) as snapshot:
        (note,) = snapshot.notes()

    assert note.startswith("2 records of note belong to no record of call at all")


FAILING = {
    "sqlite": "substr(key, 1 + 0 * abs(-9223372036854775807 - (key = 'k1')))",
    "postgresql": "substr(key, 1 + 0 / CASE key WHEN 'k1' THEN 0 ELSE 1 END)",
}


@each_database
def test_what_fails_to_be_counted_for_information_is_told_and_fails_nothing(
    urls: Any, kind: str
) -> None:
    """The key of a record that is not selected cannot be read."""
    calls = [Call(NOON, None, "chat", 0, True), Call(NOON - TICK, None, "chat", 0, True)]
    stored(urls(kind), calls, [0, 1])
    source = Sql(
        urls(kind), call=f"SELECT {FAILING[kind]} AS key, at FROM call", note="SELECT * FROM note"
    )

    with source.snapshot(CALLS, Selection(Timeframe(NOON, None))) as snapshot:
        (note,) = snapshot.notes()
        assert "was not counted" in note
        assert [record["number"] for record in snapshot.records("note")] == [0]


@each_database
def test_what_is_counted_for_information_may_not_take_long(
    urls: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record before the time frame has a key that takes for ever; no statement need end."""
    monkeypatch.setattr("cdds.sources.sql.snapshot._LONGEST_COUNT", timedelta(milliseconds=50))
    calls = [Call(NOON, None, "chat", 0, True), Call(NOON - TICK, None, "chat", 0, True)]
    stored(urls(kind), calls, [0])
    endless = (
        "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 - i FROM n WHERE key = 'k1')"
        " SELECT max(i) FROM n)"
    )
    source = Sql(
        urls(kind),
        timeout=None,
        call=f"SELECT CASE {endless} WHEN 1 THEN key END AS key, at FROM call",
        note="SELECT * FROM note",
    )

    with source.snapshot(CALLS, Selection(Timeframe(NOON, None))) as snapshot:
        (note,) = snapshot.notes()
        assert "was not counted" in note
        assert [record["number"] for record in snapshot.records("note")] == [0]


@pytest.mark.parametrize("of", ["varchar(9)", "char(9)", "medium", "bigint", "name", "citext_like"])
def test_a_media_type_is_of_any_type(urls: Any, of: str) -> None:
    value = "7" if of == "bigint" else "Chat"
    url = urls("postgresql")
    execute(
        url,
        "DROP TABLE IF EXISTS t",
        "DROP TYPE IF EXISTS medium",
        "DROP DOMAIN IF EXISTS citext_like",
        "CREATE TYPE medium AS ENUM ('Chat', 'Mail')",
        "CREATE DOMAIN citext_like AS text",
        f"CREATE TABLE t (medium {of})",
        f"INSERT INTO t VALUES ('{value}')",
    )
    source = Sql(url, call="SELECT * FROM t")

    for wanted, expected in ((value, 1), ("email", 0)):
        assert len(records(source, CALLS, Selection(None, [wanted]), "call")) == expected


@pytest.mark.parametrize("of", ["bigint", "uuid", "char(40)", "varchar", "medium", "inet"])
def test_keys_are_compared_as_records_have_them(urls: Any, of: str) -> None:
    """A key of any type, and a text that refers to it."""
    keys = {"bigint": "7", "medium": "Chat", "inet": "10.0.0.1"}
    key = keys.get(of, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
    url = urls("postgresql")
    execute(
        url,
        "DROP TABLE IF EXISTS call",
        "DROP TABLE IF EXISTS note",
        "DROP TABLE IF EXISTS t",
        "DROP TYPE IF EXISTS medium",
        "CREATE TYPE medium AS ENUM ('Chat', 'Mail')",
        f"CREATE TABLE call (key {of}, at timestamp)",
        "CREATE TABLE note (number integer, call text)",
        f"INSERT INTO call VALUES ('{key}', '2025-03-04 12:00')",
        f"INSERT INTO note VALUES (1, '{key}'), (2, 'none')",
    )
    source = Sql(url, call="SELECT * FROM call", note="SELECT * FROM note")

    found, _ = taken(source, Job(dataset=CALLS, timeframe=Timeframe(NOON, None)))

    assert [note["number"] for note in found["note"]] == [1]
    with source.snapshot(CALLS, Selection(Timeframe(NOON, None))) as snapshot:
        assert len(snapshot.notes()) == 1


@pytest.mark.parametrize(
    ("of", "key", "referring", "reference"),
    [
        ("bytea", r"\x00", "text", "AA=="),
        ("timestamptz", "2025-03-04 12:00+00", "timestamp", "2025-03-04 12:00"),
        ("timestamptz", "2025-03-04 12:00+00", "text", "2025-03-04T12:00:00.000Z"),
        ("text", "2025-03-04T12:00:00.000Z", "timestamp", "2025-03-04 12:00"),
        ("real", "0.1", "double precision", "0.1"),
        ("bigint", "7", "numeric", "7"),
        ("numeric", "7.00", "text", "7.00"),
        ("inet", "10.0.0.1", "inet", "10.0.0.1/32"),
        ("boolean", "true", "text", "true"),
    ],
)
def test_keys_of_two_types_are_one_where_records_have_one(
    urls: Any, of: str, key: str, referring: str, reference: str
) -> None:
    """What the database compares in another way is left to the exporter."""
    url = urls("postgresql")
    execute(
        url,
        "DROP TABLE IF EXISTS call",
        "DROP TABLE IF EXISTS note",
        f"CREATE TABLE call (key {of}, at timestamp)",
        f"CREATE TABLE note (number integer, call {referring})",
        f"INSERT INTO call VALUES ('{key}', '2025-03-04 12:00')",
        f"INSERT INTO note VALUES (1, '{reference}')",
    )
    source = Sql(url, call="SELECT * FROM call", note="SELECT * FROM note")

    found, _ = taken(source, Job(dataset=CALLS, timeframe=Timeframe(NOON, None)))

    assert found["call"][0]["key"] == found["note"][0]["call"]


@pytest.mark.parametrize(("key", "reference"), [("5", 5), (5, "5"), (5, 5), ("5", "5")])
@pytest.mark.parametrize(("declared", "referring"), [("", ""), ("", "BLOB"), ("BLOB", "")])
def test_keys_of_two_types_of_values_are_one(
    urls: Any, key: Any, reference: Any, declared: str, referring: str
) -> None:
    """In a column without a type SQLite tells a number from its digits; a record does not."""
    url = urls("sqlite")
    execute(
        url,
        "DROP TABLE IF EXISTS call",
        "DROP TABLE IF EXISTS note",
        f"CREATE TABLE call (key {declared}, at text)",
        f"CREATE TABLE note (number integer, call {referring})",
    )
    insert(url, "call", [(key, "2025-03-04 12:00:00"), ("6", "2025-03-04 11:00:00")])
    insert(url, "note", [(1, reference), (2, 6)])
    source = Sql(url, call="SELECT * FROM call", note="SELECT * FROM note")

    for timeframe, expected in ((Timeframe(NOON, None), [1]), (None, [1, 2])):
        found, _ = taken(source, Job(dataset=CALLS, timeframe=timeframe))
        assert [note["number"] for note in found["note"]] == expected
    with source.snapshot(CALLS, Selection(Timeframe(NOON, None))) as snapshot:
        assert snapshot.notes() == ()


def test_media_types_are_compared_in_any_encoding_and_locale(urls: Any) -> None:
    """In Latin-1 a letter that is not ASCII is one byte, too."""
    url = urls("postgresql")
    execute(
        url,
        "DROP DATABASE IF EXISTS latin",
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
    )
    name = url.partition("?")[0].rpartition("/")[2]
    latin = url.replace(f"/{name}?", "/latin?")
    execute(latin, "CREATE TABLE t (medium text)", "INSERT INTO t VALUES ('ÉMAIL'), ('IMAIL')")
    source = Sql(latin, call="SELECT * FROM t")

    for wanted, medium in (("émail", "ÉMAIL"), ("imail", "IMAIL")):
        found, _ = taken(source, Job(dataset=CALLS, media_types=[wanted]))
        assert found["call"] == [{"medium": medium}]
    execute(url, "DROP DATABASE latin WITH (FORCE)")


@each_database
@pytest.mark.parametrize("value", ["soon", " ", "2025-13-01", "infinity"])
def test_what_is_no_time_is_refused_and_not_left_out(urls: Any, kind: str, value: str) -> None:
    execute(
        urls(kind),
        "DROP TABLE IF EXISTS t",
        "CREATE TABLE t (key text, at text)",
        f"INSERT INTO t VALUES ('a', '{value}'), ('b', ''), ('c', '2025-03-04T12:00:00Z')",
    )
    source = Sql(urls(kind), call="SELECT * FROM t")
    job = Job(dataset=CALLS, timeframe=Timeframe(NOON, None), on_invalid="reject")

    found, tally = taken(source, job)

    assert [call["key"] for call in found["call"]] == ["c"]
    assert [(reject.key, reject.field) for reject in tally.rejects] == [("a", "at")]
    assert tally.undated == 1


@pytest.mark.parametrize("of", ["timestamp", "timestamptz"])
@pytest.mark.parametrize("names", ["at", "at, NULL::date::{0} AS seen"])
@pytest.mark.parametrize("timeframe", [Timeframe(NOON, None), Timeframe(None, NOON)])
def test_what_is_infinite_is_refused_and_not_left_out(
    urls: Any, of: str, names: str, timeframe: Timeframe
) -> None:
    url = urls("postgresql")
    execute(
        url,
        "DROP TABLE IF EXISTS t",
        f"CREATE TABLE t (key text, at {of})",
        "INSERT INTO t VALUES ('a', 'infinity'), ('b', '-infinity')",
    )
    source = Sql(url, call=f"SELECT key, {names.format(of)} FROM t")

    found, tally = taken(source, Job(dataset=CALLS, timeframe=timeframe, on_invalid="reject"))

    assert found["call"] == []
    assert sorted((reject.key, reject.field) for reject in tally.rejects) == [
        ("a", "at"),
        ("b", "at"),
    ]


@pytest.mark.parametrize("of", ["timestamp", "timestamptz"])
def test_an_index_on_the_time_is_used(urls: Any, of: str) -> None:
    url = urls("postgresql")
    execute(
        url,
        "DROP TABLE IF EXISTS t",
        f"CREATE TABLE t AS SELECT i AS key, '2025-01-01'::{of} + i * interval '1 minute' AS at"
        " FROM generate_series(1, 100000) AS i",
        "CREATE INDEX ON t (at)",
        "ANALYZE t",
    )
    source = Sql(url, call="SELECT * FROM t")
    with source.snapshot(CALLS, Selection(Timeframe(NOON, NOON + timedelta(hours=1)))) as snapshot:
        query = snapshot._selected["call"].query
        plan = str(snapshot._session.value(f"EXPLAIN (FORMAT JSON) {query}"))
        assert snapshot.count("call") == 60

    assert "Seq Scan" not in plan


@given(
    st.one_of(
        st.text(max_size=40),
        st.from_regex(
            r"\s*[0-9]{1,5}(-?W?[0-9]{1,3}){0,2}([T t][0-9:.,]{0,20})?([Zz+-][0-9:]{0,8})?"
        ),
        st.datetimes().map(str),
    )
)
@settings(max_examples=500)
def test_any_text_is_a_time_or_is_refused(text: str) -> None:
    """A database asks for each row, and could not say what else goes wrong."""
    try:
        moment = parse_timestamp(text)
    except (ValueError, OverflowError):
        return
    assert moment.tzinfo is UTC
