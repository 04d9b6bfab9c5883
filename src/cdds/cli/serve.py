"""`cdds serve`: runs a scheduler, and tells of runs and reminders in lines on standard error.

Place: a command, over `cdds.scheduler`. It opens no port; SIGTERM, SIGHUP and Ctrl-C end it
cleanly.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cdds.cli.pages import add_configuration, configuration_file
from cdds.cli.stopping import ignore_signals, stoppable
from cdds.cli.telling import tell
from cdds.cli.words import add_command
from cdds.errors import CddsError

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from cdds.catalog import RunEntry
    from cdds.cli.configuration import Configuration, SchedulerSection
    from cdds.scheduler import Scheduler
    from cdds.service import DownloadService
    from cdds.service.events import Event


_LOG_OF_RUNS = "cdds.service.due"
"""Where the service logs what runs fail with, for hosts that listen to no events."""

_REMEMBERED = 1000
"""How many runs that failed are remembered until the log comes to them."""


def add_to(commands: Any) -> None:
    """Add the command."""
    serve = add_command(commands, "serve", _run, "run jobs when they are due, until it is stopped")
    add_configuration(serve)
    serve.add_argument("--once", action="store_true", help="run what is due now, and end: for cron")


def _run(options: argparse.Namespace) -> None:
    from cdds.cli.hosting import hosted_by_file

    file = configuration_file(options)
    with _telling_once() as teller, hosted_by_file(file, [teller]) as (service, configuration):
        scheduler = _scheduler(service, configuration)
        if options.once:
            with stoppable() as stop:
                scheduler.run_pending(stop=stop)
                stop.check()
        else:
            _serve(scheduler, configuration.scheduler)


def _serve(scheduler: Scheduler, section: SchedulerSection) -> None:
    try:
        has_ended = scheduler.run_forever(
            workers=section.workers, stop_timeout=section.stop_timeout, handle_signals=True
        )
    finally:
        ignore_signals()
    if not has_ended:
        raise CddsError("some runs or chores did not stop in time; their leases will end")


def _scheduler(service: DownloadService, configuration: Configuration) -> Scheduler:
    from cdds.schedule import Hourly
    from cdds.scheduler import Scheduler

    retention = configuration.retention
    return Scheduler(
        service,
        poll_interval=configuration.scheduler.poll_interval,
        sweep=Hourly(retention.sweep_every_hours),
        reconcile=Hourly(retention.reconcile_every_hours),
        remind=Hourly(retention.remind_every_hours),
    )


class _Teller(logging.Filter):
    """Tells of events, and keeps the log from telling once more of a run that failed."""

    def __init__(self) -> None:
        super().__init__()
        self._told: deque[str] = deque(maxlen=_REMEMBERED)

    def __call__(self, event: Event) -> None:
        """Tell of an event."""
        from cdds.service.events import RunFailed

        line = line_of(event)
        if line is not None:
            tell(line)
        if isinstance(event, RunFailed):
            self._told.append(event.run.id)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record of the log is news."""
        return getattr(record, "run", None) not in self._told


@contextmanager
def _telling_once() -> Iterator[_Teller]:
    teller, log = _Teller(), logging.getLogger(_LOG_OF_RUNS)
    log.addFilter(teller)
    try:
        yield teller
    finally:
        log.removeFilter(teller)


def line_of(event: Event) -> str | None:
    """Return the line of a log for an event, if it has one; never the content of a record."""
    from cdds.location import printable
    from cdds.service import events

    match event:
        case events.RunStarted():
            what = "started"
        case events.RunFinished():
            count = sum(event.run.records.values())
            what = f"finished, {count:,} records, {event.run.file_name}"
        case events.RunFailed():
            what = f"failed: {event.run.error}"
        case events.RunCancelled():
            what = "cancelled"
        case events.RunMissed():
            what = _missed(event.run)
        case events.ArtifactExpiring(artifact=artifact):
            whose = f"{artifact.tenant}/{artifact.owner}: {artifact.title}"
            what = f"artifact {artifact.name} ({whose}) is gone at {_second(artifact.expires)}"
        case events.CertificateExpiring(certificate=entry):
            whose = f"{entry.tenant}/{entry.user}"
            what = f"the certificate of {whose} expires at {_second(entry.expires)}; "
            what += "later exports need a new one"
        case _:
            return None
    return printable(f"{_second(event.at)} {_subject(event)}{what}")


def _second(at: datetime) -> str:
    """Return a moment to the second."""
    from cdds.cli.shapes import moment

    return moment(at.replace(microsecond=0))


def _subject(event: Event) -> str:
    """Return which run an event is of, and whose; nothing where it is of none."""
    run: RunEntry | None = getattr(event, "run", None)
    return "" if run is None else f"run {run.id} ({run.tenant}/{run.owner}: {run.title}) "


def _missed(run: RunEntry) -> str:
    """Return how many starts were missed, when, and why."""
    from cdds.cli.shapes import moment

    first, last = (moment(at) for at in (run.missed_from or run.started, run.due or run.started))
    if run.missed == 1:
        return f"missed 1 start, at {last}: {run.error}"
    return f"missed {run.missed:,} starts, from {first} to {last}: {run.error}"
