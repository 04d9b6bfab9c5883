"""The signs of life of a run: it keeps the lease, writes the progress, and hears of a cancel.

Place: beside a run in progress, on a thread of its own, so that a source or a sink that is slow
does not look like a dead worker. It writes twice a second.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from types import TracebackType

from cdds.catalog import RunEntry, RunProgress
from cdds.model import Progress
from cdds.protocols import CancelToken, ProgressListener
from cdds.service.context import Context
from cdds.service.events import RunProgressed
from cdds.service.reasons import in_words
from cdds.service.repeating import repeating

INTERVAL = 0.5
"""The seconds between two signs of life; less where the lease is short."""

_log = logging.getLogger(__name__)


class Heartbeat:
    """Follows a run while the context is open; the run asks it whether to stop.

    It is a `ProgressListener` and a `CancelToken` for the exporter.
    """

    def __init__(
        self,
        context: Context,
        run: RunEntry,
        listener: ProgressListener | None,
        cancel: CancelToken | None,
    ) -> None:
        self._context = context
        self._run = run
        self._listener = listener
        self._cancel = cancel
        self._latest: Progress | None = None
        self._written: Progress | None = None
        self._told: Progress | None = None
        self._stop = self._lost = False
        self._open = ExitStack()

    def __enter__(self) -> Heartbeat:
        seconds = min(INTERVAL, self._context.lease.total_seconds() / 4)
        self._open.enter_context(repeating(self._beat, seconds, f"cdds-run-{self._run.id}"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    def __call__(self, progress: Progress) -> None:
        """Take note of the progress of the run, and tell of what is in the catalog by now.

        It is told on the thread of the export: whoever listens slows that, and nothing else.
        """
        self._latest = progress
        written = self._written
        if written is not None and written is not self._told:
            self._told = written
            now = self._context.now()
            self._context.tell(RunProgressed(at=now, run=self._run, progress=written))
        if self._listener is not None:
            self._listener(progress)

    def is_set(self) -> bool:
        """Return whether the run should stop."""
        return self._stop or (self._cancel is not None and self._cancel.is_set())

    @property
    def is_lost(self) -> bool:
        """Whether others have given the run up, so that going on is of no use."""
        return self._lost

    @property
    def latest(self) -> Progress | None:
        """How far the run is; None before it has said so."""
        return self._latest

    def _beat(self) -> None:
        try:
            self._sign()
        except Exception as error:  # noqa: BLE001  # the lease may be long enough for another
            _log.warning(
                "run %s: no sign of life could be given: %s", self._run.id, in_words(error)
            )

    def _sign(self) -> None:
        progress = self._latest
        now = self._context.now()
        reached = None if progress is None else RunProgress.of(progress, self._run.started, now)
        with self._context.catalog.write() as transaction:
            lease_until = transaction.now() + self._context.lease
            asked = transaction.runs.renew(self._run.id, reached, lease_until)
        self._lost = self._lost or asked is None
        self._stop = self._stop or asked is not False
        self._written = progress
