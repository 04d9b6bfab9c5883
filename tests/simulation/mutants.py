"""Bugs that the simulation must find: each is one that somebody might make in the scheduler.

A mutant replaces a piece of the library while its context is open, and touches nothing else. Its
name says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from unittest import mock

import attrs
import greenlet
from sqlalchemy import Connection, update
from world import World

from cdds.catalog import ArtifactEntry, Catalog, JobEntry, JobSettings, RunEntry, Transaction
from cdds.catalog.artifacts import Artifacts
from cdds.catalog.engine import reporting
from cdds.catalog.jobs import Jobs
from cdds.catalog.runs import Runs
from cdds.catalog.tables import IN_PROGRESS, JOBS, RUNS
from cdds.model import SinceLastRun, Timeframe
from cdds.schedule import Misfire, Pending, Plan, Start, plan
from cdds.service import claims, endings, execution, reconciliation, removal, retention
from cdds.service import jobs as jobs_page
from cdds.service.claims import Claim, Claims
from cdds.service.context import Context
from cdds.service.retries import Again, after_failure
from cdds.staging import Staging

Mutant: TypeAlias = Callable[[], AbstractContextManager[object]]

MUTANTS: dict[str, Mutant] = {}


def mutant(make: Mutant) -> Mutant:
    """Take a mutant into the list under its name."""
    MUTANTS[make.__name__] = make
    return make


def replaced(target: object, name: str, new: object) -> AbstractContextManager[object]:
    """Put something in the place of an attribute."""
    return mock.patch.object(target, name, new)


def changed_plan(
    change: Callable[[Pending, datetime, Plan], Plan],
) -> AbstractContextManager[object]:
    """Change what is planned."""
    return replaced(claims, "plan", lambda pending, now: change(pending, now, plan(pending, now)))


def changed_end(
    change: Callable[..., object],
) -> AbstractContextManager[object]:
    """Change what the end of a run means for its job."""
    note_end = endings._note_end

    def changed(
        transaction: Transaction,
        job: JobEntry | None,
        run: RunEntry,
        again: Again | None = None,
    ) -> None:
        change(note_end, transaction, job, run, again)

    return replaced(endings, "_note_end", changed)


@contextmanager
def without_unique_keys(*names: str) -> Iterator[None]:
    """Leave out keys of runs by which the database would refuse doubles."""
    dropped = [
        index for index in RUNS.indexes if index.unique and (index.name in names or not names)
    ]
    RUNS.indexes.difference_update(dropped)
    try:
        yield
    finally:
        RUNS.indexes.update(dropped)


# --- claims ---------------------------------------------------------------------------------------


@mutant
@contextmanager
def no_unique_key_and_a_check_before_the_claim() -> Iterator[None]:
    """The plan is made of what was read in an earlier transaction."""
    due, find = Claims.due, Jobs.find
    read_before: dict[greenlet.greenlet, JobEntry | None] = {}

    def read_first(self: Claims, job_id: str) -> Claim | None:
        with self._context.catalog.read() as transaction:
            read_before[greenlet.getcurrent()] = find(transaction.jobs, job_id)
        return due(self, job_id)

    def find_old(self: Jobs, job_id: str, **options: Any) -> JobEntry | None:
        if options.get("skip_locked"):
            return read_before.pop(greenlet.getcurrent())
        return find(self, job_id, **options)

    with (
        without_unique_keys(),
        replaced(Claims, "due", read_first),
        replaced(Jobs, "find", find_old),
    ):
        yield


@mutant
@contextmanager
def the_start_is_not_moved_on_by_a_claim() -> Iterator[None]:
    def change(pending: Pending, _: datetime, made: Plan) -> Plan:
        is_first = made.start is not None and made.start.attempt == 1
        return attrs.evolve(made, next_start=pending.next_start) if is_first else made

    with (
        without_unique_keys(),
        changed_plan(change),
        replaced(claims, "_dealt_with", lambda job, _: job.dealt_with),
    ):
        yield


@mutant
def the_next_start_is_reckoned_from_now() -> AbstractContextManager[object]:
    def change(pending: Pending, now: datetime, made: Plan) -> Plan:
        if made.start is None:
            return made
        return attrs.evolve(made, next_start=pending.recurrence.next_after(now))

    return changed_plan(change)


@mutant
def missed_starts_are_not_recorded() -> AbstractContextManager[object]:
    return changed_plan(lambda _, __, made: attrs.evolve(made, missed=()))


@mutant
def missed_starts_are_miscounted() -> AbstractContextManager[object]:
    def change(_: Pending, __: datetime, made: Plan) -> Plan:
        missed = tuple(attrs.evolve(each, count=max(1, each.count - 1)) for each in made.missed)
        return attrs.evolve(made, missed=missed)

    return changed_plan(change)


def with_misfire(asked: Misfire, taken: Misfire) -> AbstractContextManager[object]:
    """Take one way with missed starts for another."""

    def mistaken(pending: Pending, now: datetime) -> Plan:
        if pending.misfire == asked:
            pending = attrs.evolve(pending, misfire=taken)
        return plan(pending, now)

    return replaced(claims, "plan", mistaken)


@mutant
def one_run_makes_up_for_starts_that_are_each_to_be_run() -> AbstractContextManager[object]:
    return with_misfire("each", "one")


@mutant
def late_starts_are_run_that_nobody_wants() -> AbstractContextManager[object]:
    return with_misfire("none", "each")


@mutant
def the_grace_of_a_job_is_ignored() -> AbstractContextManager[object]:
    return replaced(
        claims, "plan", lambda pending, now: plan(attrs.evolve(pending, grace=timedelta()), now)
    )


@mutant
def missed_starts_have_no_reason() -> AbstractContextManager[object]:
    def change(_: Pending, __: datetime, made: Plan) -> Plan:
        missed = tuple(attrs.evolve(each, reason="") for each in made.missed)
        return attrs.evolve(made, missed=missed)

    return changed_plan(change)


@mutant
def the_first_of_the_missed_is_run_and_the_others_forgotten() -> AbstractContextManager[object]:
    def change(pending: Pending, now: datetime, made: Plan) -> Plan:
        if not made.missed or made.start is None:
            return made
        return Plan(Start(made.missed[0].first), (), made.next_start)

    return changed_plan(change)


@mutant
def a_suspended_job_is_started() -> AbstractContextManager[object]:
    """Its next start is kept when a job is suspended."""
    evolve = attrs.evolve

    def keep(job: Any, **changes: Any) -> Any:
        if changes.get("suspended") is True and "next_start" in changes:
            changes["next_start"] = job.next_start
        return evolve(job, **changes)

    return replaced(jobs_page, "attrs", mock.Mock(wraps=attrs, evolve=keep))


@mutant
def overdue_starts_are_forgotten_as_a_job_is_suspended() -> AbstractContextManager[object]:
    return replaced(jobs_page, "give_up_overdue", lambda _, __, job, ___: (job, []))


@mutant
@contextmanager
def runs_of_a_job_overlap() -> Iterator[None]:
    with (
        without_unique_keys("cdds_runs_in_progress"),
        replaced(JobEntry, "is_full", property(lambda _: False)),
        replaced(Jobs, "due", _due_also_while_running),
    ):
        yield


def _due_also_while_running(
    self: Jobs, now: datetime, limit: int, without: Collection[str] = ()
) -> Sequence[str]:
    query = JOBS.select().where(JOBS.c.next_start <= now).limit(limit)
    found: list[str] = [row.id for row in self._connection.execute(query)]
    return found


@mutant
def a_job_in_progress_can_be_deleted() -> AbstractContextManager[object]:
    return replaced(JobEntry, "is_running", property(lambda _: False))


# --- leases and fencing ---------------------------------------------------------------------------


@mutant
@contextmanager
def no_fencing() -> Iterator[None]:
    """The end of a run is written whatever has become of it."""

    def finish(self: Runs, entry: RunEntry) -> bool:
        values = {"status": entry.status, "finished": entry.finished, "error": entry.error}
        self._connection.execute(update(RUNS).where(RUNS.c.id == entry.id).values(**values))
        return True

    with without_unique_keys(), replaced(Runs, "finish", finish):
        yield


@mutant
def a_lease_without_renewal() -> AbstractContextManager[object]:
    def renew(self: Runs, run_id: str, *_: object) -> bool | None:
        query = RUNS.select().where(RUNS.c.id == run_id, IN_PROGRESS)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else bool(row.cancel_requested)

    return replaced(Runs, "renew", renew)


@mutant
def leases_by_the_clock_of_the_worker() -> AbstractContextManager[object]:
    def now(self: Transaction) -> datetime:
        clock: Any = self._clock
        world: World = clock.world
        if world.current is None:
            return world.now
        return world.process.stopped_clock or world.now + world.process.skew

    return replaced(Transaction, "now", now)


@mutant
def every_run_in_progress_is_given_up() -> AbstractContextManager[object]:
    lapsed, is_lapsed = Runs.lapsed, Runs.is_lapsed
    later = timedelta(days=1)
    stack = ExitStack()
    stack.enter_context(replaced(Runs, "lapsed", lambda self, now: lapsed(self, now + later)))
    stack.enter_context(
        replaced(Runs, "is_lapsed", lambda self, run_id, now: is_lapsed(self, run_id, now + later))
    )
    return stack


@mutant
def no_run_is_given_up() -> AbstractContextManager[object]:
    return replaced(Runs, "lapsed", lambda *_: [])


@mutant
@contextmanager
def two_workers_end_one_lapsed_run() -> Iterator[None]:
    """Whether it is lapsed is asked before, and the statement does not ask whether it goes on."""
    with no_fencing(), replaced(Runs, "is_lapsed", lambda *_: True):
        yield


# --- the end of runs ------------------------------------------------------------------------------


@mutant
def no_rollback() -> AbstractContextManager[object]:
    """What a transaction has written stays, also when it ends by an error."""

    @contextmanager
    def begin(self: Any, *, writes: bool) -> Iterator[Connection]:
        with self._turn, reporting(self._engine), self._engine.connect() as connection:
            connection.execution_options(cdds_writes=writes)
            transaction = connection.begin()
            try:
                yield connection
            finally:
                transaction.commit()

    return replaced(Catalog, "_begin", begin)


@mutant
@contextmanager
def artifacts_in_a_transaction_of_their_own() -> Iterator[None]:
    """They are added after the run is finished, so that a crash may come between."""
    finish = endings.finish_run

    def without(
        transaction: Transaction, run: RunEntry, artifacts: Sequence[ArtifactEntry]
    ) -> RunEntry:
        return finish(transaction, run, ())

    def told(self: Any, run: RunEntry, artifacts: Sequence[ArtifactEntry]) -> RunEntry:
        with self._context.catalog.write() as transaction:
            transaction.artifacts.add(artifacts)
        return run

    with replaced(execution, "finish_run", without), replaced(execution.Execution, "_told", told):
        yield


@mutant
@contextmanager
def a_run_finishes_before_its_artifacts_are_there() -> Iterator[None]:
    commit = Staging.commit

    def forget(self: Staging, digests: str, artifacts: Any, sign: Any = None) -> None:
        if len(artifacts) > 1:  # the commit mark is made without all of what it names
            upload = self._staged.pop(0)
            upload.abort()
        commit(self, digests, artifacts, sign)

    with replaced(Staging, "commit", forget):
        yield


@mutant
def a_cancel_that_comes_late_is_ignored() -> AbstractContextManager[object]:
    find = Runs.find

    def blind(self: Runs, run_id: str, **options: Any) -> RunEntry | None:
        run = find(self, run_id, **options)
        return None if run is None else attrs.evolve(run, cancel_requested=False)

    return replaced(Runs, "find", blind)


# --- retries --------------------------------------------------------------------------------------


@mutant
@contextmanager
def a_finished_run_is_tried_again() -> Iterator[None]:
    def change(note_end: Any, transaction: Any, job: Any, run: RunEntry, again: Any) -> None:
        if run.status == "finished" and run.due is not None:
            again = Again(timedelta(minutes=1), 0)
        note_end(transaction, job, run, again)

    with without_unique_keys("cdds_runs_dealt_with"), changed_end(change):
        yield


@mutant
def a_failed_run_is_tried_for_ever() -> AbstractContextManager[object]:
    return replaced(
        execution, "after_failure", lambda run, first: Again(first, 0) if run.due else None
    )


@mutant
def a_failed_run_is_never_tried_again() -> AbstractContextManager[object]:
    return replaced(execution, "is_transient", lambda _: False)


@mutant
def a_lapsed_run_is_never_tried_again() -> AbstractContextManager[object]:
    return replaced(endings, "after_failure", lambda *_: None)


@mutant
def a_stopped_run_is_never_run_again() -> AbstractContextManager[object]:
    return replaced(execution, "after_stop", lambda _: None)


@mutant
def a_stop_counts_as_a_failure() -> AbstractContextManager[object]:
    def count(run: RunEntry) -> Again | None:
        return after_failure(run, timedelta(minutes=1))

    return replaced(execution, "after_stop", count)


@mutant
def a_stop_is_taken_for_a_cancel() -> AbstractContextManager[object]:
    outcome = execution.Execution._outcome

    def blind(self: Any, run: RunEntry, error: BaseException, _: object) -> Any:
        return outcome(self, run, error, None)

    return replaced(execution.Execution, "_outcome", blind)


@mutant
def a_retry_forgets_the_starts_after_it() -> AbstractContextManager[object]:
    def change(pending: Pending, now: datetime, made: Plan) -> Plan:
        if made.start is None or made.start.attempt == 1:
            return made
        return attrs.evolve(made, next_start=pending.recurrence.next_after(now))

    return changed_plan(change)


# --- windows --------------------------------------------------------------------------------------


@mutant
def closed_windows() -> AbstractContextManager[object]:
    """A window begins with the moment that ended the one before, less the smallest span."""
    window = SinceLastRun.window

    def closed(self: SinceLastRun, watermark: datetime | None, moment: datetime) -> Timeframe:
        if watermark is not None:
            watermark -= timedelta(microseconds=1)
        return window(self, watermark, moment)

    return replaced(SinceLastRun, "window", closed)


@mutant
def an_export_takes_all_data_whatever_its_window() -> AbstractContextManager[object]:
    return replaced(JobSettings, "_span", lambda *_: Timeframe())


@mutant
def windows_from_the_last_start() -> AbstractContextManager[object]:
    """A window begins where the run before began, and not where its window ended."""
    window = SinceLastRun.window

    def late(self: SinceLastRun, watermark: datetime | None, moment: datetime) -> Timeframe:
        if watermark is not None:
            watermark += self.lag
        return window(self, watermark, moment)

    return replaced(SinceLastRun, "window", late)


@mutant
@contextmanager
def the_watermark_moves_with_the_claim() -> Iterator[None]:
    begin = Claims._begin

    def early(self: Claims, transaction: Any, job: Any, run: RunEntry, actor: str = "") -> None:
        if run.window is not None:
            job = attrs.evolve(job, watermark=run.window.end)
        begin(self, transaction, job, run, actor)

    with replaced(Claims, "_begin", early):
        yield


@mutant
def the_watermark_moves_with_a_failure() -> AbstractContextManager[object]:
    moves = endings._moves_watermark

    def change(note_end: Any, transaction: Any, job: Any, run: RunEntry, again: Any) -> None:
        if job is not None and run.window is not None and moves(job, run):
            job = attrs.evolve(job, watermark=run.window.end)
        note_end(transaction, job, run, again)

    return changed_end(change)


@mutant
def the_watermark_of_a_job_that_was_edited_moves() -> AbstractContextManager[object]:
    return replaced(endings, "_moves_watermark", lambda _, run: run.window is not None)


@mutant
def an_edit_keeps_the_watermark() -> AbstractContextManager[object]:
    return replaced(JobSettings, "is_series_of", lambda *_: True)


# --- the host's own work --------------------------------------------------------------------------


@mutant
def reconciling_removes_what_a_live_run_writes() -> AbstractContextManager[object]:
    return replaced(RunEntry, "is_in_progress", property(lambda _: False))


@mutant
def the_sweep_removes_what_has_not_expired() -> AbstractContextManager[object]:
    removing = Artifacts.removing

    def all_of_them(self: Artifacts, limit: int, after: str = "") -> Sequence[ArtifactEntry]:
        some = removing(self, limit, after)
        return some or [each for each in self.block(after, limit) if each.state == "stored"]

    return replaced(Artifacts, "removing", all_of_them)


@mutant
def the_rows_of_artifacts_go_before_their_files() -> AbstractContextManager[object]:
    def forget_first(context: Context, run_id: str, artifacts: Any) -> Any:
        removal._forget(context, run_id, artifacts, "", "")
        return ()

    return replaced(removal, "_remove_files", forget_first)


@mutant
def nothing_is_ever_reconciled() -> AbstractContextManager[object]:
    return replaced(reconciliation.Reconciliation, "_sorted", lambda *_: ([], [], 0))


@mutant
def nothing_is_ever_swept() -> AbstractContextManager[object]:
    return replaced(retention.Retention, "_due", lambda _: iter(()))
