"""What people read in tables, and that nobody writes to another's terminal."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terminals import Terminal

from cdds import Daily, Principal, Timeframe
from cdds.catalog import JobSettings, RunEntry, RunProgress
from cdds.cli import shapes
from cdds.cli.configuration import read_configuration
from cdds.cli.history import _sheet as run_sheet
from cdds.cli.hosting import hosted
from cdds.cli.spans import parse_span
from cdds.cli.tables import progress, settings_sheet, sheet, shortened, size, table
from cdds.errors import JobError

MORNING = datetime(2026, 1, 31, 8, tzinfo=UTC)

BIDI = "\u202e\u2066\u2069\u200f\ufeff"
ESCAPES = "\x1b[31m\x07\x08\x9b2J\r"
HOSTILE = [f"a{BIDI}b", f"a{ESCAPES}b", "a\nb", "a\tb", "a\u2028b", "a\ud800b", "=cmd()", "1e999"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_an_order_to_a_terminal(text: str) -> None:
    """Whatever stands in a cell, a table is as many lines as it has rows."""
    for shown in (table(["title"], [[text]]), sheet({"title": text})):
        assert all(character.isprintable() or character == "\n" for character in shown)
        assert len(shown.splitlines()) == (3 if shown.startswith("title\n") else 1)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_every_row_is_one_line(texts: list[str]) -> None:
    shown = table(["a", "b"], [[text, "end"] for text in texts])
    assert len(shown.split("\n")) == 2 + len(texts)
    assert all(line.rstrip().endswith("end") for line in shown.split("\n")[2:])
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_ids_and_names_are_shown_as_they_are() -> None:
    """No number is read into them, and no zero dropped."""
    texts = ["1e5", "007", "0x1F", "1_000", "3.10", "nan", "inf", "true"]
    assert table(["id"], [[text] for text in texts]).split()[2:] == texts


@pytest.mark.parametrize("title", [f"a{BIDI}b", "漢字" * 30, "<b>&amp;</b>", "%s%n", "\u0301" * 50])
def test_hostile_titles_in_every_table(terminal: Terminal, title: str) -> None:
    """JSON has them as they are."""
    job_id = terminal.add("--every-hours", "1", title=title)
    run_id, (name,) = terminal.run(job_id)
    for words in (
        *(["jobs", "list"], ["jobs", "show", job_id], ["history", "list"]),
        *(["history", "show", run_id], ["artifacts", "list"]),
    ):
        done = terminal(*words)
        assert (done.code, done.err) == (0, "")
        assert all(character.isprintable() or character == "\n" for character in done.out)
        assert done.out.count("\n") == (3 if "list" in words else len(done.out.splitlines()))
    (job,) = terminal("jobs", "list", "--json").json["jobs"]
    assert job["title"] == title
    assert name in terminal("artifacts", "list").out


def test_cells_are_what_people_read() -> None:
    cells = table(["a"], [[MORNING], [True], [False], [None], [7]]).splitlines()[2:]
    assert [cell.strip() for cell in cells] == ["2026-01-31 08:00", "yes", "no", "", "7"]


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_259_045, "1.3 MB"),
        (999_960_000, "1.0 GB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes_are_in_powers_of_ten(count: int, shown: str) -> None:
    assert size(count) == shown


def reached(read: int, total: int | None, after: timedelta) -> RunProgress:
    return RunProgress(
        records=1,
        bytes_read=read,
        bytes_total=total,
        bytes_written=0,
        started=MORNING,
        at=MORNING + after,
    )


@pytest.mark.parametrize(
    ("run", "shown"),
    [
        (None, ""),
        (reached(5, None, timedelta(minutes=1)), ""),
        (reached(5, 0, timedelta(minutes=1)), ""),
        (reached(0, 100, timedelta(minutes=1)), "0 %"),
        (reached(50, 100, timedelta(minutes=3)), "50 %, 3 min left"),
        (reached(50, 100, timedelta(seconds=20)), "50 %, 20 s left"),
        (reached(50, 100, timedelta(minutes=1, seconds=1)), "50 %, 2 min left"),
        (reached(50, 100, timedelta(hours=5)), "50 %, 5 h left"),
        (reached(50, 100, timedelta(days=3)), "50 %, 3 d left"),
        (reached(999, 1000, timedelta(seconds=10)), "99 %, 1 s left"),
        (reached(200, 100, timedelta(seconds=10)), "100 %, 0 s left"),
    ],
)
def test_progress_says_nothing_where_nothing_can_be_said(
    run: RunProgress | None, shown: str
) -> None:
    assert progress(run) == shown


def test_what_is_cut_shows_that_it_is_cut() -> None:
    assert shortened("x" * 40) == "x" * 40
    assert shortened("x" * 41) == "x" * 39 + "…"
    assert shortened(None) == ""


@given(
    st.datetimes(timezones=st.timezones(), min_value=datetime(2, 1, 1))
    | st.timedeltas()
    | st.frozensets(st.text())
    | st.lists(st.text() | st.integers() | st.none())
)
def test_every_value_has_a_form_in_json(value: Any) -> None:
    json.dumps(shapes.plain(value))


def test_moments_in_json_are_in_utc_with_z() -> None:
    assert shapes.plain(MORNING) == "2026-01-31T08:00:00Z"
    assert shapes.plain(timedelta(minutes=1.5)) == 90


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("1s", timedelta(seconds=1)),
        ("5m", timedelta(minutes=5)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
    ],
)
def test_spans_have_one_form(text: str, span: timedelta) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize(
    "text",
    ["", "5", "5 m", "m", "-5m", "0m", "1.5h", "5M", "1h30m", "٣d", "5m\n", "999999999d", 5],
)
def test_what_is_no_span_is_refused(text: object) -> None:
    with pytest.raises(JobError, match="no span of time"):
        parse_span(text)


def test_a_sheet_tells_all_that_is_set_in_words() -> None:
    """Values of Python are no words for a person."""
    settings = JobSettings(
        title="What is new",
        source="UCS",
        dataset="Interaction",
        recurrence=Daily("02:30", zone="Europe/Berlin"),
        timeframe=Timeframe.since_last_run(timedelta(minutes=10), MORNING),
        misfire="none",
        misfire_grace_time=timedelta(minutes=30),
        max_retries=2,
    )
    shown = settings_sheet(settings)
    assert shown["missed starts"] == "none is run"
    assert shown["counts as missed after"] == "30m"
    assert (shown["at once at most"], shown["retries at most"]) == (1, 2)
    assert shown["time frame"] == (
        "since the last run, until 10m before each start, the first from 2026-01-31 08:00 UTC"
    )
    assert "(" not in sheet(shown)


def test_a_sheet_of_a_run_tells_its_attempt_its_window_and_what_was_missed(
    terminal: Terminal,
) -> None:
    run_id, _ = terminal.run(terminal.add())
    with hosted(read_configuration(terminal.config)) as host:
        run = host.history.get(Principal("alice", "acme"), run_id)
    plain_sheet = words_of(run)
    assert plain_sheet["attempt"] == "1"
    assert not plain_sheet.keys() & {"window", "starts missed", "first missed (UTC)"}
    again = words_of(attrs.evolve(run, attempt=3, window=Timeframe(MORNING, None)))
    assert (again["attempt"], again["window"]) == ("3", "from 2026-01-31 08:00 UTC")
    missed = words_of(attrs.evolve(run, status="missed", missed=12, missed_from=MORNING))
    assert missed["starts missed"] == "12"
    assert missed["first missed (UTC)"] == "2026-01-31 08:00"


def words_of(run: RunEntry) -> dict[str, str]:
    """Return what a sheet tells of a run, without what it leaves empty."""
    rows = (re.split(r" {2,}", line, maxsplit=1) for line in run_sheet(run, []).splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 2 and row[1]}
