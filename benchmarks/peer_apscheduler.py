"""What APScheduler 3 does at the places where the scheduler of cdds is measured.

It keeps its jobs in a list in memory, sorted by their next start. A list is asked for what is due,
and each of those jobs for the times that it has to run at and for its next one: that is what
`BackgroundScheduler` does each time that it wakes up, but for the submission to a pool of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.job import Job
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

_HOUR = timedelta(hours=1)


def planning(count: int, now: datetime) -> dict[str, Callable[[], object]]:
    """Return what plans so many jobs, by what they are."""
    on_time = now - timedelta(seconds=30)
    none = _store([_job(n, now + _HOUR, _cron(n, now + _HOUR)) for n in range(count)])
    cron = _store([_job(n, on_time, _cron(n, on_time)) for n in range(count)])
    interval = _store([_job(n, on_time, _interval(n, on_time)) for n in range(count)])
    missed = _store(
        [
            _job(n, now.replace(minute=0) - 24 * _HOUR, CronTrigger(minute=0, timezone=UTC))
            if n % 10 == 0
            else _job(n, on_time, _cron(n, on_time))
            for n in range(count)
        ]
    )
    return {
        "none due": lambda: _plan(none, now),
        "all due, cron triggers": lambda: _plan(cron, now),
        "all due, interval triggers": lambda: _plan(interval, now),
        "10 % missed 24 starts, cron triggers": lambda: _plan(missed, now),
    }


def idle(count: int) -> None:
    """Begin a scheduler with so many jobs, none of them due within a day."""
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.start(paused=True)
    start = datetime.now(UTC) + timedelta(days=2)
    for number in range(count):
        scheduler.add_job(
            _nothing, IntervalTrigger(hours=1 + number % 24, start_date=start, timezone=UTC)
        )
    scheduler.resume()


def _plan(store: MemoryJobStore, now: datetime) -> None:
    for job in store.get_due_jobs(now):
        times = job._get_run_times(now)  # noqa: SLF001  # as its scheduler does
        job.trigger.get_next_fire_time(times[-1], now)


def _store(jobs: list[Job]) -> MemoryJobStore:
    store = MemoryJobStore()
    for job in jobs:
        store.add_job(job)
    return store


def _job(number: int, next_start: datetime, trigger: Any) -> Job:
    return Job(
        _scheduler,
        id=str(number),
        func=_nothing,
        args=(),
        kwargs={},
        name="job",
        executor="default",
        trigger=trigger,
        misfire_grace_time=None,
        coalesce=True,
        max_instances=1,
        next_run_time=next_start,
    )


def _cron(number: int, next_start: datetime) -> Any:
    if number % 10 == 1:
        return DateTrigger(next_start, timezone=UTC)
    return CronTrigger(hour=f"*/{1 + number % 23}", minute=0, timezone=UTC)


def _interval(number: int, next_start: datetime) -> Any:
    if number % 10 == 1:
        return DateTrigger(next_start, timezone=UTC)
    return IntervalTrigger(hours=1 + number % 24, start_date=next_start, timezone=UTC)


def _nothing() -> None:
    pass


_scheduler = BackgroundScheduler(timezone=UTC)
