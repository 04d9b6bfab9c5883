"""Ctrl-C, as it strikes a thread that waits."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_PAUSE = 0.01
_PATIENCE = 60.0


@contextmanager
def interrupted(when: Callable[[], bool]) -> Iterator[None]:
    """Interrupt the main thread once, when something is so; it is asked on another thread.

    If it is not so in a minute it is interrupted all the same, so that no test waits for ever.
    """
    struck, is_over = threading.Event(), threading.Event()

    def strike(*_: object) -> None:
        if not struck.is_set():
            struck.set()
            raise KeyboardInterrupt

    def send() -> None:
        with suppress(AssertionError):
            wait_until(lambda: is_over.is_set() or when())
        while not struck.is_set() and not is_over.wait(_PAUSE):  # one may come before it waits
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    before = signal.signal(signal.SIGINT, strike)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        is_over.set()
        sender.join()
        signal.signal(signal.SIGINT, before)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something is so, which is the end of a test where it takes too long.

    Raises:
        AssertionError: it is not so after a minute.
    """
    pause = threading.Event()
    for _ in range(round(_PATIENCE / _PAUSE)):
        if condition():
            return
        pause.wait(_PAUSE)
    raise AssertionError("it takes too long")
