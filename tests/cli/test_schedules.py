"""When jobs of the command line run, what becomes of starts that were missed, and of retries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from terminals import Terminal

from cdds import schedule
from cdds.catalog import Catalog, JobEntry
from cdds.cli.spans import parse_span, written
from cdds.schedule import Daily, Hourly, Monthly, Once, Recurrence, RRule, Weekly

START = datetime(2030, 1, 1, 8, tzinfo=UTC)
END = datetime(2031, 1, 1, tzinfo=UTC)
BOUNDED = ["--start", "2030-01-01T08:00", "--count", "3"]


@contextmanager
def catalog_of(terminal: Terminal) -> Iterator[Catalog]:
    with Catalog(terminal.home / "cdds.db", audit_key=b"k" * 32) as catalog:
        yield catalog


def change(terminal: Terminal, job_id: str, **changes: Any) -> JobEntry:
    """Change what the catalog keeps of a job, as if time had passed."""
    with catalog_of(terminal) as catalog, catalog.write() as transaction:
        job = transaction.jobs.find(job_id, lock=True)
        assert job is not None
        job = attrs.evolve(job, **changes)
        transaction.jobs.replace(job)
    return job


def settings_of(terminal: Terminal, job_id: str) -> dict[str, Any]:
    settings: dict[str, Any] = terminal("jobs", "show", job_id, "--json").json["job"]["settings"]
    return settings


def recurrence_of(told: dict[str, Any]) -> Recurrence:
    """Read the recurrence in the JSON of settings."""
    kept = {name: value for name, value in told["recurrence"].items() if name != "text"}
    return schedule.from_json(kept)


# --- recurrences ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "recurrence"),
    [
        ([], Once()),
        (["--once"], Once()),
        (["--at", "2030-01-01T08:00"], Once(START)),
        (["--every-hours", "4", "--zone", "Asia/Kolkata"], Hourly(4, zone="Asia/Kolkata")),
        (["--every-hours", "4", "--end", "2031-01-01"], Hourly(4, until=END)),
        (["--daily", "02:30", "--zone", "Europe/Berlin"], Daily("02:30", zone="Europe/Berlin")),
        (["--daily", "02:30:15", *BOUNDED], Daily(time(2, 30, 15), start=START, count=3)),
        (["--weekly", "MO"], Weekly("MO")),
        (["--weekly", "fr, MO", "--time", "08:00"], Weekly(["MO", "FR"], "08:00")),
        (["--monthly", "31", "--time", "06:00"], Monthly(31, "06:00")),
        (["--monthly", "-1", *BOUNDED], Monthly(-1, start=START, count=3)),
        (
            ["--rrule", "FREQ=MONTHLY;BYDAY=2TU", "--start", "2030-01-01T10:00+02:00"]
            + ["--zone", "Europe/Berlin"],
            RRule("FREQ=MONTHLY;BYDAY=2TU", start=START, zone="Europe/Berlin"),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_every_recurrence_of_the_library_has_its_options(
    terminal: Terminal, words: list[str], recurrence: Recurrence
) -> None:
    told = settings_of(terminal, terminal.add(*words))
    assert recurrence_of(told) == recurrence
    assert told["recurrence"]["text"] == str(recurrence)


def test_a_recurrence_is_changed_as_a_whole(terminal: Terminal) -> None:
    """What was said of the one before is not kept, and an edit of something else changes none."""
    job_id = terminal.add("--daily", "02:30", "--zone", "Europe/Berlin", *BOUNDED)
    terminal("jobs", "edit", job_id, "--title", "Other")
    kept = Daily("02:30", zone="Europe/Berlin", start=START, count=3)
    assert recurrence_of(settings_of(terminal, job_id)) == kept
    terminal("jobs", "edit", job_id, "--weekly", "SU")
    assert recurrence_of(settings_of(terminal, job_id)) == Weekly("SU")
    (clone,) = terminal("jobs", "clone", job_id, "--monthly", "1").words
    assert recurrence_of(settings_of(terminal, clone)) == Monthly(1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--daily 02:30 --weekly MO", "not allowed with"),
        ("--once --daily 02:30", "not allowed with"),
        ("--rrule FREQ=DAILY --at 2030-01-01", "not allowed with"),
        ("--daily 02:30 --daily 03:30", "given twice"),
        ("--zone UTC", "--zone goes with --every-hours, --daily, --weekly, --monthly or --rrule"),
        ("--once --zone UTC", "--zone goes with"),
        ("--at 2030-01-01 --count 2", "--count goes with"),
        ("--daily 02:30 --time 02:30", "--time goes with --weekly or --monthly"),
        ("--every-hours 4 --time 02:30", "--time goes with"),
        ("--rrule FREQ=DAILY", "--rrule needs --start"),
        ("--rrule FREQ=DAILY --start 2030-01-01 --end 2031-01-01", "--end goes with"),
        ("--rrule FREQ=DAILY --start 2030-01-01 --count 2", "--count goes with"),
        ("--daily 02:30 --count 2", "--count needs --start"),
        ("--daily 02:30 --start 2030-01-01 --count 2 --end 2031-01-01", "not allowed with"),
        ("--daily 24:00", "no time of day"),
        ("--daily 2:30", "no time of day"),
        ("--daily 02:30Z", "no time of day"),
        ("--daily", "expected one argument"),
        ("--weekly MO --time noon", "no time of day"),
        ("--monthly last", "invalid int value"),
        ("--since 2030-01-01", "--since goes with --since-last-run"),
        ("--since-last-run --from 2030-01-01", "not several"),
        ("--since-last-run --all-time", "not several"),
        ("--until 2030-01-01 --all-time", "not several"),
        ("--since-last-run soon", "no span of time"),
        ("--misfire some", "invalid choice"),
        ("--misfire-grace-time 1", "no span of time"),
        ("--max-retries few", "invalid int value"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    terminal: Terminal, words: str, said: str
) -> None:
    for command in (
        ["jobs", "add", "--title", "x", "--source", "Contact History", "--dataset", "contact"],
        ["jobs", "edit", "id"],
        ["jobs", "clone", "id"],
        ["history", "clone", "id"],
    ):
        done = terminal(*command, *words.split())
        assert (done.code, done.out) == (2, "")
        *usage, error = done.err.splitlines()
        assert usage[0].startswith(f"usage: cdds {' '.join(command[:2])} ")
        assert said in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--weekly MONDAY", "MO, TU, WE"),
        ("--weekly ,", "MO, TU, WE"),
        ("--monthly 32", "day 1 to 31"),
        ("--monthly 0", "day 1 to 31"),
        ("--every-hours 0", "1 to 24 hours"),
        ("--daily 02:30 --zone Nowhere/Town", "'Nowhere/Town' is unknown"),
        ("--daily 02:30 --start 2030-01-01 --count 0", "count takes"),
        ("--daily 02:30 --start 2031-01-01 --end 2030-01-01", "after until"),
        ("--daily 02:30 --end 2020-01-01", "no start any more"),
        ("--rrule FREQ=OFTEN --start 2030-01-01", "FREQ"),
        ("--rrule DTSTART:20300101 --start 2030-01-01", "DTSTART"),
        ("--rrule FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31 --start 2030-01-01", "100 years"),
        ("--since-last-run 400d", "the lag"),
        ("--since-last-run --max-instances 2", "max_instances"),
        ("--misfire-grace-time 400d", "misfire_grace_time"),
        ("--max-instances 17", "max_instances"),
        ("--max-retries 11", "max_retries"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_the_library(
    terminal: Terminal, words: str, said: str
) -> None:
    """In one line, and no job is added."""
    ends = ["--title", "x", "--source", "Contact History", "--dataset", "interaction"]
    assert said in terminal("jobs", "add", *ends, *words.split()).refusal
    assert terminal("jobs", "list", "--json").json["jobs"] == []


# --- settings -------------------------------------------------------------------------------------


@given(st.integers(1, 9_999_999), st.sampled_from("smhd"))
def test_a_span_is_shown_as_it_could_be_written(number: int, unit: str) -> None:
    span = parse_span(f"{number}{unit}")
    assert parse_span(written(span)) == span


def test_what_a_job_does_about_missed_starts_is_shown(terminal: Terminal) -> None:
    job_id = terminal.add("--every-hours", "4", "--misfire", "none", "--misfire-grace-time", "90m")
    terminal("jobs", "edit", job_id, "--max-retries", "5", "--max-instances", "2")
    rows = sheet(terminal("jobs", "show", job_id).out)
    assert rows["missed starts"] == "none is run"
    assert rows["counts as missed after"] == "90m"
    assert rows["retries at most"] == "5"
    assert rows["at once at most"] == "2"


def sheet(text: str) -> dict[str, str]:
    """Return what a sheet shows, by the names of its lines: its values begin in one column."""
    lines = [line for line in text.splitlines() if not line.startswith("artifact ")]
    (title,) = (line for line in lines if line.startswith("title "))
    begin = title.index("Backup")
    return {line[:begin].strip(): line[begin:].strip() for line in lines}


@pytest.mark.parametrize(
    ("words", "told", "shown"),
    [
        (
            ["--since-last-run"],
            {"lag": 300, "start": None},
            "since the last run, until 5m before each start",
        ),
        (
            ["--since-last-run", "1h", "--since", "2025-01-01"],
            {"lag": 3600, "start": "2025-01-01T00:00:00Z"},
            "since the last run, until 1h before each start, the first from 2025-01-01 00:00 UTC",
        ),
    ],
)
def test_an_incremental_job_is_set_shown_and_taken_back(
    terminal: Terminal, words: list[str], told: dict[str, Any], shown: str
) -> None:
    job_id = terminal.add("--every-hours", "4", *words)
    assert settings_of(terminal, job_id)["timeframe"] == told
    assert sheet(terminal("jobs", "show", job_id).out)["time frame"] == shown
    terminal("jobs", "edit", job_id, "--from", "2025-01-01")
    after = settings_of(terminal, job_id)["timeframe"]
    assert after == {"from": "2025-01-01T00:00:00Z", "until": None}


def test_the_windows_of_an_incremental_job_are_shown_and_meet(terminal: Terminal) -> None:
    """Each begins where the one before ended, as the job and its history tell."""
    job_id = terminal.add("--every-hours", "4", "--since-last-run", "--since", "2025-01-01")
    for _ in range(2):
        assert terminal("jobs", "run", job_id).code == 0  # it warns of records without a moment
    runs = terminal("history", "list", "--ascending", "--json").json["runs"]
    first, second = (run["window"] for run in runs)
    assert first["from"] == "2025-01-01T00:00:00Z"
    assert first["until"] == second["from"]
    job = terminal("jobs", "show", job_id, "--json").json["job"]
    assert job["watermark"] == second["until"]
    minute = first["until"][:16].replace("T", " ")
    rows = sheet(terminal("history", "show", runs[0]["id"]).out)
    assert rows["window"] == f"from 2025-01-01 00:00 UTC, until {minute} UTC"


# --- backfills ------------------------------------------------------------------------------------


def test_a_backfill_adds_a_job_for_each_window_and_prints_their_ids(terminal: Terminal) -> None:
    """The windows meet exactly, from the beginning of the span to its end."""
    job_id = terminal.add("--every-hours", "4", "--since-last-run", "--media-type", "chat")
    span = ["--from", "2025-01-01", "--until", "2025-01-03T12:00", "--step", "1d"]
    ids = terminal("jobs", "backfill", job_id, *span).words
    days = ["2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z", "2025-01-03T00:00:00Z"]
    borders = [*days, "2025-01-03T12:00:00Z"]
    settings = [settings_of(terminal, each) for each in ids]
    assert [each["timeframe"] for each in settings] == [
        {"from": start, "until": end} for start, end in pairwise(borders)
    ]
    assert {each["recurrence"]["kind"] for each in settings} == {"once"}
    assert {tuple(each["media_types"]) for each in settings} == {("chat",)}
    told = terminal("jobs", "backfill", job_id, *span, "--json").json["jobs"]
    assert len(told) == 3
    assert len(terminal("jobs", "list", "--json").json["jobs"]) == 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--from 2025-01-02 --until 2025-01-01 --step 1d", "ends"),
        ("--from 2025-01-01 --until 2025-01-02 --step 1s", "a minute or more"),
        ("--from 2000-01-01 --until 2025-01-01 --step 1h", "too many"),
    ],
)
def test_a_backfill_that_makes_no_sense_adds_nothing(
    terminal: Terminal, words: str, said: str
) -> None:
    job_id = terminal.add("--every-hours", "4")
    assert said in terminal("jobs", "backfill", job_id, *words.split()).refusal
    assert len(terminal("jobs", "list", "--json").json["jobs"]) == 1


@pytest.mark.parametrize("missing", ["--from", "--until", "--step"])
def test_a_backfill_has_no_defaults(terminal: Terminal, missing: str) -> None:
    given = {"--from": "2025-01-01", "--until": "2025-01-02", "--step": "1d"}
    words = [word for name, value in given.items() if name != missing for word in (name, value)]
    done = terminal("jobs", "backfill", "id", *words)
    assert (done.code, done.out) == (2, "")
    assert missing in done.err.splitlines()[-1]


# --- what was missed ------------------------------------------------------------------------------


def test_what_was_missed_is_told_listed_and_shown(terminal: Terminal) -> None:
    """How many starts, from when to when, and why; and it counts as no records."""
    job_id = terminal.add("--every-hours", "1", "--misfire", "none")
    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    change(terminal, job_id, next_start=last - timedelta(hours=2))
    done = terminal("serve", "--once")
    assert done.code == 0
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert " missed " in line
    (run,) = terminal("history", "list", "--status", "missed", "--json").json["runs"]
    assert run["missed"] in {3, 4}  # the present hour too, when its minute of grace is over
    assert run["missed_from"] == f"{last - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"
    assert run["due"] == f"{last + timedelta(hours=run['missed'] - 3):%Y-%m-%dT%H:%M:%SZ}"
    assert f"from {run['missed_from']} to {run['due']}: {run['error']}" in line
    assert f"missed ({run['missed']} starts)" in terminal("history", "list").out
    shown = terminal("history", "show", run["id"]).out
    rows = sheet(shown)
    assert (rows["status"], rows["starts missed"]) == ("missed", str(run["missed"]))
    assert rows["first missed (UTC)"] == run["missed_from"][:16].replace("T", " ")
    assert rows["records"] == ""
    assert terminal("jobs", "show", job_id, "--json").json["job"]["latest_status"] is None
    assert terminal("jobs", "list", "--status", "missed", "--json").json["jobs"] == []


# --- what is tried again --------------------------------------------------------------------------


def test_a_run_that_is_tried_again_says_so(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job tells when the next attempt begins, and the history which attempt each run was."""
    monkeypatch.setattr("cdds.service.execution.is_transient", lambda _: True)
    terminal.configure(terminal.config.read_text() + '[scheduler]\nretry_pause = "1h"\n')
    job_id = terminal.add()
    records = terminal.home / "data" / "acme" / "interactions.jsonl"
    kept = records.read_bytes()
    records.unlink()
    before = datetime.now(UTC)
    assert terminal("serve", "--once").code == 0
    job = terminal("jobs", "show", job_id, "--json").json["job"]
    due = datetime.fromisoformat(job["next_start"])
    assert due >= before + timedelta(hours=1) - timedelta(seconds=1)
    (retry,) = job["retries"]
    assert (retry["failures"], retry["due"]) == (1, job["dealt_with"])
    next_start = f"{due:%Y-%m-%d %H:%M} (attempt 2)"
    assert next_start in terminal("jobs", "list").out
    assert sheet(terminal("jobs", "show", job_id).out)["next start (UTC)"] == next_start
    records.write_bytes(kept)
    change(terminal, job_id, next_start=before)
    assert terminal("serve", "--once").code == 0
    failed, finished = terminal("history", "list", "--ascending", "--json").json["runs"]
    assert [run["attempt"] for run in (failed, finished)] == [1, 2]
    assert [run["status"] for run in (failed, finished)] == ["failed", "finished"]
    assert failed["due"] == finished["due"]
    listed = terminal("history", "list").out
    assert listed.count("attempt") == listed.count("finished (attempt 2)") == 1
    assert sheet(terminal("history", "show", finished["id"]).out)["attempt"] == "2"
    assert "attempt" not in terminal("jobs", "list").out
