"""The laws of recurrence rules, with python-dateutil's own iteration as their judge.

The judge walks from the start of a rule to where it is asked; what is tested jumps.
"""

from __future__ import annotations

import datetime as dt
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from unittest import mock

import pytest
from dateutil.rrule import rrulestr
from hypothesis import event, given, settings
from hypothesis import strategies as st

from cdds.errors import JobError
from cdds.schedule import RRule, expansion

START = datetime(2024, 1, 1, 9, tzinfo=UTC)  # a Monday
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
INTERVALS = {
    "YEARLY": 5, "MONTHLY": 15, "WEEKLY": 9, "DAILY": 40, "HOURLY": 60, "MINUTELY": 3000,
    "SECONDLY": 100_000,
}  # fmt: skip
# How many years the judge may walk; the shorter the periods, the fewer.
WALKS = {"YEARLY": 40, "MONTHLY": 30, "WEEKLY": 20, "DAILY": 12, "HOURLY": 2}
LIMITS: dict[str, st.SearchStrategy[int]] = {
    "BYMONTH": st.integers(1, 12),
    "BYWEEKNO": st.integers(1, 53) | st.integers(-53, -1),
    "BYYEARDAY": st.integers(1, 366) | st.integers(-366, -1),
    "BYMONTHDAY": st.integers(1, 31) | st.integers(-31, -1),
    "BYHOUR": st.integers(0, 23),
    "BYMINUTE": st.integers(0, 59),
    "BYSECOND": st.integers(0, 59),
}
NOT_WITH = {
    "MONTHLY": {"BYWEEKNO", "BYYEARDAY"},
    "WEEKLY": {"BYWEEKNO", "BYYEARDAY", "BYMONTHDAY"},
    "DAILY": {"BYWEEKNO", "BYYEARDAY"},
    "HOURLY": {"BYWEEKNO"},
    "MINUTELY": {"BYWEEKNO"},
    "SECONDLY": {"BYWEEKNO"},
}


def some(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    """Return one to three values, as a part lists them."""
    return st.lists(numbers, min_size=1, max_size=3, unique=True).map(
        lambda values: ",".join(map(str, values))
    )


@st.composite
def week_days(draw: st.DrawFn, freq: str, is_numbered: bool) -> str:
    if not is_numbered:
        return draw(some(st.sampled_from(DAYS)))
    most = 5 if freq == "MONTHLY" else 53
    numbers = st.integers(1, most) | st.integers(-most, -1)
    return draw(
        some(st.tuples(numbers, st.sampled_from(DAYS)).map(lambda day: f"{day[0]}{day[1]}"))
    )


@st.composite
def rules(draw: st.DrawFn, *frequencies: str) -> str:
    freq = draw(st.sampled_from(frequencies))
    parts = {"FREQ": freq}
    if draw(st.booleans()):
        parts["INTERVAL"] = str(draw(st.integers(1, INTERVALS[freq])))
    names = [name for name in LIMITS if name not in NOT_WITH.get(freq, set())]
    for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True)):
        parts[name] = draw(some(LIMITS[name]))
    if draw(st.booleans()):
        may_count = freq in {"YEARLY", "MONTHLY"} and not parts.keys() & {"BYWEEKNO", "BYMONTH"}
        parts["BYDAY"] = draw(week_days(freq, may_count and draw(st.booleans())))
    # With FREQ=WEEKLY the judge picks from the rest of the first week alone; see the test of that.
    may_pick = freq != "WEEKLY" and any(name.startswith("BY") for name in parts)
    if may_pick and draw(st.integers(0, 3)) == 0:
        parts["BYSETPOS"] = draw(some(st.integers(1, 4) | st.integers(-4, -1)))
    if draw(st.booleans()):
        parts["WKST"] = draw(st.sampled_from(DAYS))
    return ";".join(f"{name}={value}" for name, value in draw(st.permutations([*parts.items()])))


STARTS = st.datetimes(datetime(1990, 1, 1), datetime(2020, 12, 31), timezones=st.just(UTC)).map(
    lambda start: start.replace(microsecond=0)
)


def judged(rule: str, start: datetime, after: datetime, n: int, last_year: int) -> list[datetime]:
    """Return what the judge has after a moment, walking no further than a year."""
    with mock.patch.object(dt, "MAXYEAR", last_year):
        try:
            found = rrulestr(rule, dtstart=start).xafter(after)
            return [instant for instant in islice(found, n) if instant.year <= last_year]
        except ValueError:  # what the judge says of rules whose times of day never come
            return []


def check(rule: str, start: datetime, after: datetime, years: int) -> None:
    """Assert that a rule and the judge agree, also on whether it ever runs."""
    last_year = after.year + years
    expected = judged(rule, start, after, 6, last_year)
    try:
        made = RRule(rule, start=start)
    except JobError:
        event("refused")
        assert not judged(rule, start, start - timedelta(1), 1, last_year)
        return
    event("made")
    assert [at for at in made.upcoming(6, after) if at.year <= last_year] == expected
    following = made.next_after(after)
    assert following == (expected[0] if expected else following)


@settings(max_examples=300, deadline=None)
@given(rules("YEARLY", "MONTHLY", "WEEKLY", "DAILY"), STARTS, st.data())
def test_a_rule_is_what_the_judge_lists(rule: str, start: datetime, data: st.DataObject) -> None:
    freq = next(part[5:] for part in rule.split(";") if part.startswith("FREQ="))
    days = data.draw(st.integers(-10, 365 * WALKS[freq] // 2), "days")
    check(rule, start, start + timedelta(days, seconds=days % 7 * 9999), WALKS[freq] // 2)


@settings(max_examples=60, deadline=None)
@given(rules("HOURLY"), STARTS, st.integers(-5, 9000))
def test_hours_are_what_the_judge_lists(rule: str, start: datetime, hours: int) -> None:
    check(rule, start, start + timedelta(hours=hours), 1)


@settings(max_examples=60, deadline=None)
@given(
    rules("MINUTELY", "SECONDLY").filter(lambda rule: "MONTH" not in rule and "YEAR" not in rule),
    STARTS,
    st.integers(-5, 100_000),
)
def test_minutes_and_seconds_are_what_the_judge_lists(
    rule: str, start: datetime, seconds: int
) -> None:
    start = start.replace(month=12, day=24)  # the judge walks to the end of the year
    check(rule, start, start + timedelta(seconds=seconds), 0)


@settings(max_examples=60, deadline=None)
@given(rules("YEARLY", "MONTHLY", "WEEKLY", "DAILY"), STARTS, st.integers(1, 30), st.data())
def test_a_count_or_an_end_cuts_off_what_the_judge_cuts_off(
    rule: str, start: datetime, count: int, data: st.DataObject
) -> None:
    last_year = start.year + 12
    within = judged(rule, start, start - timedelta(1), count, last_year)
    if len(within) < count:
        return
    until = f"UNTIL={within[-1]:%Y%m%dT%H%M%SZ}"
    end = data.draw(st.sampled_from([f"COUNT={count}", until]))
    made = RRule(f"{rule};{end}", start=start)
    assert made.upcoming(count + 5, start - timedelta(1)) == tuple(within)
    assert made.next_after(within[-1]) is None
    assert made.next_after(within[-1] - timedelta(microseconds=1)) == within[-1]
    assert judged(f"{rule};{end}", start, start - timedelta(1), 99, last_year) == within


@pytest.mark.parametrize("wkst", ["MO", "WE", "SU"])
def test_places_are_counted_in_whole_weeks_the_first_one_included(wkst: str) -> None:
    rule = f"FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,SA;BYSETPOS=1,-1;WKST={wkst}"
    first = START + timedelta(DAYS.index(wkst))
    whole = judged(rule, first, first - timedelta(1), 9, 2030)
    for days in range(7):
        start = first + timedelta(days)
        expected = [instant for instant in whole if instant >= start][:5]
        assert RRule(rule, start=start).upcoming(5, start - timedelta(1)) == tuple(expected)


@given(st.integers(1, 1_000_000), st.integers(0, 60 * 365 * 86400))
def test_decades_later_the_phase_is_still_that_of_the_start(every: int, seconds: int) -> None:
    moment = START + timedelta(seconds=seconds)
    for freq, unit in (("SECONDLY", timedelta(seconds=1)), ("MINUTELY", timedelta(minutes=1))):
        following = RRule(f"FREQ={freq};INTERVAL={every}", start=START).next_after(moment)
        assert following is not None
        assert (following - START) % (every * unit) == timedelta()
        assert timedelta() < following - moment <= every * unit


@settings(deadline=None)
@given(rules("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"), STARTS)
def test_it_makes_no_difference_from_where_a_rule_is_asked(rule: str, start: datetime) -> None:
    try:
        made = RRule(rule, start=start)
    except JobError:
        return
    listed = made.upcoming(6, start - timedelta(1))
    assert listed[0] >= start
    for earlier, later in pairwise(listed):
        assert earlier < later
        for moment in (earlier, earlier + (later - earlier) / 3, later - timedelta(microseconds=1)):
            assert made.next_after(moment) == later


def test_days_with_and_without_a_number_add_up() -> None:
    # The judge takes them for the days that are both, and so finds none.
    made = RRule("FREQ=MONTHLY;BYDAY=MO,2TU", start=START)
    listed = {(at.day, at.strftime("%a")) for at in made.upcoming(6, START - timedelta(1))}
    assert listed == {(day, "Mon") for day in (1, 8, 15, 22, 29)} | {(9, "Tue")}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # Examples of RFC 5545, section 3.8.5.3, with the days that it lists.
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", ["0913", "1213"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", ["0130", "0228", "0328"]),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", ["0513"]),
        ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", ["0115", "0130", "0215", "0315", "0330"]),
        ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", ["1105"]),
    ],
)
def test_the_examples_of_the_rfc(rule: str, expected: list[str]) -> None:
    listed = RRule(rule, start=START).upcoming(len(expected), START - timedelta(1))
    assert [f"{at:%m%d}" for at in listed] == expected


NEVER = [
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=DAILY;BYMONTH=4;BYMONTHDAY=31",
    "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=31",
    "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=31",
    "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=-30",
    "FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1",
    "FREQ=YEARLY;BYYEARDAY=1;BYMONTH=12",
    "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
    "FREQ=MONTHLY;INTERVAL=12;BYMONTH=2",
    "FREQ=MINUTELY;INTERVAL=60;BYMINUTE=30",
    "FREQ=SECONDLY;INTERVAL=2;BYSECOND=1",
    "FREQ=HOURLY;INTERVAL=24;BYHOUR=3",
    "FREQ=SECONDLY;INTERVAL=604800;BYDAY=TU",
    "FREQ=HOURLY;BYMINUTE=0;BYSETPOS=2",
    "FREQ=SECONDLY;BYSECOND=0;BYSETPOS=-2",
    "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
    "FREQ=SECONDLY;INTERVAL=86399;BYHOUR=0;BYMINUTE=0;BYSECOND=1;BYDAY=SU;BYMONTH=2;BYMONTHDAY=29",
]


@pytest.mark.parametrize("rule", NEVER)
def test_a_rule_that_never_runs_is_refused(rule: str) -> None:
    with pytest.raises(JobError, match="does not run within 100 years"):
        RRule(rule, start=START)


@pytest.mark.parametrize("rule", NEVER)
def test_few_periods_are_looked_at_to_find_that_out(rule: str) -> None:
    looked_at = 0
    visited = expansion.Expansion._visited

    def counting(self: expansion.Expansion, number: int) -> int:
        nonlocal looked_at
        looked_at += 1
        return visited(self, number)

    with mock.patch.object(expansion.Expansion, "_visited", counting), pytest.raises(JobError):
        RRule(rule, start=START)
    assert looked_at < 20_000


@pytest.mark.parametrize("end", ["20240101T085959Z", "20231231T000000Z", "19000101T000000Z"])
def test_an_end_before_the_first_run_is_refused(end: str) -> None:
    with pytest.raises(JobError, match="ends before its first run"):
        RRule(f"FREQ=DAILY;UNTIL={end}", start=START)
    assert RRule("FREQ=DAILY;UNTIL=20240101T090000Z", start=START).upcoming(9, START) == ()


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        ("", "a rule is a text"),
        (" ", "a rule is a text"),
        (None, "a rule is a text"),
        (b"FREQ=DAILY", "a rule is a text"),
        (5, "a rule is a text"),
        ("RRULE:", "no part of a rule"),
        ("INTERVAL=2", "has to say FREQ"),
        ("FREQ", "no part of a rule"),
        ("FREQ=", "FREQ takes one of"),
        ("FREQ=FORTNIGHTLY", "FREQ takes one of"),
        ("FREQ=DAILY;", "no part of a rule"),
        ("FREQ=DAILY;;COUNT=1", "no part of a rule"),
        ("FREQ=DAILY;BYEASTER=0", "no part of a rule"),
        ("FREQ=DAILY;BYWEEKDAY=MO", "no part of a rule"),
        ("FREQ=DAILY;FREQ=DAILY", "given twice"),
        ("FREQ=DAILY;BYHOUR=1;byhour=2", "given twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL takes"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL takes"),
        ("FREQ=DAILY;INTERVAL=1.5", "INTERVAL takes"),
        ("FREQ=DAILY;INTERVAL=" + "9" * 300, "INTERVAL takes"),
        ("FREQ=DAILY;COUNT=0", "COUNT takes"),
        ("FREQ=DAILY;COUNT=10001", "COUNT takes"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20300101T000000Z", "not both"),
        ("FREQ=DAILY;UNTIL=20300101", "UNTIL takes a moment of UTC"),
        ("FREQ=DAILY;UNTIL=20300101T000000", "UNTIL takes a moment of UTC"),
        ("FREQ=DAILY;UNTIL=20300231T000000Z", "does not exist"),
        ("FREQ=DAILY;UNTIL=20300101T000060Z", "does not exist"),
        ("FREQ=DAILY;UNTIL=00000101T000000Z", "does not exist"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR takes"),
        ("FREQ=DAILY;BYHOUR=", "BYHOUR takes"),
        ("FREQ=DAILY;BYHOUR=1,,2", "BYHOUR takes"),
        ("FREQ=DAILY;BYHOUR= 1", "BYHOUR takes"),
        ("FREQ=DAILY;BYMINUTE=60", "BYMINUTE takes"),
        ("FREQ=DAILY;BYSECOND=60", "BYSECOND takes"),
        ("FREQ=DAILY;BYMONTH=13", "BYMONTH takes"),
        ("FREQ=DAILY;BYMONTHDAY=0", "BYMONTHDAY counts from 1"),
        ("FREQ=DAILY;BYMONTHDAY=32", "BYMONTHDAY takes"),
        ("FREQ=YEARLY;BYYEARDAY=367", "BYYEARDAY takes"),
        ("FREQ=YEARLY;BYWEEKNO=54", "BYWEEKNO takes"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY takes"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY takes"),
        ("FREQ=YEARLY;BYDAY=54MO", "BYDAY takes"),
        ("FREQ=MONTHLY;BYDAY=6MO", "at most five"),
        ("FREQ=YEARLY;BYMONTH=1;BYDAY=-6MO", "at most five"),
        ("FREQ=WEEKLY;BYDAY=1MO", "with FREQ=MONTHLY or FREQ=YEARLY only"),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "with FREQ=MONTHLY or FREQ=YEARLY only"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "BYWEEKNO goes with"),
        ("FREQ=DAILY;BYYEARDAY=1", "BYYEARDAY goes with"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY goes with"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS picks from"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0", "BYSETPOS counts from 1"),
        ("FREQ=DAILY;WKST=1", "WKST takes"),
        ("FREQ=DAILY\nCOUNT=1", "one line"),
        ("FREQ=DAILY\r\n COUNT=1", "one line"),
        ("FREQ=DAILY\x00", "one line"),
        ("FREQ=DAÏLY", "one line"),
        ("DTSTART:20240101T000000Z", "DTSTART is no part of a rule"),
        ("FREQ=DAILY;DTSTART=20240101T000000Z", "DTSTART is no part of a rule"),
        ("FREQ=DAILY;EXDATE=20240101T000000Z", "EXDATE is no part of a rule"),
        ("FREQ=DAILY;BYHOUR=" + "1," * 300 + "1", "too long"),
        (
            "FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=" + ",".join(map(str, range(60))) + ";BYSECOND="
            + ",".join(map(str, range(60))),
            "name 14,400 times",
        ),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_a_bad_rule_is_refused_with_its_reason(rule: Any, match: str) -> None:
    with pytest.raises(JobError, match=match):
        RRule(rule, start=START)


@given(st.text(alphabet="FREQ=DAILYBYHOUR;,:-+0123456789MOTU\n", max_size=60) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for rule in (text, f"FREQ=DAILY;{text}"):
        try:
            made = RRule(rule, start=START)
        except JobError:
            continue
        assert made.next_after(START - timedelta(1)) is not None


@pytest.mark.parametrize(
    "start",
    [
        None,
        datetime(2024, 1, 1),
        "2024-01-01",
        START + timedelta(microseconds=1),
        datetime(1899, 12, 31, tzinfo=UTC),
        datetime(9950, 1, 1, tzinfo=UTC),
    ],
    ids=str,
)
def test_a_start_is_aware_and_takes_full_seconds_of_the_calendar(start: Any) -> None:
    with pytest.raises(JobError):
        RRule("FREQ=DAILY", start=start)
    with pytest.raises(TypeError):
        RRule("FREQ=DAILY")  # type: ignore[call-arg]


@pytest.mark.parametrize("text", ["freq=daily;interval=2", "RRULE:FREQ=DAILY;INTERVAL=2"])
def test_a_rule_is_kept_in_one_form(text: str) -> None:
    assert RRule(text, start=START) == RRule("FREQ=DAILY;INTERVAL=2", start=START)


@pytest.mark.parametrize(
    "rule",
    ["FREQ=YEARLY", "FREQ=MONTHLY", "FREQ=WEEKLY;WKST=SU", "FREQ=DAILY", "FREQ=HOURLY",
     "FREQ=MINUTELY", "FREQ=SECONDLY", "FREQ=YEARLY;BYWEEKNO=1,53,-1", "FREQ=DAILY;COUNT=10000"],
)  # fmt: skip
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_ends_of_time(rule: str, zone: str) -> None:
    made = RRule(rule, start=START, zone=zone)
    last = datetime.max.replace(tzinfo=UTC)
    assert made.next_after(last) is None
    assert made.next_after(datetime.min.replace(tzinfo=UTC)) == made.next_after(
        START - timedelta(microseconds=1)
    )
    late = made.upcoming(20, last - timedelta(seconds=5))
    assert len(late) < 20
