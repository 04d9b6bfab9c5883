"""A process that does to the jobs of a catalog whatever comes, at once with others of its kind.

    one_racer.py HOME EXPORTS URL SEED STEPS

It opens the catalog, says so, waits for a line of input, does so many steps, and prints how each
ended, counted, as JSON. An error that is no answer to what was asked ends it.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cdds.catalog import JobEntry
from cdds.errors import Cancelled, NotFound, StillInProgress
from cdds.service import heartbeat

sys.path.insert(0, str(Path(__file__).parent))

from places import Files, Place, SetClock, listed_artifacts, opened

LIFETIME = timedelta(seconds=1)
JOBS = 2
"""How many jobs all of them share."""


class RealClock(SetClock):
    """A clock that is right."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Racer:
    """Works on the jobs that all share, and adds one for each that is missing."""

    def __init__(self, place: Place, numbers: random.Random) -> None:
        self._place = place
        self._service = place.service
        self._me = place.me
        self._numbers = numbers

    def step(self) -> str:
        """Do one thing; return what came of it."""
        does: list[tuple[int, Callable[[], object]]] = [
            (4, self.run),
            (3, self.cancel),
            (2, self.edit),
            (1, self.suspend),
            (1, self.resume),
            (1, self.delete),
            (2, self.delete_artifacts),
            (2, self.delete_run),
            (1, self._service.run_due),
            (1, self._service.reconcile),
            (2, self._service.retention.sweep),
            (1, self._service.retention.remind),
            (1, self.look),
        ]
        weights, todo = zip(*does, strict=True)
        (do,) = self._numbers.choices(todo, weights)
        name: str = do.__name__
        try:
            do()
        except (StillInProgress, NotFound, Cancelled) as error:
            return f"{name}: {type(error).__name__}"
        return name

    def run(self) -> None:
        run = self._service.jobs.run_now(self._me, self._job())
        assert run.status == "finished"

    def cancel(self) -> None:
        for run in self._service.history.list(self._me, status="in progress").items:
            self._service.history.cancel(self._me, run.id)

    def edit(self) -> None:
        title = f"Title {self._numbers.random()}"
        job = _sound(self._service.jobs.edit(self._me, self._job(), title=title))
        assert job.title == title

    def suspend(self) -> None:
        assert _sound(self._service.jobs.suspend(self._me, self._job())).suspended

    def resume(self) -> None:
        assert not _sound(self._service.jobs.resume(self._me, self._job())).suspended

    def delete(self) -> None:
        self._service.jobs.delete(self._me, self._job())

    def delete_artifacts(self) -> None:
        names = [artifact.name for artifact in listed_artifacts(self._place)]
        self._numbers.shuffle(names)
        if names:
            self._service.artifacts.delete(self._me, names[:10])

    def delete_run(self) -> None:
        runs = self._service.history.list(self._me).items
        if runs:
            self._service.history.delete(self._me, self._numbers.choice(runs).id)

    def look(self) -> None:
        going = [r.job_id for r in self._service.history.list(self._me, status="in progress").items]
        assert len(going) == len(set(going))
        for job in self._service.jobs.list(self._me).items:
            _sound(job)

    def _job(self) -> str:
        jobs = self._service.jobs.list(self._me).items
        if len(jobs) < JOBS:
            return self._place.add_job()
        return self._numbers.choice(jobs).id


def _sound(job: JobEntry) -> JobEntry:
    """Check that a job that is in progress says how far it is."""
    assert (job.progress is not None) == job.is_running
    assert job.progress is None or job.progress.records >= 0
    return job


def main(home: str, exports: str, url: str, seed: str, steps: str) -> None:
    """Race."""
    heartbeat.INTERVAL = 0.01  # so that a short run hears of it when it is cancelled
    files = Files(Path(home), Path(exports))
    with opened(files, url, RealClock(), lifetime=LIFETIME) as place:
        racer = Racer(place, random.Random(int(seed)))
        print("open", flush=True)
        sys.stdin.readline()
        print(json.dumps(Counter(racer.step() for _ in range(int(steps)))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
