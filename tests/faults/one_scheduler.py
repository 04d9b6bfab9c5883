"""Processes that run what is due until they are stopped or killed.

    one_scheduler.py HOME EXPORTS URL SPEED EPOCH BEGAN

It loads all that it needs once. For each line of its input, a seed and two numbers of seconds, it
forks a process with a scheduler, which after SIGTERM lets its runs go on for the first of them, and
whose source makes each run wait for the second at least. It says which process is forked, when that
is ready for signals, and how it ended. Its own end is that of its schedulers, too.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

import cdds
from cdds.protocols import Source
from cdds.schedule import Recurrence
from cdds.scheduler import Scheduler

sys.path.insert(0, str(Path(__file__).parent))

from places import Files

MINUTE = timedelta(minutes=1)
TENANTS = 5
_KEY = b"k" * 32
_LEASE = timedelta(seconds=5)
_RETRY_PAUSE = timedelta(seconds=1)
_LONGEST_ANSWER = 0.4
"""The most seconds that the source makes a run wait beside those it is told to, so that there is
more in progress to kill."""
_REFUSALS = 0.03
"""How often the source does not answer at all."""
_LONGEST_WARM_UP = 60


def every_minute(start: datetime) -> Recurrence:
    """Return what is due every minute from a moment on."""
    return cdds.RRule("FREQ=MINUTELY", start=start)


@attrs.frozen
class Pace:
    """How fast time passes for a catalog and its schedulers, in all processes alike.

    At a speed of 1 it is the time of the database's own clock.
    """

    speed: float
    epoch: datetime = attrs.field(factory=lambda: datetime.now(UTC).replace(microsecond=0))
    began: float = attrs.field(factory=time.monotonic)

    @classmethod
    def of(cls, speed: str, epoch: str, began: str) -> Pace:
        """Return the one that these words tell of."""
        return cls(float(speed), datetime.fromisoformat(epoch), float(began))

    @property
    def words(self) -> list[str]:
        """What tells another process of it."""
        return [str(self.speed), self.epoch.isoformat(), repr(self.began)]

    def now(self) -> datetime:
        """Return the present moment."""
        if self.speed == 1:
            return datetime.now(UTC)
        return self.epoch + self.speed * timedelta(seconds=time.monotonic() - self.began)


class SlowSource:
    """Makes sources that answer after a while, or not at all."""

    def __init__(self, files: Files, numbers: random.Random, answer: float) -> None:
        self._files = files
        self._numbers = numbers
        self._answer = answer

    def __call__(self, tenant: str) -> Source:
        time.sleep(self._answer + self._numbers.uniform(0, _LONGEST_ANSWER))
        if self._numbers.random() < _REFUSALS:
            raise ConnectionError("the source does not answer")
        return cdds.sources.JsonLines(interaction=self._files.records)


@contextmanager
def opened(
    files: Files, url: str, pace: Pace, seed: int = 0, answer: float = 0
) -> Iterator[tuple[cdds.Catalog, cdds.DownloadService]]:
    """Open a catalog, and a service on it and on the folder of exports."""
    clock = None if pace.speed == 1 else pace
    with cdds.Catalog(url, audit_key=_KEY, clock=clock) as catalog:
        yield (
            catalog,
            cdds.DownloadService(
                catalog=catalog,
                sink=files.exports,
                sources={"UCS": SlowSource(files, random.Random(seed), answer)},
                clock=pace,
                signer=cdds.Signer.load(files.key, files.certificate),
                lease=_LEASE * pace.speed,
                retry_pause=_RETRY_PAUSE * pace.speed,
                threads=1,
            ),
        )


def add_jobs(
    files: Files, service: cdds.DownloadService, count: int, first: datetime
) -> dict[str, datetime]:
    """Add jobs, spread over a minute in whole seconds; return when each of them is due first."""
    first = first.replace(microsecond=0)
    people = [cdds.Principal("alice", f"tenant {number}") for number in range(TENANTS)]
    for person in people:
        service.preferences.set_certificate(person, files.certificate.read_bytes())
    starts = {}
    for number in range(count):
        start = first + timedelta(seconds=60 * number // count)
        settings = cdds.JobSettings(
            title=f"Job {number}",
            source="UCS",
            dataset="Interaction",
            recurrence=every_minute(start),
            misfire="each",
            max_retries=10,
        )
        starts[service.jobs.add(people[number % TENANTS], settings).id] = start
    return starts


def work(
    files: Files, url: str, pace: Pace, seed: int, *, stop_timeout: float, answer: float
) -> bool:
    """Run what is due until SIGTERM; tell whether all that ran has ended."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    threading.Thread(target=_say_when_ready, daemon=True).start()
    with opened(files, url, pace, seed, answer) as (_, service):
        scheduler = Scheduler(service, reconcile=every_minute(pace.epoch))
        return scheduler.run_forever(
            workers=2, stop_timeout=timedelta(seconds=stop_timeout), handle_signals=True
        )


def _end_with_the_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing is written to it while a scheduler lives
    os.kill(os.getpid(), signal.SIGKILL)


def _say_when_ready() -> None:
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        time.sleep(0.005)
    os.write(sys.stdout.fileno(), b"ready\n")


def warm_up(files: Files) -> None:
    """Load what is loaded late."""
    with opened(files, "sqlite://", Pace(60)) as (_, service):
        add_jobs(files, service, 1, datetime.now(UTC))
        until = time.monotonic() + _LONGEST_WARM_UP
        while not service.run_due():
            if time.monotonic() > until:
                sys.exit("the first run does not finish")
            time.sleep(0.1)
        service.reconcile()


def main(home: str, exports: str, url: str, *pace: str) -> None:
    """Fork a scheduler for each line of the input."""
    files = Files(Path(home), Path(exports))
    warm_up(attrs.evolve(files, exports=files.home / f"warm-{os.getpid()}"))
    for line in sys.stdin:
        seed, seconds, answer = line.split()
        child = os.fork()
        if child == 0:
            has_ended = work(
                *(files, url, Pace.of(*pace), int(seed)),
                stop_timeout=float(seconds),
                answer=float(answer),
            )
            sys.exit(0 if has_ended else 1)
        print("forked", child, flush=True)
        _, status = os.waitpid(child, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
