"""`cdds artifacts`: the Artifacts page of the guide in a terminal.

Place: the commands of one page, over `DownloadService.artifacts`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdds.cli.pages import (
    OF_ALL,
    add_list_options,
    add_page_options,
    opened_page,
    part_of_list,
    show_done,
    show_list,
)
from cdds.cli.settings import dataset_filter
from cdds.cli.stopping import Stop, stoppable
from cdds.cli.telling import is_terminal
from cdds.cli.words import Once, add_command, add_page, span
from cdds.errors import CddsError, JobError

if TYPE_CHECKING:
    import argparse

    from cdds.access import Principal
    from cdds.catalog import ArtifactEntry
    from cdds.service import DownloadService

_SORTS = ("created", "expires", "name", "size", "title")
_HOUR = timedelta(hours=1)
_MOST = 100


def add_to(commands: Any) -> None:
    """Add the commands of the page."""
    page = add_page(commands, "artifacts", "what can be downloaded, and for how long")
    _add_list(add_command(page, "list", _list, "list artifacts, the latest first"))
    _add_download(add_command(page, "download", _download, "save artifacts in a folder"))
    _add_link(add_command(page, "link", _link, "print a link by which anybody can download"))
    deleted = add_command(page, "delete", _delete, "delete artifacts, at most 100")
    deleted.add_argument("names", metavar="NAME", nargs="+")
    add_page_options(deleted, of_all=OF_ALL)


def _add_list(parser: argparse.ArgumentParser) -> None:
    add_list_options(parser, _SORTS, descending=True)
    group = parser.add_argument_group("which artifacts")
    group.add_argument("--run", metavar="ID", dest="run_id", action=Once, help="of this run")
    group.add_argument("--job", metavar="ID", action=Once, help="of this job")
    group.add_argument("--title", metavar="TEXT", action=Once, help="whose title holds this")
    group.add_argument("--dataset", metavar="NAME", action=Once, help="interaction or contact")


def _add_download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="at most 100")
    parser.add_argument(
        "--run",
        metavar="ID",
        dest="run_id",
        action=Once,
        help="the whole set of this run, with the file of digests and its signature",
    )
    parser.add_argument("--to", metavar="DIR", type=Path, required=True, action=Once)
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    add_page_options(parser, of_all=OF_ALL)


def _add_link(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "--lifetime", metavar="SPAN", type=span, default=_HOUR, help="such as 30m (default: 1h)"
    )
    add_page_options(parser, of_all=OF_ALL)


def _list(options: argparse.Namespace) -> None:
    from cdds.cli import shapes
    from cdds.cli.tables import shortened, size

    with opened_page(options) as (service, me):
        page = service.artifacts.list(
            me,
            run_id=options.run_id,
            job_id=options.job,
            title=options.title,
            dataset=dataset_filter(options),
            **part_of_list(options),
        )
        days = [service.artifacts.days_remaining(artifact) for artifact in page.items]
    columns = (
        "name",
        "job title",
        "type",
        "size",
        "created (UTC)",
        "expires (UTC)",
        "days left",
        "part",
    )
    rows = (
        (
            artifact.name,
            shortened(artifact.title),
            artifact.dataset,
            size(artifact.size),
            artifact.created,
            artifact.expires,
            left,
            f"{artifact.part} of {artifact.parts}",
        )
        for artifact, left in zip(page.items, days, strict=True)
    )
    told = [
        shapes.of_artifact(artifact, left) for artifact, left in zip(page.items, days, strict=True)
    ]
    show_list(options, "artifacts", told, columns=columns, rows=rows, token=page.next)


def _download(options: argparse.Namespace) -> None:
    if bool(options.names) == (options.run_id is not None):
        options.usage_error("give the names of artifacts, or --run with the id of a run")
    with opened_page(options) as (service, me), stoppable() as stop:
        paths = _save_all(options, service, me, stop)
    told = [{"name": path.name, "path": str(path)} for path in paths]
    show_done(options, "\n".join(map(str, paths)), {"downloaded": told})


def _save_all(
    options: argparse.Namespace, service: DownloadService, me: Principal, stop: Stop
) -> list[Path]:
    from cdds.cli.saving import Saving

    artifacts, beside = _selected(options, service, me)
    saving = Saving(service, me, options.to, stop)
    for name in (*(artifact.name for artifact in artifacts), *beside):
        saving.check_free(name)
    paths = []
    for artifact in artifacts:
        with _watched(options, artifact) as watch:
            paths.append(saving.save(artifact, watch))
    return paths + [saving.save_beside(name) for name in beside]


def _selected(
    options: argparse.Namespace, service: DownloadService, me: Principal
) -> tuple[list[ArtifactEntry], list[str]]:
    """Return the artifacts that are wanted, and the small files beside them."""
    if options.run_id is not None:
        run = service.history.get(me, options.run_id)
        artifacts = list(service.history.artifacts(me, options.run_id))
        if not artifacts:
            raise JobError("this run has no artifacts that can be downloaded")
        return artifacts, [name for name in (run.digests, run.signature) if name is not None]
    names = list(dict.fromkeys(options.names))
    if len(names) > _MOST:
        raise JobError(f"{len(names)} artifacts are selected; select 1 to {_MOST}")
    beside = [name for name in names if name.endswith((".sha256", ".p7s"))]
    wanted = [name for name in names if name not in beside]
    return [service.artifacts.get(me, name) for name in wanted], beside


@contextmanager
def _watched(
    options: argparse.Namespace, artifact: ArtifactEntry
) -> Iterator[Callable[[int], object]]:
    if options.no_progress or not is_terminal(sys.stderr):
        yield lambda _: None
        return
    from tqdm import tqdm

    name = artifact.name
    with tqdm(total=artifact.size, unit="B", unit_scale=True, desc=name, leave=False) as bar:
        yield bar.update


def _link(options: argparse.Namespace) -> None:
    with opened_page(options) as (service, me):
        url = service.artifacts.signed_url(me, options.name, options.lifetime)
    show_done(options, url, {"name": options.name, "url": url})


def _delete(options: argparse.Namespace) -> None:
    with opened_page(options) as (service, me):
        removed = service.artifacts.delete(me, options.names)
    show_done(options, "", {"deleted": list(removed.names), "failed": list(removed.failed)})
    if removed.failed:
        raise CddsError(
            f"{len(removed.failed)} files could not be removed from the storage; they can no "
            "longer be downloaded, and the next sweep tries again"
        )
