"""Fills a catalog with many jobs, runs and artifacts, as a busy service would have them.

One tenant has three quarters of it, and one of its jobs a tenth of all runs. Every row follows from
its number, and is what the API would have written; they are inserted in bulk, past the API.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import cached_property
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
_COUNTS = {
    "records": {"interaction.jsonl": 100_000, "documents.jsonl": 20_000},
    "rejects": 0,
    "undated": 0,
    "unmatched": 0,
    "warnings": [],
}

Values = dict[str, Any]


@attrs.frozen(kw_only=True)
class Size:
    """How many rows of each table."""

    jobs: int
    runs: int
    artifacts: int


@attrs.define(kw_only=True, slots=False)
class Filling:
    """The rows of a catalog as it stands at a moment.

    Attributes:
        size: how many rows there are.
        now: the moment.
    """

    size: Size
    now: datetime

    def insert(self, engine: Engine) -> None:
        """Insert all rows into empty tables; indexes are made afterwards, which is faster."""
        tables = {
            JOBS: iter(self._jobs),
            RUNS: map(self._run, range(self.size.runs)),
            ARTIFACTS: map(self._artifact, range(self.size.artifacts)),
        }
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA cache_size = -400000")
            for table, rows in tables.items():
                _insert(connection, table, rows)

    @staticmethod
    def analyze(engine: Engine) -> None:
        """Let the database count what the tables hold, as PostgreSQL does by itself in time."""
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")

    @property
    def busiest_job(self) -> str:
        """The id of the job with a tenth of all runs, which is of `LARGE_TENANT` and `USER`."""
        return _id("job", 0)

    def job_of(self, run: int) -> int:
        """Return the number of the job of a run: a tenth are of the first, others in turn."""
        return 0 if run % 10 == 0 else (run - run // 10) % self.size.jobs

    @cached_property
    def _latest(self) -> dict[int, int]:
        """The number of the latest run of each job."""
        return {self.job_of(run): run for run in range(self.size.runs)}

    @cached_property
    def _jobs(self) -> list[Values]:
        return [self._job(number) for number in range(self.size.jobs)]

    def _job(self, number: int) -> Values:
        settings = _settings(number)
        latest = self._latest.get(number)
        suspended = number % 7 == 0
        return {
            "id": _id("job", number),
            "tenant": f"tenant {0 if number % 10 < 7 else number // 10 % _TENANTS}",
            "owner": USER if number % 5 == 0 else f"user {number % _USERS}",
            "title_key": sort_key(settings.title),
            "source": settings.source,
            "dataset": settings.dataset,
            "settings": settings.to_json(),
            "created": self.now - _SPAN - timedelta(seconds=number),
            "edited": None,
            "suspended": suspended,
            "started": latest is not None,
            "next_start": None if suspended else settings.recurrence.next_after(self.now),
            "latest_start": None if latest is None else self._started(latest),
            "latest_status": "" if latest is None else self._status(latest),
            "latest_run": None if latest is None else _id("run", latest),
        }

    def _started(self, run: int) -> datetime:
        return self.now - _SPAN + run * (_SPAN / self.size.runs)

    def _status(self, run: int) -> str:
        job = self.job_of(run)
        if job % 1000 == 5 and self._latest[job] == run:
            return "in progress"
        return "failed" if run % 20 == 7 else "cancelled" if run % 50 == 3 else "finished"

    def _run(self, number: int) -> Values:
        job = self._jobs[self.job_of(number)]
        run_id = _id("run", number)
        started = self._started(number)
        status = self._status(number)
        ended = status != "in progress"
        return {
            **{name: job[name] for name in ("tenant", "owner", "title_key", "source", "dataset")},
            "id": run_id,
            "job_id": job["id"],
            "settings": job["settings"],
            "due": started,
            "started": started,
            "finished": started + timedelta(minutes=3) if ended else None,
            "status": status,
            "cancel_requested": False,
            "removed": ended and number % 5000 == 1,
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

    def _artifact(self, number: int) -> Values:
        part, run = divmod(number, self.size.runs)
        job = self._jobs[self.job_of(run)]
        run_id = _id("run", run)
        started = self._started(run)
        expires = started + _LIFETIME
        return {
            **{name: job[name] for name in ("tenant", "owner", "title_key", "dataset")},
            "name": _name(run_id, part + 1),
            "run_id": run_id,
            "job_id": job["id"],
            "title": job["title_key"],
            "size": 1000 + number * 7_919 % 500_000_000,
            "sha256": f"{number:064x}",
            "part": part + 1,
            "parts": part + 1,
            "created": started,
            "expires": expires,
            "state": {11: "missing", 12: "removing"}.get(number % 1000, "stored"),
            "told": expires < self.now + _NOTICE,
            "fingerprints": [f"{run:064x}"],
        }


def _id(kind: str, number: int) -> str:
    digest = hashlib.blake2b(f"{kind} {number}".encode(), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest, version=4))


def _settings(number: int) -> JobSettings:
    """Return settings: one job in four has a second recipient, with a certificate in PEM."""
    return JobSettings(
        title=f"{_TITLES[number % 5]} team {number * 7919 % 10_007}",
        source="Contact History",
        dataset="Interaction" if number % 3 else "Contact",
        description=f"Number {number}. " + "Kept for the audit, as the contract wants it. " * 4,
        media_types=("email", "chat", "voice") if number % 2 else None,
        recurrence=Hourly(1 + number % 24),
        split_size=100_000_000,
        recipients=[_PEM] if number % 4 == 0 else [],
    )


def _name(run_id: str, part: int) -> str:
    return f"export-{run_id}.zip.smime" if part == 1 else f"export-{run_id}.z{part:02}.smime"


def _insert(connection: Connection, table: Table, rows: Iterator[Values]) -> None:
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    for index in indexes:
        index.drop(connection)
    for block in _blocks(rows):
        connection.execute(table.insert(), block)
    for index in indexes:
        index.create(connection)


def _blocks(rows: Iterable[Values]) -> Iterator[list[Values]]:
    iterator = iter(rows)
    while block := list(islice(iterator, _AT_ONCE)):
        yield block
