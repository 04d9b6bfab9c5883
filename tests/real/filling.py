"""Fills a catalog with many jobs, runs and artifacts, as a busy service would have them.

One tenant has three quarters of it, and one of its jobs a tenth of all runs. The rows are made from
a fixed seed and inserted in bulk, past the library's API; each is what the API would have written.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import attrs
from sqlalchemy import Connection, Engine, Table

from cdds import Hourly, JobSettings
from cdds.catalog.tables import ARTIFACTS, JOBS, RUNS
from cdds.wording import sort_key

LARGE_TENANT = "tenant 0"
USER = "user 0"
"""One of the fifty users of each tenant, with a fifth of its jobs."""

_TENANTS = 10
_USERS = 50
_SPAN = timedelta(days=29)
_LIFETIME = timedelta(days=30)
_NOTICE = timedelta(days=3)
_AT_ONCE = 5000
_PEM = "-----BEGIN CERTIFICATE-----\n" + "MIID" * 400 + "\n-----END CERTIFICATE-----\n"
_TITLES = ("Daily mail of", "All calls of", "Chats about", "Évaluations de", "Archive for")

Values = dict[str, Any]


@attrs.frozen(kw_only=True)
class Size:
    """How many rows of each table."""

    jobs: int
    runs: int
    artifacts: int


@attrs.frozen(kw_only=True)
class Filling:
    """The rows of a catalog as it stands at a moment; the job with the most runs is the first.

    Attributes:
        size: how many rows there are.
        now: the moment.
    """

    size: Size
    now: datetime
    _random: random.Random = attrs.field(factory=lambda: random.Random(20260101))
    _jobs: list[Values] = attrs.field(factory=list)

    def insert(self, engine: Engine) -> None:
        """Insert all rows into empty tables; indexes are made afterwards, which is faster."""
        tables = (JOBS, RUNS, ARTIFACTS)
        with engine.begin() as connection:
            for table in tables:
                _drop_indexes(connection, table)
            for table, rows in zip(tables, self._rows(), strict=True):
                _insert(connection, table, rows)
            for table in tables:
                _create_indexes(connection, table)

    def analyze(self, engine: Engine) -> None:
        """Let the database count what the tables hold, as PostgreSQL does by itself in time."""
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")

    @property
    def busiest_job(self) -> str:
        """The id of the job with a tenth of all runs, which is of `LARGE_TENANT` and `USER`."""
        job_id: str = self._jobs[0]["id"]
        return job_id

    def _rows(self) -> tuple[Iterable[Values], ...]:
        self._jobs[:] = (self._job(number) for number in range(self.size.jobs))
        runs = [self._run(number) for number in range(self.size.runs)]
        self._note_latest(runs)
        artifacts = (self._artifact(number, runs) for number in range(self.size.artifacts))
        return self._jobs, runs, artifacts

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _job(self, number: int) -> Values:
        tenant = 0 if number % 10 < 7 else number // 10 % _TENANTS
        title = f"{self._random.choice(_TITLES)} team {self._random.randrange(10_000)}"
        settings = _settings(title, number)
        start = settings.recurrence.next_after(self.now)
        return {
            "id": self._id(),
            "tenant": f"tenant {tenant}",
            "owner": USER if number % 5 == 0 else f"user {number % _USERS}",
            "title_key": sort_key(title),
            "source": settings.source,
            "dataset": settings.dataset,
            "settings": settings.to_json(),
            "created": self.now - _SPAN - timedelta(seconds=number),
            "edited": None,
            "suspended": number % 7 == 0,
            "started": False,
            "next_start": None if number % 7 == 0 else start,
            "latest_start": None,
            "latest_status": "",
            "latest_run": None,
        }

    def _run(self, number: int) -> Values:
        # A tenth are of the first job; the others take the jobs in turn.
        job = self._jobs[0 if number % 10 == 0 else (number - number // 10) % self.size.jobs]
        started = self.now - _SPAN + number * (_SPAN / self.size.runs)
        status = "failed" if number % 20 == 7 else "cancelled" if number % 50 == 3 else "finished"
        run_id = self._id()
        return {
            **{name: job[name] for name in ("tenant", "owner", "title_key", "source", "dataset")},
            "id": run_id,
            "job_id": job["id"],
            "settings": job["settings"],
            "due": started,
            "started": started,
            "finished": started + timedelta(minutes=3),
            "status": status,
            "cancel_requested": False,
            "removed": number % 5000 == 1,
            "lease_until": started + timedelta(minutes=4),
            "progressed": started + timedelta(minutes=3),
            "records": 120_000,
            "bytes_read": 90_000_000 + number,
            "bytes_total": 90_000_000 + number,
            "bytes_written": 40_000_000,
            "error": "the source cannot be read" if status == "failed" else None,
            "fingerprints": [f"{number:064x}"],
            "counts": _COUNTS,
            "file_name": _name(run_id, 1),
            "parts": 1,
            "digests": f"export-{run_id}.sha256",
            "signature": None,
            "expires": started + _LIFETIME,
        }

    def _note_latest(self, runs: Iterable[Values]) -> None:
        """Tell each job of its latest run; a few of these are in progress."""
        latest = {run["job_id"]: run for run in runs}
        for number, job in enumerate(self._jobs):
            run = latest.get(job["id"])
            if run is None:
                continue
            if number % 1000 == 5:
                run |= {"status": "in progress", "finished": None, "removed": False}
                run["lease_until"] = self.now + timedelta(minutes=number % 3 - 1)
            job |= {"started": True, "latest_run": run["id"], "latest_start": run["started"]}
            job["latest_status"] = run["status"]

    def _artifact(self, number: int, runs: list[Values]) -> Values:
        part, place = divmod(number, len(runs))
        run = runs[place]
        states = {11: "missing", 12: "removing"}
        return {
            **{name: run[name] for name in ("job_id", "tenant", "owner", "title_key", "dataset")},
            "name": _name(run["id"], part + 1),
            "run_id": run["id"],
            "title": run["title_key"],
            "size": self._random.randrange(1000, 500_000_000),
            "sha256": f"{number:064x}",
            "part": part + 1,
            "parts": part + 1,
            "created": run["started"],
            "expires": run["expires"],
            "state": states.get(number % 1000, "stored"),
            "told": run["expires"] < self.now + _NOTICE,
            "fingerprints": run["fingerprints"],
        }


_COUNTS = {
    "records": {"interaction.jsonl": 100_000, "documents.jsonl": 20_000},
    "rejects": 0,
    "undated": 0,
    "unmatched": 0,
    "warnings": [],
}


def _settings(title: str, number: int) -> JobSettings:
    """Return settings: one job in four has a second recipient, with a certificate in PEM."""
    return JobSettings(
        title=title,
        source="Contact History",
        dataset="Interaction" if number % 3 else "Contact",
        description=f"Number {number}. "
        + "Kept for the yearly audit, as the contract wants it. " * 4,
        media_types=("email", "chat", "voice") if number % 2 else None,
        recurrence=Hourly(1 + number % 24),
        split_size=100_000_000,
        recipients=[_PEM] if number % 4 == 0 else [],
    )


def _name(run_id: str, part: int) -> str:
    return f"export-{run_id}.zip.smime" if part == 1 else f"export-{run_id}.z{part:02}.smime"


def _insert(connection: Connection, table: Table, rows: Iterable[Values]) -> None:
    for block in _blocks(rows):
        connection.execute(table.insert(), block)


def _blocks(rows: Iterable[Values]) -> Iterator[list[Values]]:
    iterator = iter(rows)
    while block := list(islice(iterator, _AT_ONCE)):
        yield block


def _drop_indexes(connection: Connection, table: Table) -> None:
    for index in table.indexes:
        index.drop(connection)


def _create_indexes(connection: Connection, table: Table) -> None:
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        index.create(connection)
