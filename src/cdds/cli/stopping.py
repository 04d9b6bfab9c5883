"""Heeds signals: asks the work to stop, and interrupts it only where it does not look.

Place: between the system and a command. It ends nothing itself; what is stopped cleans up and
raises.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from cdds.errors import Cancelled

_GRACE = 0.5
"""How many seconds the work has to notice that it shall stop, each time."""

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_AT_ONCE = 0.001
"""The seconds after which a timer strikes that is late; none would mean that it is off."""


class Stop:
    """A cancel token that signals set.

    An exception raised by a signal may strike anywhere, also between the making of a file and the
    note that it was made. So an export is asked to stop, and does so between two chunks. Only when
    it does not look, since its input or the network keeps it waiting, is it interrupted there.
    Once it is stopping, no further signal disturbs its cleaning up.
    """

    def __init__(self) -> None:
        self._signal = 0
        self._is_seen = False

    @property
    def was_asked(self) -> bool:
        """Whether a signal has come."""
        return self._signal != 0

    @property
    def exit_code(self) -> int:
        """What the process ends with because of the signal."""
        return 128 + (self._signal or signal.SIGINT)

    def is_set(self) -> bool:
        """Return whether the work should stop."""
        was_asked = self.was_asked
        if threading.current_thread() is threading.main_thread():  # no other can be interrupted
            self._is_seen = was_asked
        return was_asked

    def check(self) -> None:
        """Stop here if a signal has come.

        Raises:
            Cancelled: it has.
        """
        if self.is_set():
            raise Cancelled("stopped")

    def between(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield pieces, and stop between two of them if a signal has come.

        Raises:
            Cancelled: it has.
        """
        for piece in pieces:
            self.check()
            yield piece

    def ask(self, number: int, _: object) -> None:
        """Take note of a signal; the handler of those that end a process."""
        if not self._signal:
            self._signal = number
            signal.setitimer(signal.ITIMER_REAL, _GRACE, _GRACE)

    def insist(self, *_: object) -> None:
        """Interrupt work that was asked and has not looked; the handler of the timer."""
        if self.was_asked and not self._is_seen and not self._is_interrupted():
            self._interruption = KeyboardInterrupt()
            raise self._interruption

    def _is_interrupted(self) -> bool:
        """Return whether the work is cleaning up after its interruption."""
        handled = sys.exc_info()[1]
        while handled is not None and handled is not self._interruption:
            handled = handled.__context__
        return handled is not None


def ignore_signals() -> None:
    """Let no signal disturb a process that is ending, up to its end."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Heed signals while the work is done, and put back what heeded them before.

    So is the timer of the process; one that would have struck meanwhile strikes at the end.

    Raises:
        KeyboardInterrupt: the work was stopped; its argument is the exit code.
        Cancelled: the work was cancelled by somebody else.
    """
    stop = Stop()
    with _heeded_by(stop):
        try:
            yield stop
        except Cancelled:
            if not stop.was_asked:
                raise
            raise KeyboardInterrupt(stop.exit_code) from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt(stop.exit_code) from None


@contextmanager
def _heeded_by(stop: Stop) -> Iterator[None]:
    """Let signals reach `stop`, where the system and the thread allow it."""
    is_main = threading.current_thread() is threading.main_thread()
    if not (is_main and hasattr(signal, "setitimer")):
        yield
        return
    # What is ignored stays ignored, as nohup and the shell's background jobs want it.
    heeded = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    with _own_timer():
        previous: dict[int, Any] = {signal.SIGALRM: signal.signal(signal.SIGALRM, stop.insist)}
        previous |= {number: signal.signal(number, stop.ask) for number in heeded}
        signal.setitimer(signal.ITIMER_REAL, _GRACE, _GRACE)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in previous.items():
                signal.signal(number, handler)


@contextmanager
def _own_timer() -> Iterator[None]:
    """Take the timer of the process, and set again at the end what was left of its owner's."""
    left, every = signal.setitimer(signal.ITIMER_REAL, 0)
    began = time.monotonic()
    try:
        yield
    finally:
        if left:  # one that would have struck meanwhile does so now
            left = max(left - (time.monotonic() - began), _AT_ONCE)
            signal.setitimer(signal.ITIMER_REAL, left, every)
