"""Schedulers that share a catalog and are killed, and what must be true of all that was due.

What is checked is read from the database and the folder, past the library.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any, TypeAlias

import attrs
import sqlalchemy
from one_scheduler import MINUTE, TENANTS, Pace, add_jobs, opened
from places import Files

CHILD = Path(__file__).with_name("one_scheduler.py")
STOP_TIMEOUT = 30
LONGEST_DRAIN = 300
PATIENCE = 120
"""The seconds after which what forks the schedulers is taken to hang."""

IN_PROGRESS = "SELECT id, due FROM cdds_runs WHERE status = 'in progress'"

Key: TypeAlias = tuple[str, datetime]
Row: TypeAlias = Mapping[str, Any]


class Slot:
    """A place where one scheduler after another runs, each in a process of its own."""

    def __init__(self, parent: subprocess.Popen[bytes], numbers: random.Random) -> None:
        self._parent = parent
        self._numbers = numbers
        self._child = 0
        self._said: dict[str, str] = {}

    def begin(self, stop_timeout: float = STOP_TIMEOUT, answer: float = 0) -> None:
        """Begin a scheduler; its source makes each run wait for so many seconds at least."""
        assert self._parent.stdin is not None
        self._said.clear()
        line = f"{self._numbers.randrange(2**32)} {stop_timeout} {answer}\n"
        self._parent.stdin.write(line.encode())
        self._child = int(self._hear("forked"))

    def kill(self) -> None:
        self._send(signal.SIGKILL)
        assert self.ended() == -signal.SIGKILL, "a scheduler ended by itself"

    def terminate(self) -> None:
        """Stop the scheduler, once it handles signals."""
        self._hear("ready")
        self._send(signal.SIGTERM)

    def ended(self) -> int:
        code = int(self._hear("ended"))
        self._child = 0
        return code

    def _send(self, number: signal.Signals) -> None:
        assert self._child, "no scheduler runs here"
        os.kill(self._child, number)

    def _hear(self, word: str) -> str:
        """Return what was said with a word, and keep what is said before it."""
        assert self._parent.stdout is not None
        while word not in self._said:
            assert "ended" not in self._said, "a scheduler ended by itself"
            ready, _, _ = select.select([self._parent.stdout], [], [], PATIENCE)
            assert ready, f"nothing is said of a scheduler that is {word}"
            line = self._parent.stdout.readline()
            assert line, "what forks the schedulers has ended"
            said, _, rest = line.decode().strip().partition(" ")
            self._said[said] = rest
        return self._said[word]


@attrs.frozen
class Stage:
    """A catalog with jobs that are due every minute, and slots for schedulers on it."""

    files: Files
    url: str
    pace: Pace
    slots: Sequence[Slot]
    starts: Mapping[str, datetime]
    numbers: random.Random

    def begin(self, stop_timeout: float = STOP_TIMEOUT, answer: float = 0) -> None:
        """Begin a scheduler in each slot."""
        for slot in self.slots:
            slot.begin(stop_timeout, answer)

    def kill_for(self, seconds: float, pause: float) -> int:
        """Kill schedulers and begin others, with random pauses; return how many were killed."""
        until = time.monotonic() + seconds
        kills = 0
        while time.monotonic() < until:
            time.sleep(self.numbers.uniform(0, 2 * pause))
            slot = self.numbers.choice(self.slots)
            slot.kill()
            slot.begin()
            kills += 1
        return kills

    def stop(self) -> None:
        """Stop all schedulers, which must end well."""
        for slot in self.slots:
            slot.terminate()
        ends = [slot.ended() for slot in self.slots]
        assert ends == [0] * len(ends)

    def drain(self, cut_off: datetime, longest: float = LONGEST_DRAIN) -> None:
        """Wait until all that was due up to a moment has been run."""
        until = time.monotonic() + longest
        while left := self._left(cut_off):
            assert time.monotonic() < until, f"not run in {longest} seconds: {left[:10]}"
            time.sleep(0.5)

    def wait_for_runs(self, count: int) -> None:
        """Wait until so many runs at least are in progress."""
        until = time.monotonic() + PATIENCE
        while len(self.rows(IN_PROGRESS)) < count:
            assert time.monotonic() < until, f"not {count} runs in {PATIENCE} seconds"
            time.sleep(0.01)

    def rows(self, statement: str) -> list[Row]:
        """Return what a statement of SQL finds, by a connection of its own."""
        url = self.url.replace("postgresql://", "postgresql+psycopg://")
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            found = connection.execute(sqlalchemy.text(statement))
            return [dict(row) for row in found.mappings()]

    def _left(self, cut_off: datetime) -> list[Row]:
        jobs = self.rows("SELECT id, next_start, retries FROM cdds_jobs")
        retries = [retry for job in jobs for retry in json.loads(job["retries"])]
        runs = self.rows(IN_PROGRESS)
        return [
            row
            for row in (*jobs, *retries, *runs)
            for name in ("next_start", "due")
            if row.get(name) is not None and moment(row[name]) <= cut_off
        ]


def moment(value: Any) -> datetime:
    """Return a moment as either database has it."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    assert isinstance(value, datetime)
    return value.astimezone(UTC)


@contextmanager
def stage(
    files: Files, url: str, *, jobs: int, schedulers: int, speed: float, seed: int
) -> Iterator[Stage]:
    """Add jobs that are due from a moment on, and make slots."""
    numbers = random.Random(seed)
    pace = Pace(speed)
    with ExitStack() as stack:
        words = [sys.executable, str(CHILD), str(files.home), str(files.exports), url]
        parents = [stack.enter_context(_parent([*words, *pace.words])) for _ in range(schedulers)]
        slots = [Slot(parent, numbers) for parent in parents]
        with opened(files, url, pace) as (_, service):
            starts = add_jobs(files, service, jobs, pace.now() + MINUTE / 2)
        yield Stage(files, url, pace, slots, starts, numbers)


@contextmanager
def _parent(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    # Nothing is buffered, so that what can be read is what has not been.
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as parent:
        try:
            yield parent
        finally:
            assert parent.stdin is not None
            parent.stdin.close()  # which ends the scheduler, too
            with suppress(subprocess.TimeoutExpired):
                parent.wait(PATIENCE)
            parent.kill()


@attrs.frozen
class Outcome:
    """What became of all that was due."""

    runs: int
    finished: int
    reasons: Mapping[str, int]
    retries: int
    most_attempts: int
    lateness: Sequence[float]
    delays: Sequence[float]
    kills: int = 0

    @property
    def recovered(self) -> int:
        """How many runs were found by the end of their lease."""
        return sum(count for reason, count in self.reasons.items() if "no sign of life" in reason)

    def __str__(self) -> str:
        return (
            f"{self.runs} runs, {self.finished} finished, {self.recovered} leases recovered,"
            f" {self.retries} retries, at most {self.most_attempts} attempts;"
            f" begun after {_percentiles(self.lateness)},"
            f" finished after {_percentiles(self.delays)} s; failed: {dict(self.reasons)}"
        )


def _percentiles(values: Sequence[float]) -> str:
    cuts = quantiles(values, n=100, method="inclusive")
    return f"{cuts[49]:.2f} (50 %), {cuts[94]:.2f} (95 %), {cuts[98]:.2f} (99 %), {max(values):.2f}"


def check(on: Stage, cut_off: datetime, openssl: str) -> Outcome:
    """Check, after the schedulers have ended, that each start up to the cut-off was run once.

    The leases of those that were killed last must be over.
    """
    runs = on.rows("SELECT * FROM cdds_runs")
    outcome = _check_runs(on, runs, cut_off)
    _check_jobs(on, cut_off)
    with opened(on.files, on.url, on.pace) as (catalog, service):
        reconciled = service.reconcile()
        assert reconciled.failed_runs == reconciled.missing == reconciled.found == ()
        assert reconciled.foreign == 0
        with catalog.read() as transaction:
            for number in range(TENANTS):
                transaction.audit.verify(f"tenant {number}")
    _check_trail(on, runs)
    _check_files(on, runs, openssl)
    return outcome


def _check_runs(on: Stage, runs: Sequence[Row], cut_off: datetime) -> Outcome:
    attempts: dict[Key, list[Row]] = defaultdict(list)
    for run in runs:
        attempts[run["job_id"], moment(run["due"])].append(run)
    finished = Counter(
        (run["job_id"], moment(run["due"])) for run in runs if run["status"] == "finished"
    )
    assert {run["status"] for run in runs} <= {"finished", "failed"}
    assert set(finished.values()) == {1}, "a start was run twice"
    due = {
        (job_id, start + number * MINUTE)
        for job_id, start in on.starts.items()
        for number in range((cut_off - start) // MINUTE + 1)
    }
    assert due - finished.keys() == set(), "a start was lost"
    assert {key for key in attempts if key[1] <= cut_off} == due, "a start was never due"
    for key, tries in attempts.items():
        tries.sort(key=lambda run: int(run["attempt"]))
        assert [run["attempt"] for run in tries] == list(range(1, len(tries) + 1)), key
        assert "finished" not in {run["status"] for run in tries[:-1]}, key
    return Outcome(
        runs=len(runs),
        finished=len(finished),
        reasons=Counter(run["error"] for run in runs if run["status"] == "failed"),
        retries=sum(run["attempt"] > 1 for run in runs),
        most_attempts=max(run["attempt"] for run in runs),
        lateness=[_seconds(on, tries[0], "started") for tries in attempts.values()],
        delays=[_seconds(on, attempts[key][-1], "finished") for key in due],
    )


def _seconds(on: Stage, run: Row, name: str) -> float:
    """Return how long after its time something of a run was, on a clock that is right."""
    return (moment(run[name]) - moment(run["due"])) / timedelta(seconds=1) / on.pace.speed


def _check_jobs(on: Stage, cut_off: datetime) -> None:
    jobs = on.rows("SELECT id, running, next_start FROM cdds_jobs")
    assert {job["id"] for job in jobs} == on.starts.keys()
    assert {job["running"] for job in jobs} == {0}
    assert all(moment(job["next_start"]) > cut_off for job in jobs)


def _check_trail(on: Stage, runs: Sequence[Row]) -> None:
    """Check that each run began once, and ended once as it is said to have."""
    entries = on.rows("SELECT action, subject FROM cdds_audit WHERE kind = 'run'")
    told = Counter((entry["action"], entry["subject"]) for entry in entries)
    ends = {(f"run {run['status']}", run["id"]) for run in runs}
    assert told == Counter([*ends, *(("run started", run["id"]) for run in runs)])


def _check_files(on: Stage, runs: Sequence[Row], openssl: str) -> None:
    artifacts = on.rows("SELECT name, run_id, size, sha256, state FROM cdds_artifacts")
    finished = {run["id"]: run for run in runs if run["status"] == "finished"}
    assert Counter(artifact["run_id"] for artifact in artifacts) == Counter(finished.keys())
    assert {artifact["state"] for artifact in artifacts} == {"stored"}
    wanted = {artifact["name"] for artifact in artifacts}
    wanted |= {run[name] for run in finished.values() for name in ("digests", "signature")}
    assert {path.name for path in on.files.exports.iterdir()} == wanted
    for artifact in artifacts:
        data = (on.files.exports / artifact["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (
            artifact["size"],
            artifact["sha256"],
        )
        digests = (on.files.exports / finished[artifact["run_id"]]["digests"]).read_text()
        assert digests == f"{artifact['sha256']}  {artifact['name']}\n"
        _open(on.files.exports / artifact["name"], on.files.key, openssl)


def _open(path: Path, key: Path, openssl: str) -> None:
    """Open an artifact as its recipient does."""
    with tempfile.TemporaryDirectory(prefix="cdds-test-") as folder:
        archive = Path(folder) / "opened.zip"
        words = [openssl, "smime", "-decrypt", "-binary", "-inkey", str(key)]
        subprocess.run([*words, "-in", str(path), "-out", str(archive)], check=True, timeout=60)
        with zipfile.ZipFile(archive) as opened_archive:
            assert opened_archive.testzip() is None


def kill_schedulers(
    files: Files,
    url: str,
    *,
    jobs: int,
    schedulers: int,
    seconds: float,
    pause: float,
    speed: float,
    seed: int,
    openssl: str,
    longest_drain: float = LONGEST_DRAIN,
    tell: Callable[[str], object] = print,
) -> Outcome:
    """Kill schedulers for some time, let others do what is left, and check it."""
    with stage(files, url, jobs=jobs, schedulers=schedulers, speed=speed, seed=seed) as on:
        on.begin()
        kills = on.kill_for(seconds, pause)
        cut_off = on.pace.now()
        began = time.monotonic()
        on.drain(cut_off, longest_drain)
        drained = time.monotonic() - began
        on.stop()
        outcome = attrs.evolve(check(on, cut_off, openssl), kills=kills)
        tell(
            f"{jobs} jobs, {schedulers} schedulers, {seconds:.0f} s, seed {seed}: {kills} kills,"
            f" the rest done in {drained:.1f} s; {outcome}"
        )
        return outcome
