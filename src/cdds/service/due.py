"""The runs that are due, for whoever has threads to run them on.

Place: the host's own work over all tenants, on behalf of no user; a scheduler does it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import attrs

from cdds.catalog import RunEntry
from cdds.errors import Cancelled, CatalogError
from cdds.protocols import CancelToken
from cdds.service.context import Context
from cdds.service.endings import end_lapsed
from cdds.service.execution import Execution
from cdds.service.reasons import in_words
from cdds.service.retries import is_transient

Outcome: TypeAlias = Literal["finished", "failed", "not begun", "nothing to do"]

_log = logging.getLogger(__name__)


@attrs.frozen
class Found:
    """What a look for what is due has found.

    Attributes:
        jobs: the ids of jobs that are due, the longest due first.
        at: the moment of the look, by the clock of the database: what starts later is not among
            them.
    """

    jobs: tuple[str, ...]
    at: datetime


@attrs.frozen
class Ran:
    """What became of a job that was due.

    Attributes:
        outcome: whether a run of it finished or failed, or could not be begun; nothing was to be
            done where another worker was at it, or its starts were missed.
        run: the run that finished.
        is_transient: whether one that could not be begun may be so in a moment.
    """

    outcome: Outcome
    run: RunEntry | None = None
    is_transient: bool = False


class Due:
    """Finds the jobs that are due, and runs them."""

    def __init__(self, context: Context, execution: Execution) -> None:
        self._context = context
        self._execution = execution

    def jobs(self, limit: int, without: Collection[str] = ()) -> tuple[str, ...]:
        """Return the ids of jobs that are due, the longest due first; as `look` finds them."""
        return self.look(limit, without).jobs

    def look(self, limit: int, without: Collection[str] = ()) -> Found:
        """Look for jobs that are due.

        Runs whose worker gave no sign of life are ended before, so that their jobs are due again.

        Args:
            limit: the most ids.
            without: jobs that are not wanted.

        Raises:
            CatalogError: the catalog failed.
        """
        with self._context.catalog.read() as transaction:
            now = transaction.now()
            lapsed = transaction.runs.lapsed(now)
            due = transaction.jobs.due(now, limit, without)
        if not lapsed:
            return Found(tuple(due), now)
        try:
            end_lapsed(self._context)
        except CatalogError as error:  # what one tenant's run waits for must not stop all others
            _log.warning("not all runs that gave no sign of life are ended: %s", error)
        with self._context.catalog.read() as transaction:
            now = transaction.now()
            return Found(tuple(transaction.jobs.due(now, limit, without)), now)

    def wait(self, after: datetime) -> timedelta | None:
        """Return the time until the first start after a look; None where there is none.

        One that has come since is none to wait for. Others may add an earlier one meanwhile.

        Args:
            after: the moment of the look, so that no start falls between the two.

        Raises:
            CatalogError: the catalog failed.
        """
        with self._context.catalog.read() as transaction:
            now = transaction.now()
            first = transaction.jobs.first_start(after)
        return None if first is None else max(first - now, timedelta())

    def run(
        self,
        job_id: str,
        stop: CancelToken | None = None,
        begun: Callable[[RunEntry], object] = lambda _: None,
    ) -> Ran:
        """Run a job that is due on this thread; what it fails with is logged.

        Args:
            job_id: the job.
            stop: set by another thread to stop the run, which is then due again at once.
            begun: told of the run once it is claimed; it must not raise.
        """
        try:
            claim = self._execution.claim_due(job_id)
        except Exception as error:  # noqa: BLE001  # one job must not keep others from running
            _log.warning("job %s: its run could not be begun: %s", job_id, in_words(error))
            return Ran("not begun", is_transient=is_transient(error))
        if claim is None:
            return Ran("nothing to do")
        begun(claim.run)
        try:
            return Ran("finished", self._execution.carry_out(claim, stop=stop))
        except Exception as error:  # noqa: BLE001  # as above
            level = logging.INFO if isinstance(error, Cancelled) else logging.WARNING
            # Who is told by events as well knows by its id which run this is.
            which = {"run": claim.run.id}
            _log.log(level, "job %s: its run failed: %s", job_id, in_words(error), extra=which)
            return Ran("failed")
