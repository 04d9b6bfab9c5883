"""Measures the scheduler: what planning takes, finding what is due, being idle, and tiny runs.

    PYTHONPATH=tests/real python benchmarks/scheduling.py [planning due idle runs] [--postgres]
        [--jobs 100000] [--seconds 60] [--runs 300] [--folder DIR] [--markdown]

All four are measured unless some are named. The peer is APScheduler 3, which keeps its jobs in
memory; where it is not installed (the group `peers`) its rows are left out. Catalogs are filled
anew, in SQLite in the folder, and with --postgres in a server that is started for it.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import attrs
import sqlalchemy
from catalogs import new_database, start_server
from corpora import FOLDER
from filling import Filling, Size
from machine import Load, commit
from recipient import make_recipient
from report import load_line
from sqlalchemy import Connection
from tables import table

import cdds
from cdds import sample
from cdds.catalog import Catalog
from cdds.catalog.columns import LATEST
from cdds.catalog.tables import JOBS
from cdds.crypto import Envelope
from cdds.crypto.certificates import load_recipients
from cdds.datasets import INTERACTION
from cdds.schedule import Hourly, Misfire, Once, Pending, Recurrence, plan
from cdds.scheduler import Scheduler
from cdds.service import events
from cdds.sinks import open_sink

NOW = datetime(2026, 3, 1, 12, 20, tzinfo=UTC)
PARTS = ("planning", "due", "idle", "runs")
_CALLS = 200
_WARM_UP = 5
_TURNS = 3
_RECORDS = 25
_KEY = b"k" * 32
_HOUR = timedelta(hours=1)
_CHILD = Path(__file__).with_name("idle_child.py")
_POLICIES: tuple[Misfire, ...] = ("one", "each", "none")


def main() -> None:
    """Measure, and print a table for each part."""
    options = _options()
    print(f"Commit {commit()}, SQLAlchemy {sqlalchemy.__version__}, APScheduler {_peer()}.")
    before = Load.now()
    with ExitStack() as stack:
        if "planning" in options.parts:
            print(f"\n{_planning(options)}", flush=True)
        databases = _databases(options, stack) if set(options.parts) - {"planning"} else []
        if "due" in options.parts:
            print(f"\n{_due(databases, options)}", flush=True)
        if "idle" in options.parts:
            print(f"\n{_idle(databases, options)}", flush=True)
        if "runs" in options.parts:
            print(f"\n{_runs(databases, options)}", flush=True)
    print(f"\n{load_line(before, Load.now())}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the scheduler.")
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--postgres", action="store_true", help="measure PostgreSQL too")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=60, help="how long to be idle")
    parser.add_argument("--runs", type=int, default=300, help="how many tiny runs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where databases go")
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    return options


def _peer() -> str | None:
    try:
        return metadata.version("apscheduler")
    except metadata.PackageNotFoundError:
        return None


# Planning: a pure function, called for each of many jobs.


def _planning(options: argparse.Namespace) -> str:
    count = options.jobs
    on_time = timedelta(seconds=30)
    ours = {
        "none due": [_pending(n, NOW + _HOUR) for n in range(count)],
        "all due, on time": [_pending(n, NOW - on_time) for n in range(count)],
        "all due, an hour late": [_pending(n, NOW - _HOUR) for n in range(count)],
        "10 % missed 24 starts": [
            _missed(24) if n % 10 == 0 else _pending(n, NOW - on_time) for n in range(count)
        ],
        "10 % missed 100 starts": [
            _missed(100) if n % 10 == 0 else _pending(n, NOW - on_time) for n in range(count)
        ],
    }
    seconds = {f"cdds, {what}": _best(partial(_plan_all, jobs)) for what, jobs in ours.items()}
    if _peer():
        import peer_apscheduler

        seconds |= {
            f"APScheduler, {what}": _best(work)
            for what, work in peer_apscheduler.planning(count, NOW).items()
        }
    rows = [(what, f"{took:.3f}", f"{took / count * 1e6:.2f}") for what, took in seconds.items()]
    head = (f"planning {count:,} jobs", "CPU s", "µs / job")
    return table(head, rows, markdown=options.markdown)


def _pending(number: int, next_start: datetime) -> Pending:
    recurrence: Recurrence = Hourly(1 + number % 24)
    if number % 10 == 1:
        recurrence = Once(next_start)
    elif number % 10 == 2:
        recurrence = Hourly(1 + number % 24, start=NOW - timedelta(days=400))
    return Pending(
        recurrence=recurrence,
        next_start=next_start,
        dealt_with=next_start - _HOUR,
        busy_until=next_start - _HOUR / 2,
        misfire=_POLICIES[number % 3],
    )


def _missed(count: int) -> Pending:
    """Return a job that was due every hour and did not run: one run for all that it missed."""
    return Pending(recurrence=Hourly(), next_start=NOW.replace(minute=0) - count * _HOUR)


def _plan_all(jobs: Iterable[Pending]) -> None:
    for job in jobs:
        plan(job, NOW)


def _best(work: Callable[[], object]) -> float:
    return min(_seconds(work, time.process_time) for _ in range(_TURNS))


def _seconds(work: Callable[[], object], timer: Callable[[], float] = time.perf_counter) -> float:
    start = timer()
    work()
    return timer() - start


# The databases: one that is empty and one with many jobs, of each kind.


@attrs.frozen
class Database:
    """Where catalogs can be made: one of its own for each use."""

    name: str
    make: Callable[[], str]


def _databases(options: argparse.Namespace, stack: ExitStack) -> list[Database]:
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)

    def sqlite() -> str:
        name = stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
        return f"sqlite:///{name}/catalog.db"

    databases = [Database(f"SQLite {sqlite3.sqlite_version}", sqlite)]
    if options.postgres:
        server = start_server()
        stack.callback(server.cleanup)

        def postgresql() -> str:
            return stack.enter_context(new_database(server))

        with _begin(postgresql()) as connection:
            version = connection.exec_driver_sql("SHOW server_version").scalar_one()
        databases.append(Database(f"PostgreSQL {version}", postgresql))
    return databases


@contextmanager
def _begin(url: str) -> Iterator[Connection]:
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def _filled(database: Database, jobs: int) -> str:
    """Return the URL of a catalog with many jobs, none of them due within a day."""
    url = database.make()
    Catalog(url, audit_key=_KEY).close()  # makes the tables
    if jobs:
        engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        size = Size(jobs=jobs, runs=1, artifacts=0)
        filling = Filling(size=size, now=datetime.now(UTC) + timedelta(days=2))
        filling.insert(engine)
        if engine.dialect.name == "postgresql":  # it would do so by itself; SQLite never does
            filling.analyze(engine)
        engine.dispose()
    return url


def _let_be_due(url: str) -> None:
    """Let all jobs be due that are not suspended."""
    due = sqlalchemy.update(JOBS).where(JOBS.c.next_start < LATEST)
    with _begin(url) as connection:
        connection.execute(due.values(next_start=datetime.now(UTC) - timedelta(minutes=1)))


@contextmanager
def _service(url: str) -> Iterator[cdds.DownloadService]:
    with tempfile.TemporaryDirectory() as folder, Catalog(url, audit_key=_KEY) as catalog:
        yield cdds.DownloadService(
            catalog=catalog, sink=folder, sources={"Contact History": _nothing}
        )


def _nothing(tenant: str) -> Any:
    raise AssertionError(tenant)


# Finding what is due.


def _due(databases: Sequence[Database], options: argparse.Namespace) -> str:
    rows = []
    for database in databases:
        url = _filled(database, options.jobs)
        with _service(url) as service:
            rows.append(_due_row(f"{database.name}, none due", service, 2))
            _let_be_due(url)
            rows.append(_due_row(f"{database.name}, nearly all due, 2 of them", service, 2))
            rows.append(_due_row(f"{database.name}, nearly all due, 64 of them", service, 64))
    head = (f"what is due of {options.jobs:,} jobs", "median ms", "95 % ms")
    return table(head, rows, markdown=options.markdown)


def _due_row(what: str, service: cdds.DownloadService, limit: int) -> tuple[str, ...]:
    seconds = [_seconds(partial(service.due.jobs, limit)) for _ in range(_CALLS)]
    return what, f"{median(seconds) * 1e3:.2f}", f"{quantiles(seconds, n=20)[-1] * 1e3:.2f}"


# Being idle: processes that have nothing to do, all at once.


def _idle(databases: Sequence[Database], options: argparse.Namespace) -> str:
    words = {"a process that sleeps": ["sleep"]}
    for database in databases:
        for jobs in (0, options.jobs):
            words[f"cdds, {database.name}, {jobs:,} jobs"] = ["cdds", _filled(database, jobs)]
    if _peer():
        words[f"APScheduler, in memory, {options.jobs:,} jobs"] = ["peer", str(options.jobs)]
    with ExitStack() as stack:
        processes = {what: stack.enter_context(_idle_process(each)) for what, each in words.items()}
        time.sleep(_WARM_UP)
        before = {what: _cpu(pid) for what, pid in processes.items()}
        time.sleep(options.seconds)
        minutes = options.seconds / 60
        took = {what: (_cpu(pid) - before[what]) / minutes for what, pid in processes.items()}
    rows = [(what, f"{cpu:.2f}", f"{cpu / 60:.2%}") for what, cpu in took.items()]
    head = (f"idle for {options.seconds} s", "CPU s / minute", "of a processor")
    return table(head, rows, markdown=options.markdown)


@contextmanager
def _idle_process(words: Sequence[str]) -> Iterator[int]:
    command = [sys.executable, str(_CHILD), *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
        try:
            yield process.pid
        finally:
            process.kill()


def _cpu(pid: int) -> float:
    """Return the processors' seconds that a process took, in user and system mode: proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Tiny runs.


class TimedCatalog(Catalog):
    """A catalog that notes how long its transactions take, waiting for others included."""

    def __init__(self, url: str) -> None:
        self.spent = {"read": [0, 0.0], "write": [0, 0.0]}
        self._noting = threading.Lock()
        super().__init__(url, audit_key=_KEY)

    @contextmanager
    def _begin(self, *, writes: bool) -> Iterator[Connection]:
        start = time.perf_counter()
        try:
            with super()._begin(writes=writes) as connection:
                yield connection
        finally:
            took = time.perf_counter() - start
            with self._noting:
                noted = self.spent["write" if writes else "read"]
                noted[0] += 1
                noted[1] += took


@attrs.frozen
class Throughput:
    """What some runs took."""

    runs: int
    wall: float
    cpu: float
    spent: Mapping[str, Sequence[float]] = attrs.field(factory=dict)

    def row(self, what: str) -> tuple[str, ...]:
        """Return a row of the table: all for one run."""
        reads, writes = (self.spent.get(kind, (0, 0.0)) for kind in ("read", "write"))
        return (
            what,
            f"{self.runs / self.wall:.1f}",
            f"{self.cpu / self.runs * 1e3:.1f}",
            f"{reads[0] / self.runs:.1f}",
            f"{reads[1] / self.runs * 1e6:,.0f}",
            f"{writes[0] / self.runs:.1f}",
            f"{writes[1] / self.runs * 1e6:,.0f}",
        )


def _runs(databases: Sequence[Database], options: argparse.Namespace) -> str:
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        home = Path(name)
        records = home / "interactions.jsonl"
        with records.open("wb") as file:
            sample.write_lines(sample.interactions(_RECORDS, seed=8), file)
        _, certificate = make_recipient(home)
        alone = _alone(home / "alone", records, certificate, options.runs)
        rows.append(alone.row("export, no catalog, 1 thread"))
        for number, database in enumerate(databases):
            measured = _scheduled(
                database.make(), home / str(number), records, certificate, options.runs
            )
            rows.append(measured.row(f"{database.name}, 2 workers"))
    head = (
        *("tiny runs", "runs / s", "CPU ms / run"),
        *("reads / run", "µs in them", "writes / run", "µs in them"),
    )
    return table(head, rows, markdown=options.markdown)


def _alone(folder: Path, records: Path, certificate: Path, count: int) -> Throughput:
    exporter = cdds.Exporter(
        sink=open_sink(folder),
        envelope=Envelope(load_recipients(certificate.read_bytes())),
        threads=1,
    )
    job = cdds.Job(dataset=INTERACTION)
    source = cdds.sources.JsonLines(interaction=records)
    exporter.run(job, source)  # loads what is loaded late
    return _throughput(count, lambda: [exporter.run(job, source) for _ in range(count)])


def _scheduled(url: str, folder: Path, records: Path, certificate: Path, count: int) -> Throughput:
    me = cdds.Principal("alice", "acme")
    left = [count + 1]
    done = threading.Event()

    def count_down(event: events.Event) -> None:
        if isinstance(event, events.RunFinished):
            left[0] -= 1
            if left[0] == 0:
                done.set()

    catalog = TimedCatalog(url)
    with catalog:
        service = cdds.DownloadService(
            catalog=catalog,
            sink=folder,
            sources={"UCS": lambda _: cdds.sources.JsonLines(interaction=records)},
            listeners=[count_down],
            threads=1,
        )
        service.preferences.set_certificate(me, certificate.read_bytes())
        settings = cdds.JobSettings(
            title="Tiny", source="UCS", dataset="Interaction", recurrence=Hourly(24)
        )
        ids = [service.jobs.add(me, settings).id for _ in range(count)]
        service.jobs.run_now(me, ids[0])  # loads what is loaded late
        _let_be_due(url)
        catalog.spent = {kind: [0, 0.0] for kind in catalog.spent}
        scheduler = Scheduler(service, sweep=None, reconcile=None, remind=None)

        def work() -> None:
            scheduler.start(workers=2)
            done.wait()

        took = _throughput(count, work)
        took = attrs.evolve(took, spent=catalog.spent)
        scheduler.stop()
    return took


def _throughput(count: int, work: Callable[[], object]) -> Throughput:
    cpu = time.process_time()
    wall = _seconds(work)
    return Throughput(count, wall, time.process_time() - cpu)


if __name__ == "__main__":
    main()
