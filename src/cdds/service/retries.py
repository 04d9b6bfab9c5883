"""Says whether a run that failed is tried again, and when.

Place: the ground of the service. It tries nothing itself: the next start of a job is what a retry
is.
"""

from __future__ import annotations

from datetime import timedelta

from cdds.catalog import RunEntry

_GROWTH = 4
_LONGEST = timedelta(hours=1)


def is_transient(error: BaseException) -> bool:
    """Return whether an error says that the same run may succeed later.

    Errors of this library and of hosts do so by `is_transient`, and those of Python by their kind.
    """
    said = getattr(error, "is_transient", None)
    return said if isinstance(said, bool) else isinstance(error, ConnectionError | TimeoutError)


def pause_after(run: RunEntry, first: timedelta) -> timedelta | None:
    """Return how long to wait before a failed run is tried again; None when it was tried enough.

    The pauses grow by four, up to an hour: with a first one of a minute 1, 4, 16 and 60 minutes.
    """
    if run.due is None or run.attempt > run.settings.max_retries:
        return None
    growth: int = _GROWTH ** (run.attempt - 1)
    return max(first, min(first * growth, _LONGEST))
