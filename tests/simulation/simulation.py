"""One history of a scheduler, from a seed: workers, users, chaos, and an observer of it all.

The service, the scheduler, the catalog and its SQL are the real ones. Simulated are time, the
storage, the export itself, and how often a process lives. To see a history again:

    python tests/simulation/simulation.py SEED --days 10
"""

from __future__ import annotations

import argparse
import functools
import logging
import random
import sys
import time
import types
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any
from unittest import mock

import attrs

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))

from database import SimulatedCatalog
from observer import Observer, Violation
from storage import SimulatedStorage
from world import EPOCH, Process, ProcessClock, World

import cdds
from cdds.catalog import JobSettings
from cdds.crypto.selfsigned import self_signed
from cdds.errors import Cancelled, CddsError, JobError, SourceUnavailable
from cdds.model import Artifact, ExportResult, Job, Progress, Timeframe
from cdds.protocols import CancelToken, ProgressListener
from cdds.schedule import Daily, Hourly, Monthly, Once, Recurrence, Weekly
from cdds.service import chores as service_chores
from cdds.service import execution, heartbeat
from cdds.staging import Staging

LEASE = timedelta(seconds=60)
TENANTS = ("acme", "globex")
USERS = tuple(cdds.Principal(name, tenant) for tenant in TENANTS for name in ("a", "b"))


@attrs.frozen(kw_only=True)
class Scale:
    """How large a world is, and how rough."""

    days: float = 1.0
    jobs: int = 20
    workers: int = 3
    faults: float = 0.004
    crashes_a_day: float = 24.0
    edits_a_day: float = 400.0
    poll: float = 600.0
    drain: timedelta = timedelta(hours=12)
    is_busy: bool = True

    @classmethod
    def of(cls, job_days: int) -> Scale:
        """Return a scale of about so many days of jobs, most of which run weekly or monthly."""
        return cls(
            days=job_days / 2000,
            jobs=2000,
            crashes_a_day=8,
            edits_a_day=100,
            poll=1800,
            is_busy=False,
        )


@attrs.frozen
class Report:
    """What came to pass."""

    seed: int
    days: float
    job_days: float
    steps: int
    counts: dict[str, int]


@functools.cache
def certificate() -> bytes:
    """Return a certificate that outlives every simulation."""
    return self_signed("simulated", now=EPOCH - timedelta(days=1), days=36_500)[1]


def simulate(seed: int, scale: Scale | None = None) -> Report:
    """Live through one history, and return what came to pass.

    Raises:
        Violation: a promise was broken; the message tells the seed.
    """
    with _replaced() as rooms:
        simulation = Simulation(seed, scale or Scale(), rooms)
        try:
            return simulation.run()
        except Violation as error:
            raise Violation(f"seed {seed}: {error}") from None
        finally:
            simulation.world.end()
            simulation.catalog.close()


@attrs.frozen
class StopAt:
    """A token that is set from a moment on, as one that a signal sets."""

    world: World
    moment: datetime

    def is_set(self) -> bool:
        """Return whether that moment has come."""
        return self.world.now >= self.moment


class Simulation:
    """A world with workers, users and chaos in it."""

    def __init__(self, seed: int, scale: Scale, rooms: Rooms) -> None:
        self.scale = scale
        self.world = world = World(seed)
        rooms.world = world
        self.random = world.random
        self.storage = SimulatedStorage(world, scale.faults)
        self.catalog = SimulatedCatalog(world, scale.faults)
        self.observer = Observer(world, self.storage)
        with self.catalog._engine.connect() as connection:
            self.observer.watch(connection)
            connection.commit()
        self.catalog.on_commit = self.observer.committed
        self.service = cdds.DownloadService(
            catalog=self.catalog,
            sink=self.storage,
            sources={name: lambda _: cdds.sources.Records() for name in ("UCS", "CRM")},
            clock=ProcessClock(world),
            lease=LEASE,
            retry_pause=timedelta(minutes=self.random.choice([1, 5])),
            lifetime=timedelta(days=self.random.choice([1, 2, 30])),
            history_lifetime=self.random.choice([None, timedelta(days=2)]),
        )
        self.workers: list[Process] = []
        self.job_days = 0.0
        self.is_calm = False

    def run(self) -> Report:
        """Live through it all: chaos first, then calm until nothing is left to do."""
        for user in USERS:
            self.service.preferences.set_certificate(user, certificate())
        for _ in range(self.scale.jobs):
            self._attempt(self._add)
        for number in range(self.scale.workers):
            self._start_worker(number)
        users = Process("users")
        for _ in range(3):
            self.world.spawn(users, self._use)
        self.world.spawn(Process("chaos"), self._wreak)
        end = EPOCH + timedelta(days=self.scale.days)
        while self.world.now < end:
            self.world.run(min(end, self.world.now + timedelta(hours=1)))
            self.job_days += len(self.observer.jobs) / 24
        self._calm_down()
        self.world.run(end + self.scale.drain)
        self.service.retention.sweep()
        self.service.reconcile()
        self.observer.settled()
        for tenant in TENANTS:
            auditor = cdds.Principal("auditor", tenant, ["audit"])
            self.service.audit.verify(auditor, self.service.audit.head(auditor))
        return Report(
            self.world.seed,
            self.scale.days,
            self.job_days,
            self.world.steps,
            dict(sorted(self.observer.counts.items())),
        )

    # --- workers ----------------------------------------------------------------------------------

    def _start_worker(self, number: int) -> None:
        process = Process(f"worker {number}")
        if self.world.chance(0.3):
            process.skew = timedelta(seconds=self.random.uniform(-7200, 7200))
        scheduler = cdds.Scheduler(
            self.service, sweep=Hourly(1), reconcile=Hourly(3), remind=Hourly(6)
        )
        for _ in range(2):
            self.world.spawn(process, functools.partial(self._work, scheduler), 60.0)
        self.workers.append(process)

    def _work(self, scheduler: cdds.Scheduler) -> None:
        while True:
            self._attempt(
                lambda: scheduler.run_pending(self.random.choice([1, 5, 100]), self._maybe_stop())
            )
            self.world.pause(self.random.uniform(0, 2 * self.scale.poll))

    def _maybe_stop(self) -> CancelToken | None:
        """Have the host of a worker stop what it does, now and then."""
        if self.is_calm or self.world.chance(0.7):
            return None
        (seconds,) = self.random.choices((0.0, 1.0, 60.0, 1000.0), (1, 2, 4, 4))
        return StopAt(
            self.world, self.world.now + timedelta(seconds=self.random.random() * seconds)
        )

    def _attempt(self, action: Callable[[], object]) -> None:
        """Do what the library may refuse, or the simulated parts let fail."""
        with suppress(CddsError):
            action()

    # --- users ------------------------------------------------------------------------------------

    def _use(self) -> None:
        actions: list[tuple[Callable[[], object], float]] = [
            (self._add, 2),
            (lambda: self._on_a_job("delete"), 1),
            (lambda: self._on_a_job("suspend"), 2),
            (lambda: self._on_a_job("resume"), 3),
            (self._edit, 4),
            (lambda: self._on_a_job("run_now"), 2),
            (self._cancel, 3),
            (self._delete_run, 1),
            (self._delete_artifact, 1),
        ]
        works, weights = zip(*actions, strict=True)
        while not self.is_calm:
            self.world.pause(self.random.expovariate(self.scale.edits_a_day / 3 / 86_400))
            (action,) = self.random.choices(works, weights)
            self._attempt(action)

    def _add(self) -> None:
        self.service.jobs.add(self.random.choice(USERS), self._settings())

    def _settings(self) -> JobSettings:
        choose = self.random.choice
        timeframe: Any = None
        if self.world.chance(0.6):
            lag = timedelta(seconds=choose([0, 1, 300, 7200]))
            timeframe = Timeframe.since_last_run(lag, choose([None, EPOCH - timedelta(days=3)]))
        return JobSettings(
            title="simulated",
            source=choose(["UCS", "UCS", "UCS", "CRM"]),
            dataset="Interaction",
            recurrence=self._recurrence(),
            timeframe=timeframe,
            misfire=choose(["one", "one", "each", "none"]),
            misfire_grace_time=timedelta(minutes=choose([1, 30, 600])),
            max_retries=choose([0, 1, 3]),
            max_instances=1 if timeframe else choose([1, 1, 2, 3]),
        )

    def _recurrence(self) -> Recurrence:
        if self.world.chance(0.1):
            return Once()
        if self.world.chance(0.1):
            return Once(self.world.now + timedelta(minutes=self.random.randrange(1, 3000)))
        if self.scale.is_busy:
            return Hourly(self.random.choice([1, 1, 2, 3, 5, 12, 24]))
        at = clock_time(self.random.randrange(24), self.random.choice([0, 30]))
        zone = self.random.choice(["UTC", "Europe/Berlin", "America/New_York"])
        (recurrence,) = self.random.choices(
            (
                Weekly(self.random.choice(["MO", "TU", "FR,SU"]), at, zone=zone),
                Daily(at, zone=zone),
                Monthly(self.random.choice([1, 31, -1]), at, zone=zone),
                Hourly(12),
            ),
            (40, 4, 55, 1),
        )
        return recurrence

    def _on_a_job(self, what: str) -> None:
        job_id, owner = self._a_job()
        getattr(self.service.jobs, what)(owner, job_id)

    def _a_job(self) -> tuple[str, cdds.Principal]:
        owner = self.random.choice(USERS)
        status: Any = self.random.choice([None, "in progress"])
        sort = self.random.choice(["created", "next_start", "latest_start"])
        jobs = self.service.jobs.list(
            owner, status=status, sort=sort, descending=self.world.chance(0.5), limit=20
        ).items
        if not jobs:
            raise JobError("there is none")
        return self.random.choice(jobs).id, owner

    def _edit(self) -> None:
        job_id, owner = self._a_job()
        new = self._settings()
        names = ("recurrence", "misfire", "max_retries", "source", "timeframe", "title")
        name = self.random.choice(names)
        self.service.jobs.edit(owner, job_id, **{name: getattr(new, name)})

    def _a_run(self, **wanted: Any) -> tuple[str, cdds.Principal]:
        owner = self.random.choice(USERS)
        runs = self.service.history.list(owner, limit=50, **wanted).items
        if not runs:
            raise JobError("there is none")
        return self.random.choice(runs).id, owner

    def _cancel(self) -> None:
        run_id, owner = self._a_run(status="in progress")
        self.service.history.cancel(owner, run_id)

    def _delete_run(self) -> None:
        run_id, owner = self._a_run()
        self.service.history.delete(owner, run_id)

    def _delete_artifact(self) -> None:
        owner = self.random.choice(USERS)
        artifacts = self.service.artifacts.list(owner, limit=50).items
        if artifacts:
            self.service.artifacts.delete(owner, [self.random.choice(artifacts).name])

    # --- chaos ------------------------------------------------------------------------------------

    def _wreak(self) -> None:
        deeds = (
            self._kill,
            self._kill,
            self._black_out,
            self._freeze,
            self._skew,
            self._stop_clock,
        )
        while not self.is_calm:
            self.world.pause(self.random.expovariate(self.scale.crashes_a_day / 86_400))
            number = self.random.randrange(len(self.workers))
            self.random.choice(deeds)(number)
            self._revive()

    def _kill(self, number: int) -> None:
        self.world.kill(self.workers[number])

    def _black_out(self, _: int) -> None:
        """Have no worker at all for some hours."""
        for process in self.workers:
            self.world.kill(process)
        self.world.pause(3600 * self.random.choice([0.1, 2, 7]))

    def _revive(self) -> None:
        """Start again what has died, some time later: a worker, or a statement that killed it."""
        for number, process in enumerate(self.workers):
            if process.is_dead and self.world.chance(0.7):
                self.workers.pop(number)
                self._start_worker(number)
                self.workers.insert(number, self.workers.pop())

    def _freeze(self, number: int) -> None:
        process = self.workers[number]
        process.troubled_at = self.world.now
        process.frozen_until = self.world.now + timedelta(seconds=self.random.uniform(10, 9000))

    def _skew(self, number: int) -> None:
        self.workers[number].skew = timedelta(seconds=self.random.uniform(-7200, 7200))

    def _stop_clock(self, number: int) -> None:
        process = self.workers[number]
        stands = process.stopped_clock is None
        process.stopped_clock = self.world.now + process.skew if stands else None

    def _calm_down(self) -> None:
        self.is_calm = True
        self.catalog.faults = self.storage.faults = 0.0
        for process in self.workers:
            self.world.kill(process)
        self.workers.clear()
        for number in range(3):
            self._start_worker(number)
            self.workers[-1].skew = timedelta()


# --- what is replaced -----------------------------------------------------------------------------


@attrs.define
class Rooms:
    """Where the replaced parts find the world that they are in."""

    world: World | None = None

    def here(self) -> World:
        """Return the world."""
        assert self.world is not None
        return self.world


@attrs.frozen
class SimulatedExporter:
    """Exports nothing, slowly, by way of the real staging; what it is called with is true."""

    rooms: Rooms
    sink: Any
    envelope: Any
    signer: Any
    clock: Any
    threads: Any

    def run(
        self,
        job: Job,
        source: object,
        *,
        run_id: str,
        progress: ProgressListener,
        cancel: CancelToken,
    ) -> ExportResult:
        """Take a while, fail now and then, and leave a set of artifacts."""
        world = self.rooms.here()
        artifacts: list[Artifact] = []
        with Staging(self.sink) as staging:
            for number in range(world.random.choice([1, 1, 2])):
                for _ in range(world.random.choice([0, 1, 3])):
                    (seconds,) = world.random.choices((0.1, 5.0, 40.0, 400.0), (4, 4, 2, 1))
                    world.pause(seconds)
                    if world.chance(0.5) and cancel.is_set():
                        raise Cancelled("the simulated export was cancelled")
                    progress(Progress(records=1, bytes_read=1, bytes_total=2, bytes_written=0))
                self._maybe_fail(world)
                name = f"export-{run_id}.z{number + 1:02}.smime"
                chunks = [f"{job.id} {job.timeframe}".encode()]
                artifacts.append(staging.stage(name, chunks, lambda _: None))
            if world.chance(0.5) and cancel.is_set():
                raise Cancelled("the simulated export was cancelled")
            staging.commit(f"export-{run_id}.sha256", artifacts)
        return ExportResult(
            run_id=run_id,
            artifacts=tuple(artifacts),
            digests=f"export-{run_id}.sha256",
            records={"interaction": 1},
        )

    def _maybe_fail(self, world: World) -> None:
        if world.process.name != "users" and world.chance(0.05):
            raise SourceUnavailable("the simulated source is away")
        if world.chance(0.01):
            raise JobError("the made-up source refuses for good")


@contextmanager
def _replaced() -> Iterator[Rooms]:
    """Put the simulated parts in place of threads, sleeping, chance and exports."""
    rooms = Rooms()

    @contextmanager
    def repeating(action: Callable[[], object], seconds: float, name: str) -> Iterator[None]:
        world = rooms.here()
        if world.current is None:  # after the end of the world
            yield
            return
        over = False

        def repeat() -> None:
            while not over:
                world.pause(seconds * world.random.uniform(0.5, 1.2))
                if not over:
                    action()

        task = world.spawn(world.process, repeat)
        try:
            yield
        finally:
            over = True
            del task

    def new_id() -> uuid.UUID:
        return uuid.UUID(int=rooms.here().random.getrandbits(128), version=4)

    def pause(seconds: float) -> None:
        rooms.here().pause(seconds)

    with (
        _silence(),
        mock.patch.object(heartbeat, "repeating", repeating),
        mock.patch.object(heartbeat, "INTERVAL", 20.0),
        mock.patch.object(service_chores, "repeating", repeating),
        mock.patch.object(execution, "time", types.SimpleNamespace(sleep=pause)),
        mock.patch.object(execution, "Exporter", functools.partial(SimulatedExporter, rooms)),
        mock.patch.object(uuid, "uuid4", new_id),
    ):
        yield rooms


@contextmanager
def _silence() -> Iterator[None]:
    """Have the library log nothing: what fails in a simulation is meant to."""
    log = logging.getLogger("cdds")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def main() -> None:
    """Live through some histories, and tell what came to pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=random.randrange(10**6))
    parser.add_argument("--seeds", type=int, default=1, help="how many histories")
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--job-days", type=int, help="as the long run has them, instead")
    options = parser.parse_args()
    for seed in range(options.seed, options.seed + options.seeds):
        start = time.perf_counter()
        scale = Scale(days=options.days, jobs=options.jobs)
        if options.job_days:
            scale = Scale.of(options.job_days)
        report = simulate(seed, scale)
        print(f"{time.perf_counter() - start:.1f} s: {report}", flush=True)


if __name__ == "__main__":
    main()
