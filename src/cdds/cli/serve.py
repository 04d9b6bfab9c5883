"""`cdds serve`: runs a scheduler, and tells of each run in a line on standard error.

Place: a command, over `cdds.scheduler`. It opens no port; SIGTERM and Ctrl-C end it cleanly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdds.cli.pages import add_configuration, configuration_file
from cdds.cli.stopping import stoppable
from cdds.cli.telling import tell
from cdds.cli.words import add_command
from cdds.errors import CddsError

if TYPE_CHECKING:
    import argparse

    from cdds.cli.configuration import Configuration, SchedulerSection
    from cdds.scheduler import Scheduler
    from cdds.service import DownloadService
    from cdds.service.events import Event


def add_to(commands: Any) -> None:
    """Add the command."""
    serve = add_command(commands, "serve", _run, "run jobs when they are due, until it is stopped")
    add_configuration(serve)
    serve.add_argument("--once", action="store_true", help="run what is due now, and end: for cron")


def _run(options: argparse.Namespace) -> None:
    from cdds.cli.hosting import hosted_by_file

    file = configuration_file(options)
    with hosted_by_file(file, [_tell_event]) as (service, configuration):
        scheduler = _scheduler(service, configuration)
        if options.once:
            with stoppable():
                scheduler.run_pending()
        else:
            _serve(scheduler, configuration.scheduler)


def _serve(scheduler: Scheduler, section: SchedulerSection) -> None:
    has_ended = scheduler.run_forever(
        workers=section.workers, stop_timeout=section.stop_timeout, handle_signals=True
    )
    if not has_ended:
        raise CddsError("some runs did not stop in time; their leases will end")


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


def _tell_event(event: Event) -> None:
    line = line_of(event)
    if line is not None:
        tell(line)


def line_of(event: Event) -> str | None:
    """Return the line of a log for an event, if it has one; never the content of a record."""
    from cdds.cli.shapes import moment
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
        case _:
            return None
    run, at = event.run, moment(event.at.replace(microsecond=0))
    whose = f"{run.tenant}/{run.owner}: {run.title}"
    return printable(f"{at} run {run.id} ({whose}) {what}")
