"""Measures how long the catalog takes for a page of a list, and for what a run writes.

    PYTHONPATH=tests/real python benchmarks/pages.py [--postgres] [--jobs 100000]
        [--runs 1000000] [--artifacts 1000000] [--calls 200] [--depth 100000]
        [--folder DIR] [--markdown]

A catalog is filled anew, in SQLite in the folder, and with --postgres in a server that is started
for it. Then pages of 50 are read through `DownloadService`, the first and others at depths that
were walked to by the tokens, in a mixed order. The peer reads the page at the largest depth by
OFFSET, as a list without keyset paging would; what it reads is not even made into entries.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeAlias, TypeVar

import attrs
import sqlalchemy
from catalogs import new_database, start_server
from corpora import FOLDER
from filling import LARGE_TENANT, USER, Filling, Size
from machine import Load, commit
from report import load_line
from sqlalchemy import Column, Select
from tables import table

from cdds import Catalog, DownloadService, Permission, Principal
from cdds.catalog import ArtifactEntry, RunProgress, artifacts, jobs, runs
from cdds.catalog.filters import aside
from cdds.catalog.paging import Page
from cdds.catalog.tables import ARTIFACTS
from cdds.model import Progress
from cdds.service.endings import end_run

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMIT = 50
_STRIDE = 500
_PEER_CALLS = 5
_MS = 1000
_ADMIN = Principal(USER, LARGE_TENANT, {Permission.USE, Permission.SEE_ALL})
_OF_A_USER = Principal(USER, LARGE_TENANT)

Columns: TypeAlias = Sequence[Column[Any]]
Thing = TypeVar("Thing")
List: TypeAlias = Callable[..., Page[Any]]


class _Stopped:
    """A clock that stands, so that what has not expired does not."""

    def now(self) -> datetime:
        return NOW


@attrs.frozen
class View:
    """A list in one order: how a page of it is read, and the query that a peer cuts by OFFSET."""

    title: str
    read: List
    peer: Select[Any]


@attrs.frozen
class Measured:
    """What the pages of a view took, in seconds, and what the deepest took by OFFSET."""

    title: str
    depth: int
    pages: Sequence[float]
    deepest: Sequence[float]
    peer: Sequence[float]


def main() -> None:
    """Fill the catalogs, measure, and print the tables."""
    options = _options()
    print(f"{options.jobs:,} jobs, {options.runs:,} runs, {options.artifacts:,} artifacts.")
    for name, location in _locations(options):
        with location as url:
            _measure(name, url, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the pages of the catalog.")
    parser.add_argument("--postgres", action="store_true", help="measure PostgreSQL too")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--artifacts", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=200, help="pages that are timed, of each list")
    parser.add_argument("--depth", type=int, default=100_000, help="the most entries to go past")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the database goes")
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    return parser.parse_args()


def _locations(
    options: argparse.Namespace,
) -> Iterator[tuple[str, AbstractContextManager[str]]]:
    yield f"SQLite {sqlite3.sqlite_version}", _sqlite(options.folder)
    if options.postgres:
        server = start_server()
        try:
            yield f"PostgreSQL {_version(server.get_uri())}", new_database(server)
        finally:
            server.cleanup()


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield f"sqlite:///{name}/catalog.db"


def _version(url: str) -> str:
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        version: str = connection.exec_driver_sql("SHOW server_version").scalar_one()
    engine.dispose()
    return version


def _measure(name: str, url: str, options: argparse.Namespace) -> None:
    size = Size(jobs=options.jobs, runs=options.runs, artifacts=options.artifacts)
    filling = Filling(size=size, now=NOW)
    _fill(filling, url)
    before = Load.now()
    with (
        tempfile.TemporaryDirectory() as sink,
        Catalog(url, audit_key=b"k" * 32) as catalog,
        _engine(url).connect() as peer,
    ):
        service = DownloadService(
            catalog=catalog,
            sink=sink,
            sources={"Contact History": lambda _: _nothing()},
            clock=_Stopped(),
        )
        measured = [
            _pages(view, peer, options.calls, options.depth) for view in _views(service, filling)
        ]
        peer.rollback()
        writes = _writes(catalog)
    print(f"\n### {name}\n\nCommit {commit()}, SQLAlchemy {sqlalchemy.__version__}.\n")
    print(_pages_table(measured, markdown=options.markdown))
    print(f"\n{_writes_table(writes, markdown=options.markdown)}\n")
    print(load_line(before, Load.now()), flush=True)


def _nothing() -> Any:
    raise AssertionError("no run reads anything here")


def _fill(filling: Filling, url: str) -> None:
    Catalog(url, audit_key=b"k" * 32).close()  # makes the tables
    engine = _engine(url)
    filling.insert(engine)
    if engine.dialect.name == "postgresql":  # it would do so by itself; SQLite never does
        filling.analyze(engine)
    engine.dispose()


def _engine(url: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def _views(service: DownloadService, filling: Filling) -> Iterator[View]:
    """Return the lists that must be fast, of all of a tenant, and one of each kind of a user."""
    user = frozenset({USER})
    job_id = filling.busiest_job
    all_jobs = partial(service.jobs.list, _ADMIN)
    all_runs = partial(service.history.list, _ADMIN)
    of_job = partial(all_runs, job_id=job_id)
    all_artifacts = partial(service.artifacts.list, _ADMIN)
    own_jobs = partial(service.jobs.list, _OF_A_USER)
    own_runs = partial(service.history.list, _OF_A_USER)
    own_artifacts = partial(service.artifacts.list, _OF_A_USER)
    yield from _sorted("jobs of a tenant", all_jobs, jobs.page_query(LARGE_TENANT, None), _JOBS)
    yield from _sorted("runs of a tenant", all_runs, runs.page_query(LARGE_TENANT, None), _RUNS)
    job_runs = runs.page_query(LARGE_TENANT, None, job_id=job_id)
    yield from _sorted("runs of a job", of_job, job_runs, _RUNS)
    valid = aside(ARTIFACTS.c.expires > NOW)
    query = artifacts.page_query(LARGE_TENANT, None).where(valid)
    yield from _sorted("artifacts of a tenant", all_artifacts, query, _ARTIFACTS)
    yield from _sorted("jobs of a user", own_jobs, jobs.page_query(LARGE_TENANT, user), _JOBS[:1])
    yield from _sorted("runs of a user", own_runs, runs.page_query(LARGE_TENANT, user), _RUNS[:1])
    query = artifacts.page_query(LARGE_TENANT, user).where(valid)
    yield from _sorted("artifacts of a user", own_artifacts, query, _ARTIFACTS[:1])


def _sorted(
    what: str, read: List, query: Select[Any], sorts: Sequence[tuple[str, str, Columns]]
) -> Iterator[View]:
    for words, sort, columns in sorts:
        page = partial(read, sort=sort, descending=False)
        yield View(f"{what} by {words}", page, query.order_by(*columns))


_JOBS = [
    ("title", "title", jobs.SORTS["title"]),
    ("next start", "next_start", jobs.SORTS["next_start"]),
    ("latest start", "latest_start", jobs.SORTS["latest_start"]),
    ("status", "latest_status", jobs.SORTS["latest_status"]),
]
_RUNS = [
    ("start", "started", runs.SORTS["started"]),
    ("status", "status", runs.SORTS["status"]),
]
_ARTIFACTS = [
    ("expiry", "expires", artifacts.SORTS["expires"]),
    ("size", "size", artifacts.SORTS["size"]),
    ("title", "title", artifacts.SORTS["title"]),
]


def _pages(view: View, peer: sqlalchemy.Connection, calls: int, depth: int) -> Measured:
    tokens = _walk(view, depth)
    chosen = random.Random(1).choices(tokens, k=calls - 1)
    depth = (len(tokens) - 1) * _STRIDE
    by_offset = view.peer.limit(LIMIT + 1).offset(depth)
    return Measured(
        view.title,
        depth,
        _times(lambda token: view.read(after=token, limit=LIMIT), [None, *chosen]),
        _times(lambda token: view.read(after=token, limit=LIMIT), tokens[-1:] * _PEER_CALLS),
        _times(lambda query: peer.execute(query).all(), [by_offset] * _PEER_CALLS),
    )


def _walk(view: View, depth: int) -> list[str | None]:
    """Return the tokens on the way through a list, in strides; the first stands for its start.

    After each of them there is a whole stride.
    """
    tokens: list[str | None] = [None]
    while len(tokens) <= depth // _STRIDE + 1:
        token = view.read(after=tokens[-1], limit=_STRIDE).next
        if token is None:
            break
        tokens.append(token)
    return tokens[:-1] or tokens


def _times(work: Callable[[Thing], object], things: Iterable[Thing]) -> list[float]:
    """Return the seconds that a work takes on each of some things."""
    seconds = []
    for thing in things:
        start = time.perf_counter()
        work(thing)
        seconds.append(time.perf_counter() - start)
    return seconds


def _writes(catalog: Catalog) -> Mapping[str, Sequence[float]]:
    """Return what each run in progress takes to show how far it is, and then to finish."""
    with catalog.read() as transaction:
        lapsed = transaction.runs.lapsed(datetime.max.replace(tzinfo=UTC))
    run_ids = [run_id for _, run_id in lapsed]
    return {
        "progress of a run": _times(partial(_progress, catalog), run_ids),
        "finish of a run": _times(partial(_finish, catalog), run_ids),
    }


def _progress(catalog: Catalog, run_id: str) -> None:
    told = Progress(records=1, bytes_read=2, bytes_total=3, bytes_written=1)
    progress = RunProgress.of(told, NOW, NOW)
    with catalog.write() as transaction:
        lease_until = transaction.now() + timedelta(seconds=60)
        transaction.runs.renew(run_id, progress, lease_until)


def _finish(catalog: Catalog, run_id: str) -> None:
    with catalog.write() as transaction:
        run = end_run(transaction, run_id, "finished", None, now=NOW)
        if run is None:
            raise AssertionError
        artifact = ArtifactEntry(
            name=f"export-{run_id}.new.smime",
            **{name: getattr(run, name) for name in ("job_id", "tenant", "owner", "title")},
            run_id=run_id,
            dataset=run.settings.dataset,
            size=1,
            sha256="0" * 64,
            part=1,
            parts=1,
            created=NOW,
            expires=NOW + timedelta(days=30),
            fingerprints=run.fingerprints,
        )
        transaction.artifacts.add([artifact])


def _pages_table(measured: Sequence[Measured], *, markdown: bool) -> str:
    head = ("page of 50", "median ms", "95 % ms", "depth", "there ms", "by OFFSET ms", "OFFSET /")
    rows = [
        (
            each.title,
            *_figures(each.pages),
            f"{each.depth:,}",
            f"{median(each.deepest) * _MS:.1f}",
            f"{median(each.peer) * _MS:.1f}",
            f"{median(each.peer) / median(each.deepest):.0f}",
        )
        for each in measured
    ]
    return table(head, rows, markdown=markdown)


def _writes_table(writes: Mapping[str, Sequence[float]], *, markdown: bool) -> str:
    rows = [(what, *_figures(seconds)) for what, seconds in writes.items()]
    return table(("transaction", "median ms", "95 % ms"), rows, markdown=markdown)


def _figures(seconds: Sequence[float]) -> tuple[str, str]:
    return f"{median(seconds) * _MS:.1f}", f"{quantiles(seconds, n=20)[-1] * _MS:.1f}"


if __name__ == "__main__":
    main()
