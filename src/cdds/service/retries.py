"""Says whether a run that failed is tried again, and when.

Place: the ground of the service. It tries nothing itself: the next start of a job is what a retry
is.
"""

from __future__ import annotations

from datetime import timedelta

import attrs

from cdds.catalog import RunEntry

_GROWTH = 4
_LONGEST = timedelta(hours=1)


def is_transient(error: BaseException) -> bool:
    """Return whether an error says that the same run may succeed later.

    Errors of this library and of hosts do so by `is_transient`, and those of Python by their kind.
    """
    said = getattr(error, "is_transient", None)
    return said if isinstance(said, bool) else isinstance(error, ConnectionError | TimeoutError)


@attrs.frozen
class Again:
    """How a run is tried again: after which pause, and how often it has failed by then."""

    pause: timedelta
    failures: int


def after_failure(run: RunEntry, first: timedelta) -> Again | None:
    """Return how a failed run is tried again; None when it was tried enough.

    The pauses grow by four, up to an hour: with a first one of a minute 1, 4, 16 and 60 minutes.
    """
    if run.due is None or run.failures >= run.settings.max_retries:
        return None
    growth: int = _GROWTH**run.failures
    return Again(max(first, min(first * growth, _LONGEST)), run.failures + 1)


def after_stop(run: RunEntry) -> Again:
    """Return how a run is tried again that was stopped: at once, and not for a fault of its own."""
    return Again(timedelta(), run.failures)
