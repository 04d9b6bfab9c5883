"""`Scheduler`: the runs of all jobs at their time, and the host's own work beside them.

Place: above the service, what a host makes to have its jobs run. Any number of schedulers may work
on one catalog, in one process or on many machines: the catalog says who runs what.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any

from cdds.catalog import RunEntry
from cdds.errors import JobError
from cdds.protocols import CancelToken
from cdds.schedule import Hourly, Once, Recurrence
from cdds.scheduler.chores import chores_of
from cdds.scheduler.dispatcher import Dispatcher
from cdds.service import DownloadService
from cdds.service.filters import check_limit, check_number, check_token

_MOST_WORKERS = 64
_SHORTEST_POLL = timedelta(milliseconds=10)
_LONGEST_POLL = timedelta(minutes=5)
_LONGEST_STOP = timedelta(days=1)
_STOP_TIMEOUT = timedelta(seconds=30)

_log = logging.getLogger(__name__)


class Scheduler:
    """Runs what is due, each start once, however many schedulers share the catalog.

    A start is due by the clock of the catalog's database. It is claimed in one transaction, held by
    a lease that is renewed while it runs, and finished in one transaction; what a crash leaves is
    found when its lease ends, and tried again.

    Args:
        service: the service whose jobs are run.
        poll_interval: how often the catalog is asked what is new, from 10 milliseconds to 5
            minutes. While a worker is free, starts that it knew of by then begin on time, and what
            others have added since is late by this at most.
        sweep: when artifacts past their time are removed; None for never.
        reconcile: when the catalog is held against the storage; None for never.
        remind: when the listeners are told of what expires soon; None for never. On a catalog for
            which one of these was never done it is done at once, whatever its start, and from then
            on when its recurrence says so.

    Raises:
        JobError: an argument is out of its range, or a recurrence of the host's own work ends.

    >>> scheduler = Scheduler(service)
    >>> scheduler.run_pending()  # what is due now, on this thread: for cron or a loop of your own
    >>> with scheduler:  # on threads beside a web application
    ...     serve_web_pages()
    >>> scheduler.run_forever(workers=4, handle_signals=True)  # a process of its own
    """

    def __init__(
        self,
        service: DownloadService,
        *,
        poll_interval: timedelta = timedelta(seconds=5),
        sweep: Recurrence | None = Hourly(1),  # noqa: B008  # a frozen value
        reconcile: Recurrence | None = Hourly(24),  # noqa: B008
        remind: Recurrence | None = Hourly(24),  # noqa: B008
    ) -> None:
        if not isinstance(service, DownloadService):
            raise JobError("a scheduler takes a cdds.DownloadService")
        _check_span("poll_interval", poll_interval, _SHORTEST_POLL, _LONGEST_POLL)
        for name, recurrence in (("sweep", sweep), ("reconcile", reconcile), ("remind", remind)):
            if recurrence is not None and not _recurs_for_ever(recurrence):
                raise JobError(
                    f"{name} takes what recurs without an end, such as cdds.Hourly(1), or None"
                )
        self._service = service
        self._poll_interval = poll_interval.total_seconds()
        self._chores = chores_of(service, sweep=sweep, reconcile=reconcile, remind=remind)
        self._lock = threading.Lock()
        self._dispatcher: Dispatcher | None = None
        self._is_waited_for = False

    def __enter__(self) -> Scheduler:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def run_pending(
        self, limit: int = 100, stop: CancelToken | None = None
    ) -> tuple[RunEntry, ...]:
        """Do on this thread what is due, until nothing is, and return the runs that finished.

        For hosts with a loop of their own, for cron, or for Celery beat; any number of them may do
        so at once. What fails is logged, and stands in the history.

        Args:
            limit: the most runs; a job that is due for several starts takes as many.
            stop: set by a signal or another thread to begin nothing more and to stop the run in
                progress, which is then due again at once; a chore in progress is done to its end.

        Raises:
            CatalogError: the catalog failed.
            JobError: `limit` is no whole number from 1 to 1,000,000, or `stop` no token.
        """
        check_limit(limit)
        check_token(stop, "stop")
        for name in self._service.chores.due(self._chores):
            if stop is not None and stop.is_set():
                return ()
            chore = self._chores[name]
            self._service.chores.do(name, chore.recurrence, chore.work)
        return self._service.run_due(limit, stop)

    def run_forever(
        self,
        workers: int = 2,
        *,
        stop_timeout: timedelta = _STOP_TIMEOUT,
        handle_signals: bool = False,
    ) -> bool:
        """Run what is due until `stop` is called, and return whether all that ran has ended.

        Args:
            workers: how many runs and chores may be in progress at once, 1 to 64. Of several one
                is left for runs; a single one does nothing else while a chore, such as a long
                sweep, is in progress.
            stop_timeout: how long runs may go on after the stop before they are cancelled; they
                then have 10 seconds to clean up, and are due again at once. Chores are waited for
                as long, and not cancelled.
            handle_signals: whether SIGTERM, SIGINT and SIGHUP stop it; a second one cancels what
                runs. A SIGHUP that is ignored stays so, as nohup wants it. Only the main thread can
                do so.

        Raises:
            JobError: an argument is out of its range, or the scheduler runs already.
        """
        _check_span("stop_timeout", stop_timeout, timedelta(), _LONGEST_STOP)
        dispatcher = self._begin(workers, is_waited_for=True)
        try:
            with _heeding_signals(dispatcher) if handle_signals else _heeding_nothing():
                try:
                    dispatcher.start()
                    dispatcher.join()
                    return self._has_ended(dispatcher, stop_timeout)
                except BaseException:  # Ctrl-C, where no signal is handled: what runs cleans up
                    self._has_ended(dispatcher, timedelta())
                    raise
        finally:
            dispatcher.cancel()
            self._end(dispatcher)

    def start(self, workers: int = 2) -> None:
        """Run what is due on threads of this process, until `stop`.

        Args:
            workers: how many runs and chores may be in progress at once, 1 to 64. Of several one
                is left for runs; a single one does nothing else while a chore, such as a long
                sweep, is in progress.

        Raises:
            JobError: `workers` is out of its range, or the scheduler runs already.
        """
        dispatcher = self._begin(workers)
        try:
            dispatcher.start()
        except BaseException:  # Ctrl-C may strike when its thread runs already
            self._has_ended(dispatcher, timedelta())
            self._end(dispatcher)
            raise

    def stop(self, timeout: timedelta = _STOP_TIMEOUT) -> bool:
        """Begin nothing more, and return when what runs has ended; tell whether all has.

        A `run_forever` on another thread is asked to stop, and this returns False at once; so it
        does where a listener or a source calls it, on a thread that it would wait for.

        Args:
            timeout: how long runs may go on before they are cancelled; they then have 10 seconds to
                clean up, and are due again at once. Chores are waited for as long, and not
                cancelled.

        Raises:
            JobError: `timeout` is out of its range.
        """
        _check_span("timeout", timeout, timedelta(), _LONGEST_STOP)
        with self._lock:
            dispatcher, is_waited_for = self._dispatcher, self._is_waited_for
        if dispatcher is None:
            return True
        dispatcher.stop()
        if is_waited_for or dispatcher.is_at_work_here():
            return False
        has_ended = self._has_ended(dispatcher, timeout)
        self._end(dispatcher)
        return has_ended

    def _begin(self, workers: int, *, is_waited_for: bool = False) -> Dispatcher:
        check_number(workers, "workers", 1, _MOST_WORKERS)
        with self._lock:
            if self._dispatcher is not None and not self._dispatcher.has_ended:
                raise JobError("the scheduler runs already; stop it first, or make another one")
            self._dispatcher = dispatcher = Dispatcher(
                self._service, self._chores, workers=workers, poll_interval=self._poll_interval
            )
            self._is_waited_for = is_waited_for
        return dispatcher

    def _has_ended(self, dispatcher: Dispatcher, timeout: timedelta) -> bool:
        has_ended = dispatcher.wait(timeout.total_seconds())
        if not has_ended:
            _log.warning("some runs or chores did not stop in time; their leases will end")
        return has_ended

    def _end(self, dispatcher: Dispatcher) -> None:
        with self._lock:
            if self._dispatcher is dispatcher:
                self._dispatcher = None


def _recurs_for_ever(recurrence: object) -> bool:
    if not isinstance(recurrence, Recurrence) or isinstance(recurrence, Once):
        return False
    return recurrence.until is None and recurrence.count is None


def _check_span(name: str, value: object, least: timedelta, most: timedelta) -> None:
    if not isinstance(value, timedelta) or not least <= value <= most:
        raise JobError(f"{name} is a timedelta from {least} to {most}")


@contextmanager
def _heeding_signals(dispatcher: Dispatcher) -> Iterator[None]:
    """Let signals stop a dispatcher, and cancel what it runs the second time.

    Raises:
        JobError: this is not the main thread.
    """
    asked = []

    def heed(number: int, _: Any) -> None:
        asked.append(number)
        ask = dispatcher.stop if len(asked) == 1 else dispatcher.cancel
        # On a thread: this one may hold the very lock of the event that is to be set.
        threading.Thread(target=ask, name="cdds-stop").start()

    if threading.current_thread() is not threading.main_thread():
        raise JobError("only the main thread of a process can handle signals")
    previous = {number: signal.signal(number, heed) for number in _stopping_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            # None is a handler that was not set by Python, which cannot put it back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _stopping_signals() -> list[signal.Signals]:
    stopping = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        stopping.append(signal.SIGHUP)
    return stopping


@contextmanager
def _heeding_nothing() -> Iterator[None]:
    yield
