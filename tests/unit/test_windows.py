"""The laws of windows: they are half-open and meet exactly, in series and where a span is cut."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hosts import settings_of
from hypothesis import assume, given
from hypothesis import strategies as st

import cdds
from cdds.catalog import JobSettings
from cdds.errors import JobError
from cdds.model import SinceLastRun, Timeframe, cut

BASE = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=ZONES)
ANY_MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
LAGS = st.timedeltas(timedelta(), timedelta(days=366))
TIMEFRAMES = st.one_of(
    st.none(),
    st.builds(SinceLastRun, LAGS, st.none() | MOMENTS),
    st.builds(lambda start, span: Timeframe(start, start + span), MOMENTS, LAGS),
)


@given(LAGS, st.none() | MOMENTS, st.lists(MOMENTS, min_size=1, max_size=8))
def test_the_windows_of_a_series_meet_exactly_wherever_the_time_goes(
    lag: timedelta, start: datetime | None, moments: list[datetime]
) -> None:
    timeframe = SinceLastRun(lag, start)
    windows, watermark = [], None
    for moment in moments:
        windows.append(timeframe.window(watermark, moment))
        watermark = windows[-1].end
    assert windows[0].start == start
    assert all(one.end == other.start for one, other in pairwise(windows))
    for window, moment in zip(windows, moments, strict=True):
        assert window.end is not None
        assert window.end == moment - lag or window.start == window.end  # never backwards
        assert window.start is None or window.start <= window.end


@given(st.none() | ANY_MOMENTS, st.none() | ANY_MOMENTS, ANY_MOMENTS, LAGS)
def test_there_is_a_window_at_either_end_of_time(
    start: datetime | None, watermark: datetime | None, moment: datetime, lag: timedelta
) -> None:
    window = SinceLastRun(lag, start).window(watermark, moment)
    assert window.start == (start if watermark is None else watermark)
    assert window.end is not None


@pytest.mark.parametrize(
    ("lag", "start"),
    [
        (-TICK, None),
        (timedelta(days=366) + TICK, None),
        (5, None),
        (None, None),
        ("5 minutes", None),
        (MINUTE, datetime(2026, 1, 1)),  # has no zone
        (MINUTE, "2026-01-01"),
        (MINUTE, BASE.date()),
        (MINUTE, datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))),
    ],
)
def test_a_series_out_of_its_range_is_refused(lag: Any, start: Any) -> None:
    for make in (SinceLastRun, Timeframe.since_last_run):
        with pytest.raises(JobError, match=r"lag|time frame"):
            make(lag, start)


def test_a_series_has_a_lag_of_some_minutes_and_no_start() -> None:
    assert Timeframe.since_last_run() == SinceLastRun(5 * MINUTE, None)
    assert cdds.Timeframe.since_last_run(start=BASE).start == BASE


@given(
    timeframe=TIMEFRAMES,
    misfire=st.sampled_from(["one", "each", "none"]),
    grace=st.timedeltas(timedelta(seconds=1), timedelta(days=366)),
    retries=st.integers(0, 10),
    instances=st.integers(1, 16),
)
def test_settings_come_back_from_json_as_they_were(
    timeframe: Any, misfire: str, grace: timedelta, retries: int, instances: int
) -> None:
    settings = settings_of(
        timeframe=timeframe,
        misfire=misfire,
        misfire_grace_time=grace,
        max_retries=retries,
        max_instances=1 if isinstance(timeframe, SinceLastRun) else instances,
    )
    assert JobSettings.from_json(settings.to_json()) == settings


def test_settings_of_the_first_version_mean_what_they_did() -> None:
    """They say nothing of what a scheduler needs."""
    settings = settings_of(timeframe=Timeframe(BASE, BASE + MINUTE))
    values = json.loads(settings.to_json())
    for name in ("misfire", "misfire_grace_time", "max_instances", "max_retries"):
        del values[name]
    assert JobSettings.from_json(json.dumps(values)) == settings


@given(st.sampled_from(["source", "dataset", "start", "title", "lag", "media", "recurrence"]))
def test_a_series_goes_on_unless_its_records_or_its_beginning_are_others(changed: str) -> None:
    settings = settings_of(timeframe=SinceLastRun(MINUTE, BASE))
    every: dict[str, dict[str, Any]] = {
        "source": {"source": "Other"},
        "dataset": {"dataset": "Contact"},
        "start": {"timeframe": SinceLastRun(MINUTE, BASE + TICK)},
        "title": {"title": "Other"},
        "lag": {"timeframe": SinceLastRun(2 * MINUTE, BASE)},
        "media": {"media_types": ["chat"]},
        "recurrence": {"recurrence": cdds.Hourly(2)},
    }
    other = attrs.evolve(settings, **every[changed])
    goes_on = changed not in {"source", "dataset", "start"}
    assert settings.is_series_of(other) == other.is_series_of(settings) == goes_on
    for timeframe in (None, Timeframe(BASE)):
        no_series = attrs.evolve(settings, timeframe=timeframe)
        assert not no_series.is_series_of(settings)
        assert not settings.is_series_of(no_series)


@given(
    MOMENTS,
    st.timedeltas(TICK, timedelta(days=400)),
    st.timedeltas(MINUTE, timedelta(days=500)),
)
def test_a_span_is_cut_into_windows_that_meet_exactly(
    start: datetime, length: timedelta, step: timedelta
) -> None:
    assume(length / step <= 1000)
    span = Timeframe.between(start, start + length)
    windows = cut(span, step)
    assert (windows[0].start, windows[-1].end) == (span.start, span.end)
    assert all(one.end == other.start for one, other in pairwise(windows))
    lengths = [window.end - window.start for window in windows if window.end and window.start]
    assert len(lengths) == len(windows)
    assert lengths[:-1] == [step] * (len(windows) - 1)
    assert timedelta() < lengths[-1] <= step


@given(st.integers(1, 1000), st.timedeltas(MINUTE, timedelta(days=3)), st.integers(-1, 1))
def test_there_are_as_many_windows_as_steps_begin(count: int, step: timedelta, ticks: int) -> None:
    span = Timeframe.between(BASE, BASE + count * step + ticks * TICK)
    expected = count + (ticks > 0)
    if expected > 1000:
        with pytest.raises(JobError, match="1001 windows are too many"):
            cut(span, step)
    else:
        assert len(cut(span, step)) == expected


@pytest.mark.parametrize(
    ("span", "step"),
    [
        (Timeframe(), MINUTE),
        (Timeframe(BASE), MINUTE),
        (Timeframe(None, BASE), MINUTE),
        (Timeframe(BASE, BASE), MINUTE),
        (Timeframe(BASE, BASE + MINUTE), MINUTE - TICK),
        (Timeframe(BASE, BASE + MINUTE), timedelta()),
        (Timeframe(BASE, BASE + MINUTE), -MINUTE),
        (Timeframe(BASE, BASE + MINUTE), 60),
        (Timeframe(BASE, BASE + MINUTE), None),
        (Timeframe(BASE, BASE + 1001 * MINUTE), MINUTE),
    ],
)
def test_what_cannot_be_cut_is_refused(span: Timeframe, step: Any) -> None:
    with pytest.raises(JobError):
        cut(span, step)
