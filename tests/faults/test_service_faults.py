"""Every call to the database, and every call to the sink, fails once in all that a service does.

The Nth call fails, for N = 1, 2, 3 and so on, until an operation goes through untouched: before it
is done, or after it, when only its answer is lost; or the database, or the sink, is gone from that
call on. After each, all that is listed is there, no row is half written, `reconcile` and the sweep
leave nothing but whole sets, and the job runs again.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs
import pytest
from catalogs import SHARED_KINDS
from places import HISTORY, LEASE, Files, Place, check, opened, run_again, tidy
from sqlalchemy import Engine, event

import cdds
from cdds.catalog import ArtifactEntry
from cdds.catalog.tables import ARTIFACTS
from cdds.errors import Cancelled, CatalogError, CddsError, NotFound, SinkError
from cdds.protocols import Buffer, Stored, Upload
from cdds.service import execution, heartbeat
from cdds.service.reconciliation import Reconciled
from cdds.sinks import LocalSink

Mode: TypeAlias = Literal["refused", "lost", "gone"]
MODES = ("refused", "lost", "gone")
NewCatalogUrl: TypeAlias = Callable[[str], Any]


class Foreign(Exception):
    """What only somebody else's sink raises."""


ERRORS = {"SinkError": SinkError, "Foreign": Foreign}


class Faults:
    """Does a fault to the Nth call of those that are sent through it.

    Attributes:
        at: which call, counted from 1; 0 for none.
        count: how many calls have come.
        mode: whether it is refused, only its answer lost, or all after it fail too.
        make: makes the error.
        thread: how the names of the threads begin whose calls are counted.
    """

    def __init__(self) -> None:
        self.at = self.count = 0
        self.mode: Mode = "refused"
        self.make: Callable[[], Exception] = Foreign
        self.thread = ""

    def begin(self, at: int, mode: Mode) -> None:
        self.at, self.mode, self.count = at, mode, 0

    def end(self) -> int:
        """Do no more faults; return how many calls there were."""
        self.at = 0
        return self.count

    def cut(self) -> None:
        """Let all calls fail from now on."""
        self.at, self.mode = self.count + 1, "gone"

    def call(self, do: Callable[..., Any], *arguments: Any) -> Any:
        if not threading.current_thread().name.startswith(self.thread):
            return do(*arguments)
        self.count += 1
        if self.at == 0 or self.count < self.at or (self.count > self.at and self.mode != "gone"):
            return do(*arguments)
        if self.mode == "lost":
            do(*arguments)
        raise self.make()


def fail_the_database(engine: Engine, faults: Faults) -> None:
    """Send all calls to a database through `faults`: connections, statements, commits."""
    dialect: Any = engine.dialect
    driver = dialect.loaded_dbapi
    faults.make = lambda: driver.OperationalError("a fault of the test")

    def send(do: Callable[..., Any], connection: Any, *arguments: Any) -> Any:
        try:
            return faults.call(do, *arguments)
        except driver.OperationalError:
            if faults.mode == "lost" and dialect.name == "postgresql":
                # There is no other way for an answer to be lost.
                getattr(connection, "dbapi_connection", connection).close()
            raise

    def execute(cursor: Any, *arguments: Any) -> bool:
        send(cursor.execute, cursor.connection, *arguments[:-1])
        return True

    def execute_many(cursor: Any, *arguments: Any) -> bool:
        send(cursor.executemany, cursor.connection, *arguments[:-1])
        return True

    def connect(_: Any, __: Any, words: Any, options: Any) -> Any:
        if faults.mode == "lost":  # a connection is there, or it is not
            return driver.connect(*words, **options)
        return faults.call(lambda: driver.connect(*words, **options))

    event.listen(engine, "do_execute", execute)
    event.listen(engine, "do_executemany", execute_many)
    event.listen(engine, "do_connect", connect)
    for name in ("do_commit", "do_rollback"):
        do = getattr(dialect, name)
        setattr(dialect, name, lambda connection, do=do: send(do, connection, connection))


@attrs.frozen
class FaultySink:
    """A folder, and all calls to it and to its uploads go through `faults`."""

    inner: LocalSink
    faults: Faults

    def create(self, name: str) -> Upload:
        return FaultyUpload(self.faults.call(self.inner.create, name), self.faults)

    def sync(self) -> None:
        self.faults.call(self.inner.sync)

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        chunks = self.faults.call(self.inner.read, name, start, end)
        while (chunk := self.faults.call(next, chunks, None)) is not None:
            yield chunk

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        items = self.faults.call(self.inner.stored, prefix)
        while (item := self.faults.call(next, items, None)) is not None:
            yield item

    def remove(self, item: Stored) -> None:
        self.faults.call(self.inner.remove, item)


@attrs.frozen
class FaultyUpload:
    inner: Upload
    faults: Faults

    def write(self, data: Buffer) -> None:
        self.faults.call(self.inner.write, data)

    def stage(self) -> None:
        self.faults.call(self.inner.stage)

    def commit(self) -> None:
        self.faults.call(self.inner.commit)

    def abort(self) -> None:
        self.faults.call(self.inner.abort)


@attrs.frozen
class Scene:
    """A place with a job, to whose database and sink faults are done."""

    place: Place
    job_id: str
    database: Faults
    sink: Faults

    @property
    def service(self) -> cdds.DownloadService:
        return self.place.service

    def job(self) -> cdds.catalog.JobEntry:
        return self.service.jobs.get(self.place.me, self.job_id)

    def latest_run(self) -> str:
        found = self.job().latest_run
        assert found is not None
        return found

    def artifacts(self) -> list[ArtifactEntry]:
        """Return what can be downloaded, or is missing, of the latest run."""
        return list(self.service.history.artifacts(self.place.me, self.latest_run()))

    def run(self, **options: Any) -> None:
        self.service.jobs.run_now(self.place.me, self.job_id, **options)

    @contextmanager
    def broken(self, faults: Faults, error: type[Exception]) -> Iterator[None]:
        """Let all calls fail while the context is open, and what is done there."""
        faults.cut()
        with pytest.raises(error):
            yield
        faults.end()

    def abandon(self) -> None:
        """Leave a whole set in the sink and a run in progress: the catalog is gone too early."""
        with pytest.raises(CatalogError):
            self.run(progress=lambda _: self.database.cut())
        self.database.end()


@attrs.frozen
class Operation:
    """Something that a service does.

    Attributes:
        do: it; raises an error when not all was done.
        is_done: tells whether it has achieved what it is for.
        prepare: what comes before it; returns the artifacts whose files it took away.
        leases_hold: whether no run has lapsed then.
    """

    do: Callable[[Scene], object]
    is_done: Callable[[Scene], bool]
    prepare: Callable[[Scene], set[str]] = lambda _: set()
    leases_hold: bool = True


def has_finished(scene: Scene) -> bool:
    return scene.job().latest_status == "finished" and len(scene.artifacts()) > 1


def prepare_due(scene: Scene) -> set[str]:
    scene.place.clock.moment += timedelta(hours=1)
    return set()


def do_run_due(scene: Scene) -> None:
    if not scene.service.run_due(limit=1):  # more would try again what the fault has failed
        raise CatalogError("the run failed, and only the log tells it")


def do_cancelled_run(scene: Scene) -> None:
    """Ask a run to stop that does not hear of it before its set is in the sink."""

    def cancel(_: cdds.Progress) -> None:
        scene.service.history.cancel(scene.place.me, scene.latest_run())

    with suppress(Cancelled):
        scene.run(progress=cancel)


def do_delete(scene: Scene) -> None:
    names = [artifact.name for artifact in scene.artifacts()]
    must_be_whole(scene.service.artifacts.delete(scene.place.me, names).failed)


def do_delete_one(scene: Scene) -> None:
    name = scene.artifacts()[0].name
    must_be_whole(scene.service.artifacts.delete(scene.place.me, [name]).failed)


def must_be_whole(failed: tuple[str, ...]) -> None:
    if failed:
        raise SinkError("an artifact was not removed, and the result says so")


def do_delete_run(scene: Scene) -> None:
    scene.service.history.delete(scene.place.me, scene.latest_run())


def is_run_deleted(scene: Scene) -> bool:
    try:
        scene.service.history.get(scene.place.me, scene.latest_run())
    except NotFound:
        return True
    return False


def prepare_failed_run(scene: Scene) -> set[str]:
    """Leave a failed run whose set is still there, for the sink was gone when it was removed."""
    scene.abandon()
    scene.place.clock.moment += 2 * LEASE
    with scene.broken(scene.sink, Exception):
        scene.service.reconcile()
    assert scene.job().latest_status == "failed"
    return set()


def prepare_past(scene: Scene) -> set[str]:
    """Leave a deletion that was broken off, artifacts past their time, and what a run left."""
    scene.sink.cut()
    with suppress(Foreign):  # a SinkError is only told in the log
        do_delete_run(scene)
    scene.sink.end()
    run_again(scene.place, scene.job_id)
    prepare_failed_run(scene)
    scene.place.clock.moment += HISTORY + LEASE
    return set()


def do_sweep(scene: Scene) -> None:
    must_be_whole(scene.service.retention.sweep().failed)


def has_swept(scene: Scene) -> bool:
    return not scene.service.retention.plan().artifacts  # of runs, only the log tells


def prepare_leftovers(scene: Scene) -> set[str]:
    """Leave a dead run, a file that is missing, and one that was missing and is there again."""
    exports = scene.place.files.exports
    back = exports / scene.artifacts()[0].name
    data = back.read_bytes()
    back.unlink()
    assert scene.service.reconcile().missing == (back.name,)
    back.write_bytes(data)
    run_again(scene.place, scene.job_id)
    gone = exports / scene.artifacts()[1].name
    gone.unlink()
    scene.abandon()
    LocalSink(exports).create(f"export-{scene.latest_run()}.z99.smime").write(b"staged")
    scene.place.clock.moment += 2 * LEASE
    return {gone.name}


def has_reconciled(scene: Scene) -> bool:
    found = scene.service.reconcile()
    states = [row["state"] for row in scene.place.rows(ARTIFACTS)]
    return found == Reconciled() and "missing" in states


OPERATIONS = {
    "run": Operation(Scene.run, has_finished),
    "due run": Operation(do_run_due, has_finished, prepare_due),
    "cancelled run": Operation(
        do_cancelled_run, lambda scene: scene.job().latest_status == "cancelled"
    ),
    "deletion": Operation(do_delete, lambda scene: not scene.artifacts()),
    "deletion of one": Operation(do_delete_one, lambda scene: scene.artifacts()[0].part == 2),
    "deletion of a run": Operation(do_delete_run, is_run_deleted),
    "deletion of a failed run": Operation(do_delete_run, is_run_deleted, prepare_failed_run),
    "sweep": Operation(do_sweep, has_swept, prepare_past),
    "reconciliation": Operation(
        lambda scene: scene.service.reconcile(),
        has_reconciled,
        prepare_leftovers,
        leases_hold=False,
    ),
}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits, and no thread of its own calls the database between the counted calls."""
    monkeypatch.setattr(execution, "_PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(heartbeat, "INTERVAL", 60.0)


@pytest.fixture(scope="module")
def inputs(
    tmp_path_factory: pytest.TempPathFactory, rsa_key_and_certificate: tuple[Path, Path]
) -> Files:
    """Return a sample of some 400 kB, which makes two segments."""
    return Files.make(tmp_path_factory.mktemp("inputs"), *rsa_key_and_certificate)


NewScene: TypeAlias = Callable[[str], AbstractContextManager[Scene]]


@pytest.fixture
def new_scene(inputs: Files, tmp_path: Path, new_catalog_url: NewCatalogUrl) -> NewScene:
    """Return a maker of scenes, for a ``with`` block, on a database of some kind."""

    @contextmanager
    def make(kind: str) -> Iterator[Scene]:
        files = attrs.evolve(inputs, exports=tmp_path / "exports")
        sink = Faults()
        with (
            new_catalog_url(kind) as url,
            opened(files, url, sink=FaultySink(LocalSink(files.exports), sink)) as place,
        ):
            database = Faults()
            fail_the_database(place.catalog._engine, database)
            scene = Scene(place, place.add_job(), database, sink)
            run_again(place, scene.job_id)
            yield scene

    return make


def sweep(
    scene: Scene, operation: Operation, faults: Faults, mode: Mode, *errors: type[Exception]
) -> int:
    """Do a fault at the first call, the second, and so on; return how many were touched."""
    for number in itertools.count(1):
        lost = operation.prepare(scene)
        scene.place.catalog._engine.dispose()  # to connect is one of the calls
        faults.begin(number, mode)
        try:
            operation.do(scene)
            error = None
        except errors as raised:
            error = raised
        calls = faults.end()
        if error is None:
            assert operation.is_done(scene)
        check(scene.place, lost=lost, leases_hold=operation.leases_hold)
        tidy(scene.place, lost=lost)
        run_again(scene.place, scene.job_id)
        if calls < number:
            assert error is None
            return number - 1
    raise AssertionError


def cases(is_usual: Callable[..., bool], *values: Iterable[str]) -> list[Any]:
    """Return all combinations; those that are not usual are slow."""
    return [
        pytest.param(*words, marks=() if is_usual(*words) else pytest.mark.slow)
        for words in itertools.product(*values)
    ]


def is_usual_for_databases(kind: str, mode: str, name: str) -> bool:
    return mode == "lost" and (kind == "sqlite" or name in {"run", "deletion of a run"})


def is_usual_for_sinks(mode: str, error: str, _: str) -> bool:
    return (mode, error) in {("lost", "Foreign"), ("gone", "SinkError")}


@pytest.mark.parametrize(
    ("kind", "mode", "name"), cases(is_usual_for_databases, SHARED_KINDS, MODES, OPERATIONS)
)
def test_each_call_to_the_database_fails_once(
    new_scene: NewScene, kind: str, name: str, mode: Mode
) -> None:
    """Whatever is raised is one of this library's errors."""
    with new_scene(kind) as scene:
        count = sweep(scene, OPERATIONS[name], scene.database, mode, CddsError)
    assert count >= 10
    print(f"{count} calls to {kind} failed one by one: {name}, {mode}")


@pytest.mark.parametrize(
    ("mode", "error", "name"), cases(is_usual_for_sinks, MODES, ERRORS, OPERATIONS)
)
def test_each_call_to_the_sink_fails_once(
    new_scene: NewScene, name: str, mode: Mode, error: str
) -> None:
    """What a host's own sink raises passes through, and does no harm on its way."""
    with new_scene("sqlite") as scene:
        scene.sink.make = lambda: ERRORS[error]("a fault of the test")
        count = sweep(scene, OPERATIONS[name], scene.sink, mode, CddsError, Foreign)
    assert count >= 1
    print(f"{count} calls to the sink failed one by one: {name}, {mode}, {error}")


@pytest.mark.parametrize("mode", ["refused", "lost"])
@pytest.mark.parametrize("kind", SHARED_KINDS)
def test_each_call_of_a_sign_of_life_fails_once(
    new_scene: NewScene, kind: str, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on: its lease holds longer than until the next sign."""
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.001)
    with new_scene(kind) as scene:
        scene.database.thread = "cdds-run-"
        for number in range(1, 13):  # there are four or so for each sign
            scene.database.begin(number, mode)

            def wait(_: cdds.Progress, number: int = number) -> None:
                while scene.database.count <= number:
                    time.sleep(0.001)

            scene.run(progress=wait)
            assert scene.database.end() > number
            assert has_finished(scene)
            check(scene.place)
