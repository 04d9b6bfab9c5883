"""Looks for what is due again and again, and hands it to workers, until it is asked to stop.

    what is due? --> a worker: claim, export, finish --> what is due? ...

Place: what a `Scheduler` does from its start to its stop, on a thread of its own, where no signal
strikes between two steps. Nothing of it is kept: a dispatcher that dies leaves runs whose leases
end, and chores likewise.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue

from cdds.catalog import RunEntry
from cdds.scheduler.chores import Chore
from cdds.scheduler.workers import Workers
from cdds.service import DownloadService
from cdds.service.reasons import in_words

_LONGEST_PAUSE = 30.0
"""The most seconds between two looks at a catalog that fails."""

_CHORES = 10.0
"""The most seconds that a chore waits to be looked for, where the catalog is asked that often."""

_SET_ASIDE = 60.0
"""The seconds for which a job that cannot be begun does not keep others from their turn."""

_SOON = 1.0
"""The seconds for which a job is set aside that the catalog failed to begin."""

_TICK = 0.001
"""The seconds by which a look is late rather than early."""

_CLEANING_UP = 10.0
"""The seconds that exports have to clean up after they were cancelled."""

_GLANCE = 0.5
"""The most seconds that one who waits takes to heed a signal, or what another thread asks for."""

_NAME = "cdds-scheduler"

_log = logging.getLogger(__name__)


class Dispatcher:
    """Hands out what is due from its start to its stop."""

    def __init__(
        self,
        service: DownloadService,
        chores: Mapping[str, Chore],
        *,
        workers: int,
        poll_interval: float,
    ) -> None:
        self._service = service
        self._chores = chores
        self._poll_interval = poll_interval
        self._chores_pause = max(poll_interval, min(10 * poll_interval, _CHORES))
        self._chores_from = time.monotonic()
        self._set_aside: dict[str, float] = {}
        self._wake = threading.Event()
        self._workers = Workers(workers, self._wake.set)
        self._stop = threading.Event()
        self._cancel = threading.Event()
        self._thread = threading.Thread(target=self._run_to_the_end, name=_NAME, daemon=True)
        self._error: BaseException | None = None
        self._is_over = False
        # Unlike an event, it has no lock that a waiter could keep whom a signal interrupts.
        self._over: SimpleQueue[None] = SimpleQueue()

    def start(self) -> None:
        """Look for what is due and hand it out, until `stop` is called.

        Raises:
            RuntimeError: the system has no thread left.
        """
        self._thread.start()

    def join(self) -> None:
        """Wait until it hands out nothing more.

        Raises:
            BaseException: what has ended it, where that is no stop.
        """
        self._join(math.inf)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Begin nothing more; what runs goes on."""
        self._stop.set()
        self._wake.set()

    def cancel(self) -> None:
        """Stop the runs in progress; they are due again at once."""
        self.stop()
        self._cancel.set()

    def wait(self, seconds: float) -> bool:
        """Wait for what runs, and cancel it after some seconds; tell whether all has ended."""
        until = time.monotonic() + seconds
        while not self._cancel.is_set() and time.monotonic() < until:
            if self._all_ends(min(_GLANCE, until - time.monotonic())):
                return True
        self.cancel()
        return self._all_ends(_CLEANING_UP)

    @property
    def has_ended(self) -> bool:
        """Whether it hands out nothing more, and nothing that it has handed out is worked at."""
        return self._stop.is_set() and self._all_ends(0)

    def is_at_work_here(self) -> bool:
        """Whether this very thread is one of those that it has work done on."""
        return self._thread is threading.current_thread() or self._workers.is_one_of_them()

    @property
    def _has_begun(self) -> bool:
        return self._thread.ident is not None

    def _all_ends(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        return self._join(seconds) and self._workers.wait(until - time.monotonic())

    def _join(self, seconds: float) -> bool:
        """Wait until it hands out nothing more; tell whether that was so in time.

        One that never began is not waited for: its thread, should it begin yet, heeds the stop.
        """
        until = time.monotonic() + seconds
        while self._has_begun and not self._is_over:
            left = until - time.monotonic()
            if left <= 0:
                return False
            with suppress(Empty):
                self._over.get(timeout=min(left, _GLANCE))
        if self._is_over:
            self._thread.join()
        return True

    def _run_to_the_end(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001  # raised again where one waits for it
            self._error = error
            _warn("nothing is scheduled any more", error)
        finally:
            self._stop.set()
            self._is_over = True
            self._over.put(None)

    def _run(self) -> None:
        failed = 0.0
        while not self._stop.is_set():
            try:
                pause = self._hand_out()
                failed = 0.0
            except BaseException as error:  # noqa: BLE001  # not even a listener that exits ends it
                failed = max(2 * failed, self._poll_interval)
                pause = failed = min(failed, max(_LONGEST_PAUSE, self._poll_interval))
                _warn("nothing can be scheduled, trying again", error)
            self._wake.wait(pause)
            self._wake.clear()

    def _hand_out(self) -> float:
        """Hand out what is due, and return the seconds until the next look."""
        if self._workers.free and time.monotonic() >= self._chores_from:
            self._hand_out_chores()
        free = self._workers.free
        if not free:  # whoever is free again wakes it
            return self._poll_interval
        found = self._service.due.look(free, self._unwanted())
        for job_id in found.jobs:
            self._workers.begin(job_id, partial(self._run_job, job_id))
        return self._pause(found.at)

    def _pause(self, looked: datetime) -> float:
        """Return the seconds until something known is due, and no more than between two looks."""
        pauses = [self._poll_interval]
        wait = self._service.due.wait(looked)
        if wait is not None:
            pauses.append(wait.total_seconds() + _TICK)
        now = time.monotonic()
        pauses += [until - now for until in tuple(self._set_aside.values())]
        return max(_TICK, min(pauses))

    def _hand_out_chores(self) -> None:
        """Begin the chores that are due; they are looked for more seldom, being no user's."""
        busy = self._chores.keys() & self._workers.held
        due = self._service.chores.due(sorted(self._chores.keys() - busy))
        # One worker is left for runs, where there are several: a chore may take very long. It need
        # not be free now, else long runs would keep all chores from being done.
        most = max(self._workers.count - 1, 1)
        begun = due[: min(self._workers.free, most - len(busy))]
        for name in begun:
            self._workers.begin(name, partial(self._do, name, self._chores[name]))
        if begun == due:
            self._chores_from = time.monotonic() + self._chores_pause

    def _unwanted(self) -> frozenset[str]:
        """Return what is about to be begun here, or could not be a moment ago."""
        now = time.monotonic()
        for job_id, until in tuple(self._set_aside.items()):
            if until <= now:
                del self._set_aside[job_id]
        return self._workers.held | self._set_aside.keys()

    def _run_job(self, job_id: str) -> None:
        ran = self._service.due.run(job_id, self._cancel, self._let_go)
        if ran.outcome == "not begun":
            pause = _SOON if ran.is_transient else _SET_ASIDE
            self._set_aside[job_id] = time.monotonic() + pause
        elif ran.outcome == "nothing to do":  # others were faster: let them have it, take another
            self._set_aside[job_id] = time.monotonic() + min(self._poll_interval, _SOON)

    def _let_go(self, run: RunEntry) -> None:
        """Leave it to the catalog from now on whether one more run of the job may begin."""
        self._workers.let_go()
        if run.settings.max_instances > 1:
            self._wake.set()

    def _do(self, name: str, chore: Chore) -> None:
        try:
            self._service.chores.do(name, chore.recurrence, chore.work)
        except Exception as error:  # noqa: BLE001  # as above
            _warn(f"{name} could not be done", error)


def _warn(what: str, error: BaseException) -> None:
    """Log that something has failed; a log that fails itself must not end the thread that tells."""
    with suppress(BaseException):
        _log.warning("%s: %s", what, in_words(error))
