"""The system's clock.

Place: near the ground; given to whoever asks for a `Clock`. Tests and simulations bring their own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from cdds.errors import JobError

T = TypeVar("T")


class SystemClock:
    """Tells the system's time."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)


def checked_clock(value: T) -> T:
    """Return a host's own clock, which has to tell an aware time.

    Raises:
        JobError: it does not.
    """
    now = getattr(value, "now", None)
    moment = now() if callable(now) else None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise JobError("a clock has a method now() that returns an aware datetime in UTC")
    return value
