"""The system's clock.

Place: near the ground; given to whoever asks for a `Clock`. Tests and simulations bring their own.
"""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """Tells the system's time."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)
