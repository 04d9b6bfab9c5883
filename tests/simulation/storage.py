"""The storage of a simulated world: slow and faulty, and true to what a `Storage` promises."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import attrs
from world import World

from cdds.errors import ArtifactExists, ArtifactMissing, SinkError
from cdds.protocols import Buffer, Stored, Upload


@attrs.define(eq=False)
class SimulatedStorage:
    """Holds artifacts in memory; each operation takes its time, and may fail before or after.

    Attributes:
        world: whose time passes.
        faults: how likely an operation fails.
        visible: what is committed, by its name.
        staged: what is not committed, by what it is called meanwhile.
        on_remove: told of each name that is not visible any more.
    """

    world: World
    faults: float
    on_remove: Callable[[str], object] = lambda _: None
    visible: dict[str, bytes] = attrs.field(factory=dict)
    staged: dict[str, tuple[str, bytearray]] = attrs.field(factory=dict)
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))

    def create(self, name: str) -> Upload:
        """Begin an artifact."""
        if name in self.visible:
            raise ArtifactExists(f"{name} exists already")
        with _Operation(self):
            key = f"staged-{next(self._numbers)}"
            self.staged[key] = (name, bytearray())
        return _Upload(self, key, name)

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield some bytes of an artifact."""
        if name not in self.visible:
            raise ArtifactMissing(f"{name} is not there")
        yield self.visible[name][start:end]

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        """Yield what there is at this moment."""
        with _Operation(self):
            found = [Stored(name, len(data)) for name, data in self.visible.items()]
            found += [Stored(name, len(data), key) for key, (name, data) in self.staged.items()]
        yield from (item for item in found if item.name.startswith(prefix))

    def remove(self, item: Stored) -> None:
        """Remove something."""
        with _Operation(self):
            if item.staged is not None:
                self.staged.pop(item.staged, None)
            elif self.visible.pop(item.name, None) is not None:
                self.on_remove(item.name)


@attrs.define(eq=False)
class _Upload:
    storage: SimulatedStorage
    key: str
    name: str
    is_committed: bool = False

    def write(self, data: Buffer) -> None:
        with _Operation(self.storage):
            self._data().extend(data)

    def stage(self) -> None:
        self.storage.world.step()

    def commit(self) -> None:
        with _Operation(self.storage):
            if self.name in self.storage.visible:
                raise ArtifactExists(f"{self.name} exists already")
            self.storage.visible[self.name] = bytes(self._data())
            self.storage.staged.pop(self.key, None)
            self.is_committed = True

    def abort(self) -> None:
        with _Operation(self.storage):
            self.storage.staged.pop(self.key, None)
            if self.is_committed and self.storage.visible.pop(self.name, None) is not None:
                self.storage.on_remove(self.name)

    def _data(self) -> bytearray:
        if self.key not in self.storage.staged:
            raise SinkError(f"the upload of {self.name} is gone")
        return self.storage.staged[self.key][1]


@attrs.define
class _Operation:
    """Takes time, and fails now and then: before it is done, or with its answer lost."""

    storage: SimulatedStorage

    def __enter__(self) -> None:
        world = self.storage.world
        if world.chance(0.02):
            world.pause(world.random.uniform(1, 20))
        world.step()
        self._maybe_fail()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._maybe_fail()
            self.storage.world.step()

    def _maybe_fail(self) -> None:
        world = self.storage.world
        if world.current is not None and world.chance(self.storage.faults):
            world.process.troubled_at = world.now
            raise SinkError("the simulated storage failed")
