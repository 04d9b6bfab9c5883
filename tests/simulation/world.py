"""A world with a time of its own, in which processes take turns, die and freeze as one seed says.

Each process has tasks, which are greenlets: only one of them is at work at any moment, and it gives
way where the simulated parts say so by `step` and `pause`. So what happens next depends on the seed
alone, and every history can be had again.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs
import greenlet

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """The process of whoever meets this is dead: nothing that it does has an effect any more."""


@attrs.define(eq=False)
class Process:
    """What dies as one: a worker, a web server.

    Attributes:
        name: what it is called in messages.
        is_dead: whether it was killed; its tasks unwind without any effect.
        skew: how far its own clock is ahead of the database's.
        stopped_clock: what its clock shows while it stands still.
        frozen_until: until when none of its tasks goes on, as of a machine that is paused.
        troubled_at: when it was last frozen, or met a fault of the database or the storage.
    """

    name: str
    is_dead: bool = False
    skew: timedelta = timedelta()
    stopped_clock: datetime | None = None
    frozen_until: datetime = EPOCH
    troubled_at: datetime = EPOCH - timedelta(days=1)


@attrs.define(eq=False)
class Task:
    """A line of work of a process."""

    process: Process
    thread: greenlet.greenlet
    is_over: bool = False


class World:
    """Runs tasks in an order that a seed decides, and lets time pass between them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = EPOCH
        self.steps = 0
        self.current: Task | None = None
        self.failure: BaseException | None = None
        self._processes: list[Process] = []
        self._waiting: list[tuple[datetime, float, int, Task]] = []
        self._numbers = itertools.count()
        self._hub = greenlet.getcurrent()

    @property
    def process(self) -> Process:
        """The process that is at work."""
        assert self.current is not None
        return self.current.process

    def spawn(self, process: Process, work: Callable[[], object], after: float = 0.0) -> Task:
        """Begin a task of a process after some seconds."""
        self._processes.append(process)

        def run() -> None:
            try:
                if not process.is_dead:
                    work()
            except Killed:
                pass
            finally:
                task.is_over = True

        task = Task(process, greenlet.greenlet(run, parent=self._hub))
        self._push(task, after)
        return task

    def step(self) -> None:
        """Let others go on, and die where the process was killed meanwhile."""
        self.pause(self.random.random() * 0.02)

    def pause(self, seconds: float) -> None:
        """Let time pass for the task that is at work."""
        task = self.current
        if task is None:  # set up, before anything runs
            return
        self.check_alive()
        self._push(task, seconds)
        self._hub.switch()
        self.check_alive()

    def check_alive(self) -> None:
        """Have a dead process do nothing more."""
        if self.current is not None and self.current.process.is_dead:
            raise Killed

    def run(self, until: datetime) -> None:
        """Let everything go on until a moment, or until something is found to be wrong.

        What is wrong is raised here, for the code that is watched may keep an exception to itself.
        """
        while self._waiting and self._waiting[0][0] <= until:
            moment, _, _, task = heapq.heappop(self._waiting)
            self.now = max(self.now, moment)
            process = task.process
            if process.frozen_until > self.now and not process.is_dead:
                self._push(task, (process.frozen_until - self.now).total_seconds())
                continue
            self.steps += 1
            self.current = task
            try:
                task.thread.switch()
            finally:
                self.current = None
            if self.failure is not None:
                raise self.failure
        self.now = max(self.now, until)

    def kill(self, process: Process) -> None:
        """Kill a process; its tasks unwind when their turn comes, without any effect."""
        process.is_dead = True

    def end(self) -> None:
        """Kill all that is left, and let it unwind."""
        self.failure = None
        for process in self._processes:
            process.is_dead = True
        while self._waiting:
            self.current = heapq.heappop(self._waiting)[-1]
            self.current.thread.switch()
        self.current = None

    def chance(self, probability: float) -> bool:
        """Decide something by the seed."""
        return self.random.random() < probability

    def _push(self, task: Task, seconds: float) -> None:
        moment = self.now + timedelta(seconds=seconds)
        heapq.heappush(self._waiting, (moment, self.random.random(), next(self._numbers), task))


@attrs.frozen
class ProcessClock:
    """The clock of whichever process asks: ahead, behind, or standing still."""

    world: World

    def now(self) -> datetime:
        """Return what that clock shows."""
        if self.world.current is None:
            return self.world.now
        process = self.world.process
        if process.stopped_clock is not None:
            return process.stopped_clock
        return self.world.now + process.skew


@attrs.frozen
class TrueClock:
    """The clock of the database, which all agree on."""

    world: World

    def now(self) -> datetime:
        """Return the time of the world."""
        return self.world.now
