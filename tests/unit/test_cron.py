"""Recurrences against cron, as the library cronsim has it.

Its rules are the same in UTC; in a zone for a fixed time of day, which it runs at the end of a gap
and the first time of two; and for `*/n` hours, which it runs as the clock shows them.

Where they differ, by what was tried: from a change of half an hour it walks on by full hours and so
misses what follows, and it never leaves an hour that comes twice from a minute past midnight on, so
hours are compared in zones without either. Asked within an hour that comes twice, it answers with
the first time, which has passed, so it is asked once, before all changes.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdds.schedule import Daily, Hourly, Monthly, Weekly

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Pacific/Apia",
)
PLACES = st.sampled_from(ZONES)
TIMES = st.times(time(0), time(23, 59)).map(lambda at: at.replace(second=0, microsecond=0))
NIGHTS = st.builds(time, st.integers(0, 3), st.integers(0, 59))
BEGINS = st.datetimes(datetime(2000, 1, 1, 12), datetime(2030, 1, 1)).map(
    lambda begin: begin.replace(day=15, hour=12, minute=7)
)


def cron(expression: str, begin: datetime, zone: str, n: int) -> tuple[datetime, ...]:
    """Return what cron runs after a local time."""
    aware = begin.replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone))
    return tuple(at.astimezone(UTC) for at in islice(CronSim(expression, aware), n))


def in_zone(begin: datetime, zone: str) -> datetime:
    return begin.replace(tzinfo=ZoneInfo(zone))


@settings(deadline=None, max_examples=25)
@given(BEGINS, PLACES, NIGHTS | TIMES)
@example(datetime(2017, 6, 1, 12), "America/Sao_Paulo", time(0))
def test_days(begin: datetime, zone: str, at: time) -> None:
    listed = Daily(at, zone=zone).upcoming(400, in_zone(begin, zone))
    assert listed == cron(f"{at.minute} {at.hour} * * *", begin, zone, 400)


@settings(deadline=None, max_examples=25)
@given(BEGINS, PLACES, NIGHTS | TIMES, st.sets(st.integers(0, 6), min_size=1))
def test_weeks(begin: datetime, zone: str, at: time, days: set[int]) -> None:
    listed = Weekly([DAYS[day] for day in days], at, zone=zone).upcoming(120, in_zone(begin, zone))
    numbers = ",".join(str(day + 1) for day in days)
    assert listed == cron(f"{at.minute} {at.hour} * * {numbers}", begin, zone, 120)


@settings(deadline=None, max_examples=25)
@given(BEGINS, PLACES, NIGHTS | TIMES, st.integers(1, 28) | st.just(-1))
def test_months(begin: datetime, zone: str, at: time, day: int) -> None:
    # Days 29 to 31 are left out: cron leaves out the months that do not have them.
    listed = Monthly(day, at, zone=zone).upcoming(60, in_zone(begin, zone))
    shown = "L" if day == -1 else str(day)
    assert listed == cron(f"{at.minute} {at.hour} {shown} * *", begin, zone, 60)


@settings(deadline=None, max_examples=25)
@given(BEGINS, PLACES, st.integers(1, 24))
def test_hours(begin: datetime, zone: str, every: int) -> None:
    n = 9000 // every
    listed = Hourly(every, zone=zone).upcoming(min(n, 2000), in_zone(begin, zone))
    assert listed == cron(f"0 */{every} * * *", begin, zone, min(n, 2000))


def test_cron_answers_with_the_past_within_an_hour_that_comes_twice() -> None:
    # What is said of it above; if this changes, it can be asked from anywhere.
    asked = datetime(2024, 10, 27, 2, 10, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    past = next(CronSim("30 2 * * *", asked))
    assert past.astimezone(UTC) < asked.astimezone(UTC)
    following = Daily("02:30", zone="Europe/Berlin").next_after(asked)
    assert following == datetime(2024, 10, 28, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "America/St_Johns"])
def test_a_fixed_time_of_day_where_the_clock_changes_otherwise(zone: str) -> None:
    begin = datetime(2005, 1, 15, 12)
    for at in (time(0, 1), time(2, 15), time(1, 45)):
        listed = Daily(at, zone=zone).upcoming(2000, in_zone(begin, zone))
        assert listed == cron(f"{at.minute} {at.hour} * * *", begin, zone, 2000)
