"""`cdds jobs`: the Jobs page of the guide in a terminal.

Place: the commands of one page, over `DownloadService.jobs`.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from cdds.cli.pages import (
    add_list_options,
    add_one,
    add_page_options,
    opened_page,
    part_of_list,
    show,
    show_done,
    show_list,
)
from cdds.cli.settings import add_settings, dataset_filter, settings_of
from cdds.cli.stopping import stoppable
from cdds.cli.telling import is_terminal, warn
from cdds.cli.words import Once, add_command, add_page, moment, span

if TYPE_CHECKING:
    import argparse

    from cdds.catalog import JobEntry, RunEntry

_SORTS = ("title", "created", "next-start", "latest-start", "latest-status")


def add_to(commands: Any) -> None:
    """Add the commands of the page."""
    page = add_page(commands, "jobs", "what shall be exported, how often, and how it stands")
    _add_list(add_command(page, "list", _list, "list jobs"))
    add_one(page, "job", "show", _show, "show all that is set for a job")
    added = add_command(page, "add", _add, "add a job, and print its id")
    add_page_options(added)
    add_settings(added, required=True)
    edited = add_one(page, "job", "edit", _edit, "change settings of a recurring job")
    add_settings(edited, required=False)
    cloned = add_one(page, "job", "clone", _clone, "add a job with the settings of another")
    add_settings(cloned, required=False)
    add_one(page, "job", "suspend", _suspend, "switch the starts of a job off")
    add_one(page, "job", "resume", _resume, "switch the starts of a job on again")
    add_one(page, "job", "delete", _delete, "delete a job; its history and artifacts stay")
    _add_backfill(page)
    run = add_one(page, "job", "run", _run, "run a job now, and print the names of its artifacts")
    run.add_argument("--no-progress", action="store_true", help="no progress bar")


def _add_backfill(page: Any) -> None:
    summary = "add one-time jobs for a past span, and print their ids"
    parser = add_one(page, "job", "backfill", _backfill, summary)
    group = parser.add_argument_group("which span, in which windows")
    group.add_argument("--from", dest="from_", metavar="T", type=moment, required=True, action=Once)
    group.add_argument("--until", metavar="T", type=moment, required=True, action=Once)
    group.add_argument(
        "--step", metavar="SPAN", type=span, required=True, action=Once, help="such as 1d"
    )


def _add_list(parser: argparse.ArgumentParser) -> None:
    add_list_options(parser, _SORTS, descending=False)
    group = parser.add_argument_group("which jobs")
    add_filters(group)
    suspended = group.add_mutually_exclusive_group()
    suspended.add_argument("--suspended", action="store_const", const=True, dest="suspended")
    suspended.add_argument("--active", action="store_const", const=False, dest="suspended")


def add_filters(group: argparse._ArgumentGroup) -> None:
    """Add the filters that jobs and runs share."""
    group.add_argument("--title", metavar="TEXT", action=Once, help="whose title holds this")
    group.add_argument("--source", metavar="NAME", action=Once)
    group.add_argument("--dataset", metavar="NAME", action=Once, help="interaction or contact")
    group.add_argument(
        "--status",
        metavar="S",
        action=Once,
        help="in-progress, finished, failed, cancelled or missed",
    )


def filters_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the filters that jobs and runs share."""
    return {
        "title": options.title,
        "source": options.source,
        "dataset": dataset_filter(options),
        "status": options.status and options.status.replace("-", " "),
    }


def _list(options: argparse.Namespace) -> None:
    from cdds.cli import shapes
    from cdds.cli.tables import next_start, progress, shortened

    with opened_page(options) as (service, me):
        page = service.jobs.list(
            me, **filters_of(options), suspended=options.suspended, **part_of_list(options)
        )
    columns = ["title", "type", "source", "status", "progress", "latest start (UTC)"]
    columns += ["next start (UTC)", "runs", "suspended", "id"]
    rows = (
        (
            shortened(job.title),
            job.settings.dataset,
            job.settings.source,
            job.latest_status,
            progress(job.progress),
            job.latest_start,
            next_start(job),
            job.settings.recurrence,
            job.suspended,
            job.id,
        )
        for job in page.items
    )
    told = [shapes.of_job(job) for job in page.items]
    show_list(options, "jobs", told, columns=columns, rows=rows, token=page.next)


def _show(options: argparse.Namespace) -> None:
    from cdds.cli import shapes

    with opened_page(options) as (service, me):
        job = service.jobs.get(me, options.id)
    show(options, _sheet(job), {"job": shapes.of_job(job)})


def _sheet(job: JobEntry) -> str:
    from cdds.cli.tables import next_start, progress, settings_sheet, sheet

    return sheet(
        {
            "id": job.id,
            **settings_sheet(job.settings),
            "owner": job.owner,
            "created (UTC)": job.created,
            "edited (UTC)": job.edited,
            "suspended": job.suspended,
            "next start (UTC)": next_start(job),
            "tried again for (UTC)": job.retrying,
            "exported until (UTC)": job.watermark,
            "latest start (UTC)": job.latest_start,
            "latest status": job.latest_status,
            "latest run": job.latest_run,
            "progress": progress(job.progress),
        }
    )


def _add(options: argparse.Namespace) -> None:
    from cdds.catalog import JobSettings

    settings = JobSettings(**settings_of(options))
    with opened_page(options) as (service, me):
        show_new(options, service.jobs.add(me, settings))


def _edit(options: argparse.Namespace) -> None:
    changes = settings_of(options)
    if not changes:
        options.usage_error("give at least one setting to change")
    with opened_page(options) as (service, me):
        _show_changed(options, service.jobs.edit(me, options.id, **changes))


def _clone(options: argparse.Namespace) -> None:
    changes = settings_of(options)
    with opened_page(options) as (service, me):
        show_new(options, service.jobs.clone(me, options.id, **changes))


def _suspend(options: argparse.Namespace) -> None:
    with opened_page(options) as (service, me):
        _show_changed(options, service.jobs.suspend(me, options.id))


def _resume(options: argparse.Namespace) -> None:
    with opened_page(options) as (service, me):
        _show_changed(options, service.jobs.resume(me, options.id))


def _delete(options: argparse.Namespace) -> None:
    with opened_page(options) as (service, me):
        service.jobs.delete(me, options.id)
    show_done(options, "", {"deleted": options.id})


def _backfill(options: argparse.Namespace) -> None:
    from cdds.cli import shapes

    with opened_page(options) as (service, me):
        jobs = service.jobs.backfill(me, options.id, options.from_, options.until, options.step)
    told = {"jobs": [shapes.of_job(job) for job in jobs]}
    show_done(options, "\n".join(job.id for job in jobs), told)


def _run(options: argparse.Namespace) -> None:
    with opened_page(options) as (service, me):
        with stoppable() as stop, _listener(options) as listener:
            run = service.jobs.run_now(me, options.id, progress=listener, cancel=stop)
        names = [artifact.name for artifact in service.history.artifacts(me, run.id)]
    _show_run(options, run, names)


def _show_run(options: argparse.Namespace, run: RunEntry, names: list[str]) -> None:
    from cdds.cli import shapes

    for warning in run.warnings:
        warn(warning)
    show_done(options, "\n".join(names), {"run": shapes.of_run(run), "artifacts": names})


def _listener(options: argparse.Namespace) -> AbstractContextManager[Any]:
    if options.no_progress or not is_terminal(sys.stderr):
        return nullcontext(None)
    from cdds.progress import progress_bar  # loads tqdm

    return progress_bar()


def show_new(options: argparse.Namespace, job: JobEntry) -> None:
    """Print the id of a job that was added."""
    from cdds.cli import shapes

    show_done(options, job.id, {"job": shapes.of_job(job)})


def _show_changed(options: argparse.Namespace, job: JobEntry) -> None:
    from cdds.cli import shapes

    show_done(options, "", {"job": shapes.of_job(job)})
