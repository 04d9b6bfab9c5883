"""How far a run is, as it stands in the catalog for everybody to see.

Place: a value of the catalog's entries.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from cdds.model import Progress


@attrs.frozen(kw_only=True)
class RunProgress:
    """How far a run is.

    Attributes:
        records: records exported so far.
        bytes_read: bytes taken from the source so far.
        bytes_total: the size of the source in bytes; None where it is not known.
        bytes_written: bytes of artifacts written so far.
        started: when the run began, in UTC.
        at: when this was so, in UTC.
    """

    records: int
    bytes_read: int
    bytes_total: int | None
    bytes_written: int
    started: datetime
    at: datetime

    @classmethod
    def of(cls, progress: Progress, started: datetime, at: datetime) -> RunProgress:
        """Return what an exporter told at a moment of a run that began at `started`."""
        return cls(
            records=progress.records,
            bytes_read=progress.bytes_read,
            bytes_total=progress.bytes_total,
            bytes_written=progress.bytes_written,
            started=started,
            at=at,
        )

    @property
    def fraction(self) -> float | None:
        """The part that is done, from 0 to 1; None where the size of the source is not known."""
        if not self.bytes_total:
            return None
        return min(1.0, self.bytes_read / self.bytes_total)

    @property
    def time_remaining(self) -> timedelta | None:
        """The time until the end at the average speed so far; None where nothing can be said."""
        done = self.fraction
        if not done:
            return None
        elapsed = max(self.at - self.started, timedelta())
        return elapsed * ((1 - done) / done)
