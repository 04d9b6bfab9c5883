"""The laws of recurrences in UTC: later always, within their bounds, and none left out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import DAILY, HOURLY, MONTHLY, WEEKLY, rrule
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cdds.errors import JobError
from cdds.schedule import Daily, Hourly, Monthly, Once, RRule, Weekly

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


DECADES = st.datetimes(datetime(1980, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
TIMES = st.times().map(lambda at: at.replace(microsecond=0))
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def judged(
    moment: datetime, n: int, freq: Any, at: time = time(), **rule: Any
) -> tuple[datetime, ...]:
    """Return what python-dateutil lists after a moment."""
    begin = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    clock = {"byhour": at.hour, "byminute": at.minute, "bysecond": at.second} | rule
    return tuple(islice(rrule(freq, dtstart=begin, **clock).xafter(moment), n))


@given(DECADES, HOURS)
def test_hours_are_those_of_the_judge(moment: datetime, every: int) -> None:
    expected = judged(moment, 60, HOURLY, byhour=range(0, 24, every))
    assert Hourly(every).upcoming(60, moment) == expected


@given(DECADES, TIMES, st.sets(st.integers(0, 6), min_size=1))
def test_days_and_weeks_are_those_of_the_judge(moment: datetime, at: time, days: set[int]) -> None:
    assert Daily(at).upcoming(40, moment) == judged(moment, 40, DAILY, at)
    weekly = Weekly([DAYS[day] for day in days], at)
    assert weekly.upcoming(40, moment) == judged(moment, 40, WEEKLY, at, byweekday=[*days])


@given(DECADES, TIMES, st.integers(1, 31) | st.just(-1))
def test_months_are_those_of_the_judge(moment: datetime, at: time, day: int) -> None:
    # The last of the days up to the one asked for is that day, or else the last day of the month.
    candidates = [-1] if day == -1 else [*range(1, day + 1)]
    expected = judged(moment, 40, MONTHLY, at, bymonthday=candidates, bysetpos=-1)
    assert Monthly(day, at).upcoming(40, moment) == expected


def test_a_month_that_lacks_the_day_has_its_last_instead() -> None:
    listed = Monthly(31).upcoming(5, datetime(2023, 12, 31, 12, tzinfo=UTC))
    assert [f"{at:%m-%d}" for at in listed] == ["01-31", "02-29", "03-31", "04-30", "05-31"]


REPEATING: list[Callable[..., Hourly | Daily | Weekly | Monthly]] = [
    lambda **bounds: Hourly(5, **bounds),
    lambda **bounds: Daily("02:30", **bounds),
    lambda **bounds: Weekly(["MO", "FR"], "08:00:07", **bounds),
    lambda **bounds: Monthly(-1, **bounds),
]
PLACES = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"])


@given(st.sampled_from(REPEATING), PLACES, DECADES, st.integers(0, 20), st.integers(0, 20))
def test_bounds_cut_off_what_lies_outside_and_nothing_else(
    make: Callable[..., Daily], zone: str, moment: datetime, first: int, more: int
) -> None:
    listed = make(zone=zone).upcoming(45, moment)
    start, end = listed[first], listed[first + more]
    tick = timedelta(microseconds=1)
    inside = listed[first : first + more + 1]
    for bounds in (
        {"start": start, "until": end},
        {"start": start - tick, "until": end + tick},
        {"start": start, "count": more + 1},
    ):
        bounded = make(zone=zone, **bounds)
        assert bounded.upcoming(99, FIRST) == inside
        assert bounded.next_after(end - tick) == end
        assert bounded.next_after(end) is None
    assert make(zone=zone, start=start + tick).next_after(FIRST) == listed[first + 1]
    assert make(zone=zone, until=end).next_after(moment) == listed[0]
    assert make(zone=zone, until=end).upcoming(99, start) == inside[1:]


@pytest.mark.parametrize("make", REPEATING)
def test_bounds_that_contradict_each_other_or_leave_nothing_are_refused(
    make: Callable[..., Daily],
) -> None:
    start = datetime(2024, 5, 1, 9, 0, 1, tzinfo=UTC)
    refused: list[dict[str, Any]] = [
        {"start": start, "until": start - HOUR},
        {"start": start, "until": start + timedelta(seconds=1)},
        {"until": FIRST},
        {"count": 3},
        {"start": start, "until": start + timedelta(99), "count": 3},
    ]
    for bounds in refused:
        with pytest.raises(JobError):
            make(**bounds)


def test_the_largest_count_is_counted_once() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    bounded = Hourly(1, start=start, count=10_000)
    last = start + 9_999 * HOUR
    assert bounded.next_after(last - HOUR) == last
    assert bounded.next_after(last) is None
    assert Hourly(1, start=LAST - 3 * HOUR, count=10_000).upcoming(9, FIRST)[-1].hour == 23
    assert Daily(start=FIRST, count=2).upcoming(9, FIRST)[0] > FIRST


def test_upcoming_lists_after_the_present_moment_by_default() -> None:
    before = datetime.now(UTC)
    (following,) = Hourly().upcoming(1)
    assert before < following <= datetime.now(UTC) + HOUR
    assert Once(before + HOUR).upcoming(3) == (before + HOUR,)
    assert Once(before).upcoming(3) == Once().upcoming(3) == Once(before + HOUR).upcoming(0) == ()


@pytest.mark.parametrize("n", [-1, 1.0, True, None, "1", 10_001])
def test_upcoming_takes_a_number(n: Any) -> None:
    for recurrence in (
        Once(),
        Once(LAST),
        Hourly(),
        RRule("FREQ=DAILY", start=datetime(2024, 1, 1, tzinfo=UTC)),
    ):
        with pytest.raises(JobError):
            recurrence.upcoming(n, FIRST)


def test_no_repetition_begins_at_once() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    assert not any(make(start=start).is_immediate for make in REPEATING)
    assert not RRule("FREQ=DAILY", start=start).is_immediate


BAD_FOR_ALL: list[Any] = [True, 1.5, b"", {}, object(), "x"]
BAD: list[tuple[str, list[Any]]] = [
    ("start", [datetime(2024, 1, 1), *BAD_FOR_ALL]),
    ("until", [datetime(2024, 1, 1), *BAD_FOR_ALL]),
    ("count", [0, -1, 10_001, 2.0, *BAD_FOR_ALL]),
    (
        "zone",
        ["", " ", "Mars/Olympus", "../x", "/etc/localtime", "localtime", "America", "posixrules",
         "right/UTC", "posix/UTC", "Factory", "Europe/Berlin\0", "\0", "\ud800", "Europe/Berlín",
         "A" * 100_000, "A/" * 5, "zone.tab", "tzdata.zi", "Europe/Berlin/", "../zoneinfo/UTC",
         None, 1, UTC, ZoneInfo("Europe/Berlin"), *BAD_FOR_ALL],
    ),
]  # fmt: skip


@pytest.mark.parametrize("make", REPEATING)
@pytest.mark.parametrize(
    ("name", "values"), BAD, ids=lambda value: value if type(value) is str else ""
)
def test_bad_bounds_are_refused(make: Callable[..., Daily], name: str, values: list[Any]) -> None:
    start = {"start": datetime(2024, 1, 1, tzinfo=UTC)} if name == "count" else {}
    for value in values:
        with pytest.raises(JobError, match=r"\w+ \w+ \w+"):
            make(**{name: value}, **start)


@pytest.mark.parametrize("name", ["Mars/Olympus", "America", "localtime", "../x"])
def test_an_unknown_zone_is_called_unknown_with_an_example(name: str) -> None:
    with pytest.raises(JobError, match=r"is unknown; .* such as Europe/Berlin"):
        Daily(zone=name)
    with pytest.raises(JobError, match=r"is unknown; .* such as Europe/Berlin"):
        RRule("FREQ=DAILY", start=datetime(2024, 1, 1, tzinfo=UTC), zone=name)


@pytest.mark.parametrize(
    "at",
    ["25:00", "24:00", "12:60", "12:00:60", "2:30", "0230", "02", "02:30 ", "02:30Z", "02:30:00.5",
     "02:30+01:00", "", "noon", "٠٢:٣٠", time(2, 30, tzinfo=UTC), time(2, 30, 0, 5),
     datetime(2024, 1, 1), None, 2, 2.5, True, b"02:30", (2, 30)],
    ids=repr,
)  # fmt: skip
def test_only_times_of_day_are_times(at: Any) -> None:
    makes: list[Any] = [Daily, lambda at: Weekly("MO", at), lambda at: Monthly(1, at)]
    for make in makes:
        with pytest.raises(JobError):
            make(at)


@pytest.mark.parametrize("day", [0, 32, -2, -31, True, 1.0, "1", None, [1]], ids=repr)
def test_only_days_of_a_month_are_days(day: Any) -> None:
    with pytest.raises(JobError):
        Monthly(day)


@pytest.mark.parametrize(
    "days",
    [[], (), "", "Monday", "MO,FR", ["MO", "XX"], ["MO", 1], ["MO", None], 1, None, True, b"MO",
     [b"MO"], [["MO"]], {}, "M"],
    ids=repr,
)  # fmt: skip
def test_only_days_of_a_week_are_days(days: Any) -> None:
    with pytest.raises(JobError):
        Weekly(days)


@given(st.lists(st.sampled_from([*DAYS, *map(str.lower, DAYS), "Mo"]), min_size=1))
def test_days_of_a_week_are_kept_in_its_order_each_once(days: list[str]) -> None:
    weekly = Weekly(days)
    assert set(weekly.days) == {day.upper() for day in days}
    assert weekly.days == tuple(day for day in DAYS if day in weekly.days)
    assert weekly == Weekly(iter(reversed(days)))


def test_a_time_of_day_may_be_a_text() -> None:
    assert Daily("02:30") == Daily(time(2, 30)) == Daily(time(2, 30, fold=1))
    assert Daily("02:30:07").at == time(2, 30, 7)
