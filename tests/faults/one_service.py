"""Processes that work with a service until they are killed.

    one_service.py HOME EXPORTS URL

It loads all that it needs once. For each line of its input, a seed and a moment, it forks a worker,
which opens the catalog, says so, and does at that moment whatever comes. It says which process that
is, and how it ended. A worker that is not killed ends by an error, which is a
fault of this library.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import cdds
from cdds.errors import CatalogError, CddsError

sys.path.insert(0, str(Path(__file__).parent))

from places import Files, Place, SetClock, listed_artifacts, opened


class Worker:
    """Does to a service what its users and its host do."""

    def __init__(self, place: Place, random_numbers: random.Random) -> None:
        self._place = place
        self._service = place.service
        self._random = random_numbers

    def step(self) -> None:
        """Do one thing; that it cannot be done now is no fault."""
        does: list[tuple[int, Callable[[], object]]] = [
            (5, self.run),
            (2, self.run_and_cancel),
            (1, self._service.run_due),
            (2, self.delete_artifacts),
            (2, self.delete_run),
            (2, self._service.retention.sweep),
            (3, self._service.reconcile),
            (1, self._service.retention.remind),
        ]
        weights, todo = zip(*does, strict=True)
        (do,) = self._random.choices(todo, weights)
        try:
            do()
        except CatalogError:
            raise
        except CddsError:
            pass

    def run(self) -> None:
        self._service.jobs.run_now(self._place.me, self._job())

    def run_and_cancel(self) -> None:
        job_id = self._job()

        def cancel(_: cdds.Progress) -> None:
            run = self._service.jobs.get(self._place.me, job_id).latest_run
            assert run is not None
            self._service.history.cancel(self._place.me, run)

        self._service.jobs.run_now(self._place.me, job_id, progress=cancel)

    def delete_artifacts(self) -> None:
        names = [artifact.name for artifact in listed_artifacts(self._place)]
        some = self._random.sample(names, min(len(names), self._random.randint(1, 3)))
        self._service.artifacts.delete(self._place.me, some)

    def delete_run(self) -> None:
        runs = self._service.history.list(self._place.me).items
        if runs:
            self._service.history.delete(self._place.me, self._random.choice(runs).id)

    def _job(self) -> str:
        return self._random.choice(self._service.jobs.list(self._place.me).items).id


def work(files: Files, url: str, seed: int, moment: datetime) -> None:
    """Open the catalog, say so, and do things until killed."""
    with opened(files, url, SetClock(moment)) as place:
        print("open", flush=True)
        worker = Worker(place, random.Random(seed))
        while True:
            worker.step()


def warm_up(files: Files) -> None:
    """Load what is loaded late."""
    with opened(files, "sqlite://") as place:
        job_id = place.add_job()
        place.service.jobs.run_now(place.me, job_id)
        run = place.service.jobs.get(place.me, job_id).latest_run
        assert run is not None
        place.service.history.delete(place.me, run)
        place.service.reconcile()


def main(home: str, exports: str, url: str) -> None:
    """Fork a worker for each line of the input."""
    warm_up(Files(Path(home), Path(home) / "warm"))
    files = Files(Path(home), Path(exports))
    for line in sys.stdin:
        seed, moment = line.split(maxsplit=1)
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                try:
                    work(files, url, int(seed), datetime.fromisoformat(moment.strip()))
                except BaseException:
                    sys.excepthook(*sys.exc_info())
                    raise
            os._exit(1)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
