"""Lines that come one by one, gathered as the pipeline takes them, no faster than is allowed.

Place: at the end of this room, between a database's rows and the gate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from cdds.protocols import Lines

_BATCH_SIZE = 1024 * 1024
_LONGEST_PAUSE = 0.25
"""The most seconds of one pause, so that a run that is cancelled is not kept waiting.

Where fewer than four rows a second may pass, it is the time of one row.
"""


class Pace:
    """Lets at most so many rows a second pass.

    Args:
        rows_per_second: how many, 1 or more; None for as many as there are.
        now: tells the time, in seconds.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        rows_per_second: float | None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._rows_per_second = rows_per_second
        self._now = now
        self._sleep = sleep
        self._next = now()

    @property
    def most(self) -> int | None:
        """How many rows may pass before the next pause; None for any number."""
        if self._rows_per_second is None:
            return None
        return max(1, int(self._rows_per_second * _LONGEST_PAUSE))

    def passed(self, rows: int) -> None:
        """Wait until the next rows may pass, now that some have."""
        if self._rows_per_second is None:
            return
        # What was not taken while the pipeline was busy is not made up for.
        self._next = max(self._next, self._now() - _LONGEST_PAUSE) + rows / self._rows_per_second
        if (pause := self._next - self._now()) > 0:
            self._sleep(pause)


def batched(rows: Iterable[bytes], origin: str, pace: Pace) -> Iterator[Lines]:
    """Yield lines of about 1 MiB at a time, numbered from 1."""
    batch = bytearray()  # not a list: a small line of orjson's holds some kilobytes
    count = total = 0
    first = 1
    most = pace.most
    for row in rows:
        batch += row
        count += 1
        if len(batch) >= _BATCH_SIZE or count == most:
            total += len(batch)
            yield Lines(bytes(batch), first, count, origin, total)
            pace.passed(count)
            first += count
            count = 0
            batch.clear()
    if batch:
        yield Lines(bytes(batch), first, count, origin, total + len(batch))
