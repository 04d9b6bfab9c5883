"""`cdds history`: the History page of the guide in a terminal.

Place: the commands of one page, over `DownloadService.history`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdds.cli.jobs import add_filters, filters_of, show_new
from cdds.cli.pages import (
    add_list_options,
    add_one,
    opened_page,
    part_of_list,
    show,
    show_done,
    show_list,
)
from cdds.cli.settings import add_settings, settings_of
from cdds.cli.words import Once, add_command, add_page

if TYPE_CHECKING:
    import argparse

    from cdds.catalog import RunEntry

_SORTS = ("started", "status", "title")


def add_to(commands: Any) -> None:
    """Add the commands of the page."""
    page = add_page(commands, "history", "what runs, and what has run")
    runs = add_command(page, "list", _list, "list runs, the latest first")
    add_list_options(runs, _SORTS, descending=True)
    group = runs.add_argument_group("which runs")
    group.add_argument("--job", metavar="ID", action=Once, help="of this job")
    add_filters(group)
    add_one(page, "run", "show", _show, "show all that is known of a run, with its artifacts")
    add_one(page, "run", "cancel", _cancel, "stop a run; it ends soon, and leaves nothing")
    add_one(page, "run", "delete", _delete, "delete a run and its artifacts")
    cloned = add_one(page, "run", "clone", _clone, "add a job with the settings of a run")
    add_settings(cloned, required=False)


def _list(options: argparse.Namespace) -> None:
    from cdds.cli import shapes
    from cdds.cli.tables import progress, shortened, status

    with opened_page(options) as (service, me):
        page = service.history.list(
            me, job_id=options.job, **filters_of(options), **part_of_list(options)
        )
    columns = ["title", "type", "source", "status", "started (UTC)", "finished (UTC)"]
    columns += ["progress", "records", "error", "id"]
    rows = (
        (
            shortened(run.title),
            run.settings.dataset,
            run.settings.source,
            status(run),
            run.started,
            run.finished,
            progress(run.progress) if run.is_in_progress else "",
            _records(run),
            shortened(run.error),
            run.id,
        )
        for run in page.items
    )
    told = [shapes.of_run(run) for run in page.items]
    show_list(options, "runs", told, columns=columns, rows=rows, token=page.next)


def _records(run: RunEntry) -> str:
    if run.status == "missed":
        return ""
    count = sum(run.records.values()) if run.status == "finished" else run.progress.records
    return f"{count:,}"


def _show(options: argparse.Namespace) -> None:
    from cdds.cli import shapes

    with opened_page(options) as (service, me):
        run = service.history.get(me, options.id)
        artifacts = service.history.artifacts(me, options.id)
    names = [artifact.name for artifact in artifacts]
    show(options, _sheet(run, names), {"run": shapes.of_run(run), "artifacts": names})


def _sheet(run: RunEntry, names: list[str]) -> str:
    from cdds.cli.tables import progress, settings_sheet, sheet, timeframe

    counts = ", ".join(f"{count:,} {name}" for name, count in run.records.items())
    text = sheet(
        {
            "id": run.id,
            "job": run.job_id,
            **settings_sheet(run.settings),
            "owner": run.owner,
            "status": run.status,
            "attempt": run.attempt,
            "window": "" if run.window is None else timeframe(run.window),
            "starts missed": run.missed or "",
            "first missed (UTC)": run.missed_from,
            "due (UTC)": run.due,
            "started (UTC)": run.started,
            "finished (UTC)": run.finished,
            "progress": progress(run.progress) if run.is_in_progress else "",
            "records": counts or _records(run),
            "rejects": run.rejects,
            "error": run.error,
            "warnings": "; ".join(run.warnings),
            "expires (UTC)": run.expires,
            "file": run.file_name,
            "digests": run.digests,
            "signature": run.signature,
        }
    )
    return "\n".join([text, *(f"artifact {name}" for name in names)])


def _cancel(options: argparse.Namespace) -> None:
    from cdds.cli import shapes

    with opened_page(options) as (service, me):
        service.history.cancel(me, options.id)
        run = service.history.get(me, options.id)
    show_done(options, "", {"run": shapes.of_run(run)})


def _delete(options: argparse.Namespace) -> None:
    with opened_page(options) as (service, me):
        service.history.delete(me, options.id)
    show_done(options, "", {"deleted": options.id})


def _clone(options: argparse.Namespace) -> None:
    changes = settings_of(options)
    with opened_page(options) as (service, me):
        show_new(options, service.history.clone(me, options.id, **changes))
