"""Recurrences in other forms: as JSON and pickled without a loss, and as sentences for a person."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cdds
from cdds.errors import JobError
from cdds.schedule import (
    Daily,
    Hourly,
    Monthly,
    Once,
    Recurrence,
    RRule,
    Weekly,
    from_json,
    to_json,
)

START = datetime(2024, 5, 1, 8, 30, tzinfo=UTC)
UNTIL = datetime(2030, 1, 1, 0, 0, 5, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
BOUNDS = st.one_of(
    st.fixed_dictionaries({}, optional={"start": st.none() | MOMENTS}),
    st.fixed_dictionaries({"start": MOMENTS, "count": st.integers(1, 10_000)}),
    st.fixed_dictionaries({"until": MOMENTS}),
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Africa/Cairo"])
TIMES = st.times().map(lambda at: at.replace(microsecond=0))
RULES = ["FREQ=DAILY;COUNT=3", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=YEARLY;UNTIL=20991231T000000Z"]


@st.composite
def recurrences(draw: st.DrawFn) -> Recurrence:
    bounds: dict[str, Any] = {**draw(BOUNDS), "zone": draw(ZONES)}
    days = st.lists(st.sampled_from(["MO", "WE", "SU"]), min_size=1)
    made: Recurrence = draw(
        st.one_of(
            st.builds(Once, st.none() | MOMENTS),
            st.integers(1, 24).map(lambda every: Hourly(every, **bounds)),
            TIMES.map(lambda at: Daily(at, **bounds)),
            st.builds(lambda days, at: Weekly(days, at, **bounds), days, TIMES),
            st.builds(lambda day, at: Monthly(day, at, **bounds), st.integers(1, 31), TIMES),
            st.sampled_from(RULES).map(lambda rule: RRule(rule, start=START, zone=bounds["zone"])),
        )
    )
    return made


@given(recurrences(), MOMENTS)
def test_json_and_pickle_lose_nothing(recurrence: Recurrence, moment: datetime) -> None:
    for read in (
        from_json(json.loads(json.dumps(to_json(recurrence)))),
        pickle.loads(pickle.dumps(recurrence)),
        attrs.evolve(recurrence),
    ):
        assert read == recurrence
        assert hash(read) == hash(recurrence)
        assert type(read) is type(recurrence)
        assert str(read) == str(recurrence)
        assert read.next_after(moment) == recurrence.next_after(moment)


@given(recurrences())
def test_a_recurrence_is_frozen_and_one_of_the_alias(recurrence: Recurrence) -> None:
    assert isinstance(recurrence, Recurrence)
    for field in attrs.fields(type(recurrence)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(recurrence, field.name, None)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"kind": "hourly", "every": 4, "start": None}, Hourly(4)),
        (
            {"kind": "hourly", "every": 4, "start": "2024-05-01T08:30:00+00:00"},
            Hourly(4, start=START),
        ),
        ({"kind": "once", "at": None}, Once()),
        ({"kind": "once", "at": "2024-05-01T08:30:00+00:00"}, Once(START)),
    ],
    ids=str,
)
def test_documents_of_earlier_versions_are_read(document: Any, expected: Recurrence) -> None:
    assert from_json(document) == expected


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "hourly",
        {},
        {"kind": None},
        {"kind": "yearly"},
        {"kind": ["once"]},
        {"kind": "once", "at": "soon"},
        {"kind": "once", "at": 5},
        {"kind": "once", "at": "2024-05-01T08:30:00"},
        {"kind": "once", "zone": "UTC"},
        {"kind": "hourly", "every": 0},
        {"kind": "hourly", "every": "4"},
        {"kind": "daily", "at": "25:00"},
        {"kind": "weekly"},
        {"kind": "weekly", "days": [[]]},
        {"kind": "rrule", "rule": "FREQ=DAILY"},
        {"kind": "rrule", "rule": "FREQ=DAILY", "start": None},
        {"kind": "rrule", "rule": ["FREQ=DAILY"], "start": "2024-05-01T08:30:00+00:00"},
        {"kind": "daily", "zone": ["UTC"]},
        {"kind": "daily", "span": 1},
    ],
    ids=str,
)
def test_other_documents_are_refused(document: Any) -> None:
    with pytest.raises(JobError):
        from_json(document)


SENTENCES: list[tuple[Recurrence, str]] = [
    (Once(), "once, at once"),
    (Once(START), "once, at 2024-05-01 08:30 UTC"),
    (Once(UNTIL), "once, at 2030-01-01 00:00:05 UTC"),
    (Hourly(), "every hour, from 00:00 UTC"),
    (Hourly(4), "every 4 hours, from 00:00 UTC"),
    (
        Hourly(4, start=START),
        "every 4 hours, from 00:00 UTC, not before 2024-05-01 08:30 UTC",
    ),
    (Hourly(24, zone="Europe/Berlin"), "every 24 hours, from 00:00 Europe/Berlin"),
    (Daily(), "every day at 00:00 UTC"),
    (Daily("02:30", zone="Europe/Berlin"), "every day at 02:30 Europe/Berlin"),
    (Daily("02:30:07", until=UNTIL), "every day at 02:30:07 UTC, until 2030-01-01 00:00:05 UTC"),
    (
        Daily("02:30", start=START, count=10),
        "every day at 02:30 UTC, not before 2024-05-01 08:30 UTC, 10 times",
    ),
    (
        Daily(start=START, count=1),
        "every day at 00:00 UTC, not before 2024-05-01 08:30 UTC, 1 time",
    ),
    (Weekly("MO", "08:00"), "every Monday at 08:00 UTC"),
    (Weekly(["fr", "MO"], "08:00"), "every Monday and Friday at 08:00 UTC"),
    (Weekly(["WE", "FR", "MO"]), "every Monday, Wednesday and Friday at 00:00 UTC"),
    (Weekly(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), "every day at 00:00 UTC"),
    (Monthly(), "on day 1 of every month at 00:00 UTC"),
    (Monthly(28), "on day 28 of every month at 00:00 UTC"),
    (Monthly(31, "12:00"), "on day 31 of every month, or its last, at 12:00 UTC"),
    (Monthly(-1), "on the last day of every month at 00:00 UTC"),
]
FROM = ", from 2024-05-01 08:30 UTC"
RULE_SENTENCES = [
    ("FREQ=DAILY", "every day at 08:30 UTC"),
    ("FREQ=DAILY;INTERVAL=2;BYHOUR=9;BYMINUTE=0", "every 2 days at 09:00 UTC"),
    ("FREQ=WEEKLY", "every Wednesday at 08:30 UTC"),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR,MO", "every 2 weeks on Monday and Friday at 08:30 UTC"),
    ("FREQ=MONTHLY", "on day 1 of every month at 08:30 UTC"),
    ("FREQ=MONTHLY;BYMONTHDAY=31", "on day 31 of every month that has it at 08:30 UTC"),
    ("FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=-1", "on the last day of every 3 months at 08:30 UTC"),
    ("FREQ=MONTHLY;BYDAY=2TU", "on the second Tuesday of every month at 08:30 UTC"),
    ("FREQ=MONTHLY;BYDAY=5MO", "on the fifth Monday of every month that has it at 08:30 UTC"),
    ("FREQ=YEARLY", "on 1 May of every year at 08:30 UTC"),
    (
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "on 29 February of every year that has it at 08:30 UTC",
    ),
    ("FREQ=MINUTELY;INTERVAL=15", "every 15 minutes, by the clock of UTC"),
]
SHOWN_AS_THEY_ARE = [
    "FREQ=DAILY;BYHOUR=1,2",
    "FREQ=DAILY;BYDAY=MO",
    "FREQ=WEEKLY;BYMONTH=1",
    "FREQ=MONTHLY;BYMONTHDAY=-2",
    "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1",
    "FREQ=MONTHLY;BYMONTH=1",
    "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
    "FREQ=YEARLY;BYWEEKNO=20",
    "FREQ=YEARLY;BYMONTHDAY=-1;BYMONTH=1",
    "FREQ=HOURLY;BYHOUR=1",
]


@pytest.mark.parametrize(("recurrence", "sentence"), SENTENCES, ids=str)
def test_a_recurrence_is_a_sentence(recurrence: Recurrence, sentence: str) -> None:
    assert str(recurrence) == sentence


@pytest.mark.parametrize(("rule", "sentence"), RULE_SENTENCES)
def test_a_common_rule_is_a_sentence(rule: str, sentence: str) -> None:
    assert str(RRule(rule, start=START)) == sentence + FROM


@pytest.mark.parametrize("rule", SHOWN_AS_THEY_ARE)
def test_another_rule_is_shown_as_it_is(rule: str) -> None:
    assert str(RRule(rule, start=START)) == f"by the rule {rule} in UTC{FROM}"


def test_the_end_of_a_rule_is_told() -> None:
    ended = RRule("FREQ=DAILY;COUNT=3", start=START, zone="Europe/Berlin")
    assert str(ended) == f"every day at 10:30 Europe/Berlin{FROM}, 3 times"
    assert (ended.count, ended.until) == (3, None)
    ended = RRule("FREQ=DAILY;UNTIL=20300101T000005Z", start=START)
    assert str(ended) == f"every day at 08:30 UTC{FROM}, until 2030-01-01 00:00:05 UTC"
    assert (ended.count, ended.until) == (None, UNTIL)


def test_dateutil_is_loaded_by_rules_alone() -> None:
    program = (
        "import sys, cdds.schedule as s; s.Daily().upcoming(1); "
        "print(any(name.startswith('dateutil') for name in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert run.stdout.split() == [b"False"]


def test_every_recurrence_is_a_public_name() -> None:
    for made in get_args(Recurrence):
        assert getattr(cdds, made.__name__) is made


def test_the_page_of_recurrences_shows_what_they_say() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "recurrences.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    code: list[str] = []
    shown = 0
    for line in "".join(blocks).splitlines():
        if not line.startswith("# "):
            code.append(line)
            continue
        exec("\n".join(code[:-1]), names)
        assert str(eval(code[-1], names)) == line.removeprefix("# ")
        code, shown = [], shown + 1
    assert not code
    assert shown > 10
