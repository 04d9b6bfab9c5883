"""Recurrences where the clock changes, held against what a clock on the wall shows.

The rule in one sentence: a local time happens the first time that the clock shows it, or, if it
never does, when the clock has passed it. So the judge reads the clock minute by minute.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cdds.schedule import Daily, Hourly, Monthly, RRule, Weekly

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",  # at midnight
    "America/Havana",  # at midnight
    "America/St_Johns",  # at one minute past midnight, once by two hours
    "America/Caracas",  # by half an hour, once each way
    "Asia/Beirut",  # at midnight
    "Asia/Pyongyang",
    "Africa/Cairo",  # at midnight
    "Africa/Casablanca",  # around Ramadan
    "Antarctica/Troll",  # by two hours
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Apia",  # without 30 December 2011
    "Pacific/Kwajalein",  # without 21 August 1993
    "Pacific/Chatham",
    "America/Juneau",
)


@cache
def changes(zone: str) -> list[datetime]:
    """Return the days of UTC, since 1985, on which the clock of a zone changes."""
    clock = ZoneInfo(zone)
    days = [datetime(1985, 1, 1, tzinfo=UTC) + number * DAY for number in range(50 * 365)]
    offsets = [day.astimezone(clock).utcoffset() for day in days]
    return [day for day, pair in zip(days, pairwise(offsets), strict=False) if pair[0] != pair[1]]


@st.composite
def changing(draw: st.DrawFn) -> tuple[str, datetime]:
    """Return a zone, and a full minute at most two days from a change of its clock."""
    zone = draw(st.sampled_from(ZONES))
    day = draw(st.sampled_from(changes(zone)))
    return zone, day + draw(st.integers(-2 * 1440, 3 * 1440)) * MINUTE


def wall(zone: str, first: datetime, days: int) -> list[tuple[datetime, datetime]]:
    """Return the instants of some days, and what the clock shows at each."""
    clock = ZoneInfo(zone)
    instants = [first + number * MINUTE for number in range(days * 1440)]
    return [(instant, instant.astimezone(clock).replace(tzinfo=None)) for instant in instants]


def judged(shown: list[tuple[datetime, datetime]], times: list[datetime]) -> list[datetime]:
    """Return when local times happen: the first time that the clock shows them, or later ones."""
    latest = [*accumulate((clock for _, clock in shown), max)]
    return sorted({shown[bisect_left(latest, time)][0] for time in times})


def days_around(shown: list[tuple[datetime, datetime]]) -> list[date]:
    first, last = shown[0][1].date(), shown[-1][1].date()
    return [first + number * DAY for number in range(1, (last - first).days)]


TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0)) | st.sampled_from(
    [time(0), time(0, 30), time(1), time(1, 30), time(2), time(2, 30), time(3), time(23, 59)]
)


@settings(max_examples=80, deadline=None)
@given(changing(), TIMES)
def test_every_day_has_the_run_that_the_clock_shows(place: tuple[str, datetime], at: time) -> None:
    zone, moment = place
    shown = wall(zone, moment - 2 * DAY, 5)
    expected = judged(shown, [datetime.combine(day, at) for day in days_around(shown)])
    daily = Daily(at, zone=zone)
    assert daily.upcoming(len(expected), expected[0] - MINUTE) == tuple(expected)
    following = daily.next_after(moment)
    assert following == next(instant for instant in expected if instant > moment)
    rule = RRule(
        f"FREQ=DAILY;BYHOUR={at.hour};BYMINUTE={at.minute};BYSECOND=0",
        start=datetime(1970, 1, 1, tzinfo=UTC),
        zone=zone,
    )
    assert rule.upcoming(len(expected), expected[0] - MINUTE) == tuple(expected)


@settings(max_examples=60, deadline=None)
@given(changing(), TIMES)
def test_weeks_and_months_keep_the_rule_of_days(place: tuple[str, datetime], at: time) -> None:
    zone, moment = place
    shown = wall(zone, moment - 2 * DAY, 5)
    days = days_around(shown)
    before = judged(shown, [datetime.combine(days[0], at)])[0] - MINUTE
    for day in days:
        (expected,) = judged(shown, [datetime.combine(day, at)])
        weekly = Weekly(f"{day:%a}"[:2], at, zone=zone)
        assert weekly.next_after(before) == expected
        monthly = Monthly(day.day, at, zone=zone).next_after(before)
        assert monthly == (expected if day.day < 29 else monthly)


@settings(max_examples=60, deadline=None)
@given(changing(), st.integers(1, 24))
def test_hours_are_what_the_clock_shows_missing_or_twice(
    place: tuple[str, datetime], every: int
) -> None:
    zone, moment = place
    shown = wall(zone, moment, 5)
    expected = [
        instant for instant, clock in shown[1:] if not clock.minute and not clock.hour % every
    ]
    hourly = Hourly(every, zone=zone)
    assert hourly.upcoming(len(expected), moment) == tuple(expected)


@settings(max_examples=60, deadline=None)
@given(
    changing(),
    st.sampled_from(
        [
            "FREQ=HOURLY",
            "FREQ=HOURLY;INTERVAL=5;BYMINUTE=15,45",
            "FREQ=MINUTELY;INTERVAL=17",
            "FREQ=MINUTELY;BYHOUR=0,1,2,3",
            "FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=0,30",
            "FREQ=DAILY;INTERVAL=2;BYHOUR=0,2;BYMINUTE=30;BYSETPOS=-1",
            "FREQ=WEEKLY;BYDAY=SU,FR,SA;BYHOUR=0,2,23",
            "FREQ=MONTHLY;BYDAY=-1SU,2SU,1SU;BYHOUR=1,2,3",
            "FREQ=YEARLY;BYDAY=SU;BYHOUR=0,1,2",
        ]
    ),
)
def test_a_rule_happens_as_the_clock_shows(place: tuple[str, datetime], rule: str) -> None:
    zone, moment = place
    shown = wall(zone, moment - 2 * DAY, 6)
    start = shown[0][1].replace(hour=0, minute=0)
    aware = start.replace(tzinfo=ZoneInfo(zone))
    assume(aware.astimezone(UTC).astimezone(aware.tzinfo).replace(tzinfo=None) == start)
    local = rrulestr(rule, dtstart=start)
    expected = judged(shown, local.between(shown[0][1], shown[-1][1] - 25 * 60 * MINUTE, inc=True))
    expected = [instant for instant in expected if instant > moment]
    made = RRule(rule, start=aware, zone=zone)
    assert made.upcoming(len(expected), moment) == tuple(expected)


@settings(max_examples=60, deadline=None)
@given(changing(), st.integers(1, 24), TIMES, st.data())
def test_answers_are_the_same_from_wherever_they_are_asked(
    place: tuple[str, datetime], every: int, at: time, data: st.DataObject
) -> None:
    zone, moment = place
    start = moment - 100 * DAY
    recurrence = data.draw(
        st.sampled_from(
            [
                Hourly(every, zone=zone, start=start),
                Daily(at, zone=zone),
                Weekly(["MO", "SU"], at, zone=zone, start=start),
                Monthly(-1, at, zone=zone),
                RRule("FREQ=HOURLY;INTERVAL=3", start=start, zone=zone),
                RRule("FREQ=MONTHLY;BYMONTHDAY=31", start=start, zone=zone),
            ]
        )
    )
    listed = recurrence.upcoming(12, moment)
    assert len(listed) == 12
    for earlier, later in pairwise((moment, *listed)):
        assert earlier < later
        assert later.tzinfo is UTC
        share = data.draw(st.floats(0, 0.999), "share")
        for asked in (earlier, earlier + share * (later - earlier)):
            assert recurrence.next_after(asked.astimezone(ZoneInfo(zone))) == later


def test_the_day_that_apia_left_out() -> None:
    before = datetime(2011, 12, 29, 12, tzinfo=UTC)  # the 29th there; the 30th does not come
    shown = [
        instant.astimezone(ZoneInfo("Pacific/Apia")).strftime("%d %H:%M")
        for instant in Daily("02:30", zone="Pacific/Apia").upcoming(4, before)
    ]
    assert shown == ["29 02:30", "31 00:00", "31 02:30", "01 02:30"]
    midnights = Daily(zone="Pacific/Apia").upcoming(2, before)
    assert midnights[1] - midnights[0] == DAY


@pytest.mark.parametrize(
    ("zone", "at", "day", "expected"),
    [
        ("Europe/Berlin", "02:30", datetime(2024, 3, 31), "2024-03-31 03:00+02:00"),
        ("Europe/Berlin", "02:00", datetime(2024, 3, 31), "2024-03-31 03:00+02:00"),
        ("Europe/Berlin", "02:30", datetime(2024, 10, 27), "2024-10-27 02:30+02:00"),
        ("America/Sao_Paulo", "00:00", datetime(2017, 10, 15), "2017-10-15 01:00-02:00"),
        ("Australia/Lord_Howe", "02:15", datetime(2024, 10, 6), "2024-10-06 02:30+11:00"),
        ("Africa/Cairo", "00:30", datetime(2024, 4, 26), "2024-04-26 01:00+03:00"),
    ],
)
def test_known_nights(zone: str, at: str, day: datetime, expected: str) -> None:
    clock = ZoneInfo(zone)
    following = Daily(at, zone=zone).next_after(day.replace(tzinfo=clock) - DAY / 3)
    assert following is not None
    assert following.astimezone(clock).isoformat(" ", "minutes") == expected


def test_a_run_that_a_gap_moves_to_the_start_counts_for_all_alike() -> None:
    start = datetime(2024, 3, 31, 1, tzinfo=UTC)  # 03:00 in Berlin, where 02:30 is missing
    rule = "FREQ=HOURLY;BYHOUR=2;BYMINUTE=30"
    expected = (start, datetime(2024, 4, 1, 0, 30, tzinfo=UTC))
    for recurrence in (
        Daily("02:30", start=start, zone="Europe/Berlin"),
        RRule(rule, start=start, zone="Europe/Berlin"),
        RRule(rule + ";COUNT=2", start=start, zone="Europe/Berlin"),
    ):
        assert recurrence.upcoming(2, start - DAY) == expected


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"])
def test_the_ends_of_time(zone: str) -> None:
    first = datetime.min.replace(tzinfo=UTC)
    last = datetime.max.replace(tzinfo=UTC)
    for recurrence in (
        Hourly(zone=zone),
        Daily("12:00", zone=zone),
        Weekly("MO", zone=zone),
        Monthly(zone=zone),
        Monthly(-1, "23:59:59", zone=zone),
    ):
        assert recurrence.next_after(last) is None
        following = recurrence.next_after(first)
        assert following is not None
        assert following - first < 33 * DAY
        late = recurrence.upcoming(99, last - 3 * DAY)
        assert len(late) < 99
