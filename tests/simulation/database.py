"""The catalog of a simulated world: the real one in SQLite, shared by processes that may die.

A transaction is one step, as in SQLite it is. Before it and after its commit others go on; in it a
process may be killed at any statement, or the database may fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event
from world import TrueClock, World

from cdds.catalog import Catalog
from cdds.errors import CatalogError


class SimulatedCatalog(Catalog):
    """A catalog in memory.

    Args:
        world: whose time passes.
        faults: how likely a transaction fails: before it, in it, or with its answer lost.
    """

    def __init__(self, world: World, faults: float) -> None:
        self.world = world
        self.faults = faults
        self._is_disturbed = True
        self.on_commit: Callable[[Connection], object] = lambda _: None
        super().__init__("sqlite://", audit_key=b"k" * 32, clock=TrueClock(world))
        event.listen(self._engine, "before_cursor_execute", self._before_statement)

    @contextmanager
    def _begin(self, *, writes: bool) -> Iterator[Connection]:
        self.world.step()
        self._maybe_fail(0.5)
        with super()._begin(writes=writes) as connection:
            yield connection
        if writes:
            # At once, before anybody else goes on.
            with self._undisturbed(), super()._begin(writes=False) as connection:
                self.on_commit(connection)
        self._maybe_fail(0.3)
        self.world.step()

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        self._is_disturbed = False
        try:
            yield
        finally:
            self._is_disturbed = True

    def _before_statement(self, *_: Any) -> None:
        world = self.world
        if world.current is None or world.process.is_dead or not self._is_disturbed:
            return
        if world.chance(self.faults / 20):
            world.kill(world.process)
            # Not `Killed`: SQLAlchemy closes a connection that is left by such, and with it all.
            raise CatalogError("the process was killed")
        self._maybe_fail(0.05)

    def _maybe_fail(self, share: float) -> None:
        world = self.world
        if world.current is not None and world.chance(self.faults * share):
            world.process.troubled_at = world.now
            raise CatalogError("the simulated database failed")
