"""Watches every commit of a simulated world, and tells when a promise is broken.

It sees what the database was told, by triggers of its own on the tables, and what the storage
holds. Of the code that it watches it asks only when a recurrence comes next, which has tests of its
own. What it restates are the promises:

- an instant at which an active job is due is dealt with once, in order, without a gap: it is run,
  or recorded as missed; nothing is run before its time, or of a job that is switched off;
- what is missed was late, and its job's way with late starts allows it; what failed or was missed
  says why;
- an instant has one finished run at most, a run ends once, and no more run at once than may;
- the windows of an incremental job meet, its watermark moves when a run finishes, with it, and its
  artifacts hold that window;
- an artifact that can be seen is whole, and stays until it is removed;
- a run is given up only where its worker was dead, or in trouble;
- in the end nothing is left undone, in progress or lying about.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import attrs
from sqlalchemy import Connection
from storage import SimulatedStorage
from world import Process, World

from cdds.catalog import JobSettings
from cdds.model import SinceLastRun, Timeframe

Row: TypeAlias = dict[str, Any]
Window: TypeAlias = tuple[datetime | None, datetime]

_WATCHED = {
    "cdds_runs": (
        (
            "id job_id status due attempt window_start window_end missed missed_from error "
            "cancel_requested"
        ),
        "status, cancel_requested",
    ),
    "cdds_jobs": ("id settings suspended next_start retries running watermark", ""),
    "cdds_artifacts": ("name run_id state size expires", "state"),
}
"""For each table the columns that are logged, and those whose update is; all where none are named.

An update that writes the value that stands there already is logged too.
"""

_TRANSIENT = ("simulated", "no sign of life")
"""What the errors say that are worth another try."""

_STOPPED = "its scheduler was stopped"
"""What the error says of a run that is due again without having failed."""


class Violation(AssertionError):
    """A promise was broken."""


@attrs.define
class SeenRun:
    """A run as the database was told of it."""

    id: str
    job: SeenJob = attrs.field(repr=lambda job: job.id)
    status: str
    due: datetime | None
    attempt: int
    window: Window | None
    max_retries: int
    begun: datetime
    worker: Process | None
    series: int
    error: str = ""


@attrs.define
class SeenJob:
    """A job as the database was told of it, and how far its starts are dealt with."""

    id: str
    settings: JobSettings
    suspended: bool
    next_start: datetime | None
    retries: str
    running: int
    watermark: datetime | None
    switched: datetime
    dealt_with: datetime | None = None
    series: int = 0
    is_gone: bool = False
    in_progress: dict[str, SeenRun] = attrs.field(factory=dict, repr=False)
    outcomes: dict[datetime, str] = attrs.field(factory=dict, repr=False)
    failures: dict[datetime, int] = attrs.field(factory=dict, repr=False)
    stops: Counter[datetime] = attrs.field(factory=Counter, repr=False)
    owed: dict[datetime, SeenRun] = attrs.field(factory=dict, repr=False)

    @property
    def is_on(self) -> bool:
        """Whether it is to be run at its starts."""
        return not self.is_gone and (not self.suspended or self.settings.is_one_time)

    def expected(self) -> datetime | None:
        """Return the first instant that is not dealt with."""
        after = self.switched
        if self.dealt_with is not None:
            after = max(after, self.dealt_with)
        return self.settings.recurrence.next_after(after)


class Observer:
    """Holds each commit against the promises."""

    def __init__(self, world: World, storage: SimulatedStorage) -> None:
        self.counts: Counter[str] = Counter()
        self.jobs: dict[str, SeenJob] = {}
        self._world = world
        self._storage = storage
        self._runs: dict[str, SeenRun] = {}
        self._artifacts: dict[str, Row] = {}
        self._read = 0
        storage.on_remove = self._removed

    def watch(self, connection: Connection) -> None:
        """Have the database keep a log of its changes."""
        connection.exec_driver_sql("CREATE TABLE seen (kind TEXT, old TEXT, new TEXT)")
        for table, (columns, updates) in _WATCHED.items():
            old, new = (
                f"json_object({', '.join(f'{name!r}, {row}.{name}' for name in columns.split())})"
                for row in ("OLD", "NEW")
            )
            for action, values in (
                ("INSERT", f"NULL, {new}"),
                (f"UPDATE OF {updates}" if updates else "UPDATE", f"{old}, {new}"),
                ("DELETE", f"{old}, NULL"),
            ):
                connection.exec_driver_sql(
                    f"CREATE TRIGGER seen_{table}_{action[:6]} AFTER {action} ON {table} "
                    f"BEGIN INSERT INTO seen VALUES ({table!r}, {values}); END"
                )

    def committed(self, connection: Connection) -> None:
        """Look at what a commit has changed."""
        changes: dict[str, list[tuple[Row | None, Row | None]]] = {table: [] for table in _WATCHED}
        query = "SELECT rowid, kind, old, new FROM seen WHERE rowid > ? ORDER BY rowid"
        for number, kind, old, new in connection.exec_driver_sql(query, (self._read,)):
            self._read = number
            changes[kind].append((old and json.loads(old), new and json.loads(new)))
        finished: list[SeenRun] = []
        # Runs first: what they begin and end is judged by their job as it was before.
        for old, new in changes["cdds_runs"]:
            run = self._run(old, new)
            if run is not None and run.status == "finished":
                finished.append(run)
        due_to_move = {run.job.id: run for run in finished if self._is_of_series(run)}
        for old, new in changes["cdds_jobs"]:
            self._job(old, new, due_to_move)
        for run in due_to_move.values():
            self._check(run.job.is_gone, "a run finished, and the watermark stayed behind", run)
        ended = {run.id: run for run in finished}
        for old, new in changes["cdds_artifacts"]:
            self._artifact(old, new, ended)
        for _, new in changes["cdds_jobs"]:
            if new is not None:
                job = self.jobs[new["id"]]
                self._check(job.running == len(job.in_progress), "the runs are miscounted", job)

    # --- runs -------------------------------------------------------------------------------------

    def _run(self, old: Row | None, new: Row | None) -> SeenRun | None:
        """Take note of a run; return it when it has ended."""
        if new is None:
            assert old is not None
            self._check(old["status"] != "in progress", "a run in progress was deleted", old)
            self._runs.pop(old["id"], None)
            return None
        if old is None:
            self._begin(new)
            return None
        if old["cancel_requested"] != new["cancel_requested"]:
            self._check(old["status"] == "in progress", "a run was cancelled after its end", new)
            return None
        self._check(old["status"] == "in progress", "a run ended twice", (old, new))
        if new["status"] == "in progress":  # it was cancelled once more
            return None
        run = self._runs.pop(new["id"])
        run.status, run.error = new["status"], new["error"] or ""
        self._end(run, asked_to_stop=bool(old["cancel_requested"]))
        return run

    def _begin(self, new: Row) -> None:
        job = self.jobs[new["job_id"]]
        window_end = _moment(new["window_end"])
        current = self._world.current
        run = SeenRun(
            id=new["id"],
            job=job,
            status=new["status"],
            due=_moment(new["due"]),
            attempt=new["attempt"],
            window=None if window_end is None else (_moment(new["window_start"]), window_end),
            max_retries=job.settings.max_retries,
            begun=self._world.now,
            worker=None if current is None else current.process,
            series=job.series,
            error=new["error"] or "",
        )
        self._check(not job.is_gone, "a run began of a job that is deleted", run)
        if run.due is not None:
            self._check(job.is_on, "a start of a job that is switched off", run)
            self._check(run.due <= self._world.now, "a start before its time", run)
        if run.status == "missed":
            self._missed(run, _moment(new["missed_from"]), new["missed"])
            return
        self.counts["runs begun"] += 1
        if run.due is not None:
            self._due(run, run.due)
        self._runs[run.id] = job.in_progress[run.id] = run
        is_one_too_many = len(job.in_progress) > job.settings.max_instances
        self._check(not is_one_too_many, "more runs of a job at once than may be", run)

    def _missed(self, run: SeenRun, first: datetime | None, count: int) -> None:
        """Hold starts that are recorded as missed against those that were to come."""
        self._check(run.error, "starts that were missed without a reason", run)
        is_given_up = "before it was run" in run.error
        is_each = run.job.settings.misfire == "each" and not is_given_up
        self._check(not is_each, "a start missed that is to be run", run)
        instant = first
        for _ in range(count):
            assert instant is not None
            is_late = self._world.now - instant > run.job.settings.misfire_grace_time
            self._check(is_late or is_given_up, "a start missed that was still on time", run)
            self._next(run, instant)
            instant = run.job.expected()
        self._check(run.job.dealt_with == run.due, "starts that were missed end elsewhere", run)
        self.counts["starts missed"] += count

    def _due(self, run: SeenRun, due: datetime) -> None:
        """Hold the instant that a run is for against that which was to come."""
        job = run.job
        if run.attempt == 1:
            self._next(run, due)
            self._record(job, due, "in progress")
            settings = job.settings
            is_late = self._world.now - due > settings.misfire_grace_time
            may_be_late = settings.misfire != "none" or settings.recurrence.is_immediate
            self._check(may_be_late or not is_late, "a late start that nobody wants", run)
            return
        self.counts["retries"] += 1
        self._check(job.outcomes.get(due) == "failed", "a retry of what has not failed", run)
        self._check(job.failures.get(due, 0) >= run.attempt - 1, "too many retries", run)
        self._record(job, due, "in progress")
        job.owed.pop(due, None)

    def _next(self, run: SeenRun, instant: datetime) -> None:
        job = run.job
        if job.settings.is_one_time:
            at = getattr(job.settings.recurrence, "at", None)
            is_due = instant in (job.next_start, at) and instant not in job.outcomes
            self._check(is_due, "a one-time job at another moment", run)
        else:
            expected = job.expected()
            self._check(instant == expected, f"not the start that comes next, {expected}", run)
        job.dealt_with = instant

    def _record(self, job: SeenJob, due: datetime, outcome: str) -> None:
        job.outcomes[due] = outcome
        if len(job.outcomes) > 50:
            del job.outcomes[next(iter(job.outcomes))]

    def _end(self, run: SeenRun, *, asked_to_stop: bool) -> None:
        job = run.job
        self.counts[f"runs {run.status}"] += 1
        del job.in_progress[run.id]
        self._check(
            run.status != "finished" or not asked_to_stop, "a run finished after its cancel", run
        )
        self._check(
            run.status != "cancelled" or asked_to_stop, "a run cancelled that nobody cancelled", run
        )
        if run.due is not None:
            self._check(job.outcomes[run.due] == "in progress", "an instant that ended twice", run)
            self._record(job, run.due, run.status)
        if run.status != "failed":
            return
        self._check(run.error, "a run failed without a reason", run)
        if "no sign of life" in run.error:
            self.counts["leases lost"] += 1
            self._check(self._was_in_trouble(run), "a sound run was given up", run)
        if run.due is None:
            return
        is_stopped = _STOPPED in run.error
        if is_stopped:
            self.counts["runs stopped"] += 1
            job.stops[run.due] += 1
        is_worth_it = any(words in run.error for words in _TRANSIENT)
        has_tries = run.attempt - job.stops[run.due] <= run.max_retries
        if is_stopped or (is_worth_it and has_tries):
            job.failures[run.due] = run.attempt
            if run.begun > job.switched:
                job.owed[run.due] = run

    def _was_in_trouble(self, run: SeenRun) -> bool:
        worker = run.worker
        if worker is None or worker.is_dead:
            return True
        return max(worker.troubled_at, worker.frozen_until) >= run.begun

    # --- jobs -------------------------------------------------------------------------------------

    def _job(self, old: Row | None, new: Row | None, due_to_move: dict[str, SeenRun]) -> None:
        if new is None:
            assert old is not None
            job = self.jobs.pop(old["id"])
            self._check_nothing_forgotten(job)
            self._check(not job.in_progress, "a job in progress was deleted", job)
            job.is_gone = True
            return
        if old is None:
            self.jobs[new["id"]] = SeenJob(switched=self._world.now, **_job_values(new))
            return
        job = self.jobs[new["id"]]
        values = _job_values(new)
        before, after = job.settings, values["settings"]
        is_new_series = _series(before) != _series(after)
        is_switched = before.recurrence != after.recurrence or job.suspended != values["suspended"]
        if is_new_series:
            job.series += 1
        if is_switched:
            self._check_nothing_forgotten(job)
        self._watermark(job, values["watermark"], due_to_move, is_new_series=is_new_series)
        for name, value in values.items():
            setattr(job, name, value)
        if is_switched and not (job.settings.is_one_time and before.recurrence == after.recurrence):
            job.switched = self._world.now
        if is_switched or job.next_start is None:
            job.owed.clear()

    def _check_nothing_forgotten(self, job: SeenJob) -> None:
        """A job that is switched off or changed has told of all the starts up to now."""
        if job.is_on and not job.settings.is_one_time:
            expected = job.expected()
            is_over = expected is None or expected > self._world.now
            self._check(is_over, "starts are forgotten as their job is changed", job)

    def _watermark(
        self,
        job: SeenJob,
        watermark: datetime | None,
        due_to_move: dict[str, SeenRun],
        *,
        is_new_series: bool,
    ) -> None:
        run = due_to_move.pop(job.id, None)
        if run is not None:
            assert run.window is not None
            start, end = run.window
            timeframe = job.settings.timeframe
            first = timeframe.start if isinstance(timeframe, SinceLastRun) else None
            begins = first if job.watermark is None else job.watermark
            self._check(start == begins, f"a window that does not begin at {begins}", run)
            self._check(watermark == end, f"the watermark moved to {watermark}", run)
            is_backwards = start is not None and end < start
            self._check(not is_backwards and end <= self._world.now, "an impossible window", run)
            self.counts["windows"] += 1
        elif watermark != job.watermark:
            self._check(is_new_series, f"the watermark moved by itself to {watermark}", job)

    def _is_of_series(self, run: SeenRun) -> bool:
        return run.window is not None and run.series == run.job.series

    # --- artifacts --------------------------------------------------------------------------------

    def _artifact(self, old: Row | None, new: Row | None, ended: dict[str, SeenRun]) -> None:
        if new is None:
            assert old is not None
            del self._artifacts[old["name"]]
            self._check(old["name"] not in self._storage.visible, "a file nobody knows of", old)
            return
        self._artifacts[new["name"]] = new
        if old is not None:
            return
        self.counts["artifacts"] += 1
        content = self._storage.visible.get(new["name"])
        is_whole = content is not None and len(content) == new["size"]
        self._check(is_whole, "an artifact that is not in the storage", new)
        run = ended.get(new["run_id"])
        self._check(run is not None, "an artifact without the end of its run", new)
        if run is not None and run.window is not None and content is not None:
            is_of_window = content.decode() == f"{run.job.id} {Timeframe(*run.window)}"
            self._check(is_of_window, "an artifact of another window", (run, content))
        mark = f"export-{new['run_id']}.sha256"
        self._check(mark in self._storage.visible, "an artifact without its commit mark", new)
        self._check(new["run_id"] not in self._runs, "an artifact of a run that goes on", new)

    def _removed(self, name: str) -> None:
        entry = self._artifacts.get(name)
        if entry is not None:
            self._check(entry["state"] != "stored", "the file of an artifact was removed", entry)

    # --- the end ----------------------------------------------------------------------------------

    def settled(self) -> None:
        """Check what holds when all that was due has had its time, and nothing was in the way."""
        now = self._world.now
        self._check(not self._runs, "runs are still in progress", list(self._runs.values())[:2])
        for job in self.jobs.values():
            is_late = job.next_start is not None and job.next_start < now - timedelta(hours=2)
            self._check(not is_late, "what was due was not run", job)
            self._check(not job.owed, "a run was not tried again", (job, job.owed))
            if job.is_on and not job.settings.is_one_time and job.retries == "[]":
                expected = job.expected()
                is_right = job.next_start == expected
                self._check(is_right, f"the next start is not {expected}", job)
        self._check(not self._storage.staged, "uploads lie about", list(self._storage.staged)[:3])
        known = set(self._artifacts)
        known |= {f"export-{entry['run_id']}.sha256" for entry in self._artifacts.values()}
        lying = sorted(self._storage.visible.keys() - known)
        self._check(not lying, "files lie about", lying[:3])
        gone = sorted(self._artifacts.keys() - self._storage.visible.keys())
        self._check(not gone, "artifacts without a file", gone[:3])
        for entry in self._artifacts.values():
            expires = _moment(entry["expires"])
            assert expires is not None
            self._check(expires > now - timedelta(hours=3), "an artifact past its time", entry)

    def _check(self, is_kept: object, what: str, about: object) -> None:
        if not is_kept:
            self._world.failure = Violation(f"{what}, at {self._world.now}: {about}")
            raise self._world.failure


def _series(settings: JobSettings) -> tuple[Any, ...] | None:
    if not isinstance(settings.timeframe, SinceLastRun):
        return None
    return settings.source, settings.dataset, settings.timeframe.start


def _job_values(row: Row) -> Row:
    return {
        "id": row["id"],
        "settings": JobSettings.from_json(row["settings"]),
        "suspended": bool(row["suspended"]),
        "next_start": _next(row["next_start"]),
        "retries": row["retries"],
        "running": row["running"],
        "watermark": _moment(row["watermark"]),
    }


def _next(text: str) -> datetime | None:
    moment = _moment(text)
    return None if moment is None or moment.year == 9999 else moment


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
