"""The laws of recurrences: later always, at full hours of UTC days, and as JSON without a loss."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cdds.errors import JobError
from cdds.schedule import Hourly, Once, from_json, to_json

HOUR = timedelta(hours=1)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)

ZONES: tuple[tzinfo, ...] = (
    UTC,
    timezone(timedelta(hours=14)),
    timezone(timedelta(hours=-11, minutes=-30)),
    timezone(timedelta(hours=5, minutes=45, seconds=7)),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/Sao_Paulo"),
)
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.sampled_from(ZONES))
NEAR = st.datetimes(datetime(2024, 2, 20), datetime(2024, 3, 10), timezones=st.just(UTC))
HOURS = st.integers(1, 24)


def full_hours(every: int, day: datetime) -> list[datetime]:
    """Return the starts of one day in UTC, one after another."""
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
    return [midnight + hour * HOUR for hour in range(24) if hour % every == 0]


@given(HOURS, MOMENTS, st.none() | MOMENTS)
def test_a_start_is_strictly_later_a_full_hour_and_in_utc(
    every: int, moment: datetime, start: datetime | None
) -> None:
    following = Hourly(every, start=start).next_after(moment)
    assert following is not None
    assert following > moment.astimezone(UTC)
    assert start is None or following >= start.astimezone(UTC)
    assert following.tzinfo is UTC
    assert following == following.replace(minute=0, second=0, microsecond=0)
    assert following.hour % every == 0


@given(HOURS, MOMENTS, st.none() | st.integers(-72, 72))
def test_no_start_is_left_out(every: int, moment: datetime, hours: int | None) -> None:
    local, moment = moment, moment.astimezone(UTC)
    start = None if hours is None else moment + hours * HOUR
    following = Hourly(every, start=start).next_after(local)
    begin = max(moment, start or moment)
    days = [begin + timedelta(days=n) for n in range(2)]
    expected = [
        hour
        for day in days
        for hour in full_hours(every, day)
        if hour > moment and (start is None or hour >= start)
    ]
    assert following == expected[0]


@given(HOURS, NEAR)
@example(5, datetime(2023, 12, 31, 20, tzinfo=UTC))
@example(24, datetime(2024, 2, 28, 23, 59, 59, 999999, tzinfo=UTC))
def test_following_starts_are_those_of_each_day(every: int, moment: datetime) -> None:
    hourly = Hourly(every)
    starts: list[datetime] = []
    while len(starts) < 60:
        following = hourly.next_after(starts[-1] if starts else moment)
        assert following is not None
        starts.append(following)
    assert all(earlier < later for earlier, later in pairwise(starts))
    days = [moment + timedelta(days=n) for n in range(61)]
    enumerated = [hour for day in days for hour in full_hours(every, day) if hour > moment]
    assert starts == enumerated[:60]


@pytest.mark.parametrize(
    ("every", "hours"),
    [(5, [0, 5, 10, 15, 20]), (4, [0, 4, 8, 12, 16, 20]), (7, [0, 7, 14, 21]), (24, [0])],
)
def test_every_day_begins_anew_at_midnight(every: int, hours: list[int]) -> None:
    moment = datetime(2023, 12, 31, 23, 59, tzinfo=UTC)
    starts: list[datetime] = []
    for _ in [*hours, None]:
        following = Hourly(every).next_after(moment)
        assert following is not None
        starts.append(moment := following)
    first = datetime(2024, 1, 1, tzinfo=UTC)
    assert starts == [*(first + hour * HOUR for hour in hours), first + 24 * HOUR]


@given(HOURS, st.booleans())
def test_a_start_at_a_full_hour_counts_itself(every: int, is_full: bool) -> None:
    start = datetime(2024, 5, 1, 12 // every * every, tzinfo=UTC)
    start += timedelta() if is_full else timedelta(microseconds=1)
    following = Hourly(every, start=start).next_after(start - 30 * HOUR)
    assert following is not None
    assert (following == start) == is_full


def test_a_change_of_the_local_clock_changes_no_start() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2024, 3, 31, 0, 30, tzinfo=berlin)  # the night that has no 02 o'clock
    hourly = Hourly(6)
    first = hourly.next_after(before)
    assert first == datetime(2024, 3, 31, tzinfo=UTC)
    second = hourly.next_after(first.astimezone(berlin))
    assert second == datetime(2024, 3, 31, 6, tzinfo=UTC)


@given(MOMENTS, MOMENTS)
def test_once_is_one_moment(at: datetime, moment: datetime) -> None:
    once = Once(at)
    # In UTC: two zones are never equal at a local time that is skipped or repeated.
    assert once.at == at.astimezone(UTC)
    assert once.at.tzinfo is UTC
    is_later = once.at > moment.astimezone(UTC)
    assert once.next_after(moment) == (once.at if is_later else None)
    assert once.next_after(at) is None
    assert not once.is_immediate


@given(MOMENTS)
def test_at_once_has_no_later_start(moment: datetime) -> None:
    assert Once().next_after(moment) is None
    assert Once().is_immediate


@given(st.builds(Once, st.none() | MOMENTS) | st.builds(Hourly, HOURS, start=st.none() | MOMENTS))
def test_json_loses_nothing(recurrence: Once | Hourly) -> None:
    read = from_json(json.loads(json.dumps(to_json(recurrence))))
    assert read == recurrence
    assert type(read) is type(recurrence)
    assert str(read) == str(recurrence)


@given(HOURS)
def test_the_ends_of_time(every: int) -> None:
    assert Hourly(every).next_after(LAST) is None
    assert Hourly(every, start=LAST).next_after(FIRST) is None
    following = Hourly(every, start=FIRST).next_after(FIRST)
    assert following == FIRST + every * HOUR
    assert Once(LAST).next_after(FIRST) == LAST


@pytest.mark.parametrize("zone", ZONES[1:3])
@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
def test_a_moment_that_utc_does_not_have_is_refused(moment: datetime, zone: tzinfo) -> None:
    local = moment.replace(tzinfo=zone)
    try:
        local.astimezone(UTC)
    except OverflowError:
        makes: list[Any] = [Once, lambda start: Hourly(start=start), Hourly().next_after]
        for make in makes:
            with pytest.raises(JobError):
                make(local)
    else:
        assert Once(local).at == local


NAIVE: list[Any] = [
    None,
    datetime(2024, 1, 1),
    "2024-01-01T00:00:00Z",
    0,
    1.5,
    b"",
    [],
    {},
    object(),
]


@pytest.mark.parametrize("moment", NAIVE, ids=lambda moment: type(moment).__name__)
def test_only_aware_datetimes_are_moments(moment: Any) -> None:
    makes: list[Any] = [Hourly().next_after, Once().next_after]
    if moment is not None:
        makes += [Once, lambda start: Hourly(start=start)]
    for make in makes:
        with pytest.raises(JobError):
            make(moment)


@given(st.one_of(st.integers(), st.booleans(), st.floats(), st.text(), st.none(), st.binary()))
def test_only_1_to_24_hours(every: Any) -> None:
    assume(type(every) is not int or not 1 <= every <= 24)
    with pytest.raises(JobError):
        Hourly(every)
