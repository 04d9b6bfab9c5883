"""Threads that work, as many at once as are wanted, each for one piece of work.

Place: below the dispatcher, which says what is worked at. Threads are daemons: one that a source
keeps waiting for ever does not keep a process from its end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Workers:
    """At most `count` threads, each at a piece of work that holds a key until it lets go of it.

    `on_free` is called on the thread that has worked, once another piece of work can be begun.
    """

    def __init__(self, count: int, on_free: Callable[[], object] = lambda: None) -> None:
        self.count = count
        self._on_free = on_free
        self._changed = threading.Condition()
        self._keys: dict[threading.Thread, str | None] = {}

    def is_one_of_them(self) -> bool:
        """Whether this very thread is one that works."""
        with self._changed:
            return threading.current_thread() in self._keys

    @property
    def free(self) -> int:
        """How many more pieces of work can be begun."""
        with self._changed:
            return self.count - len(self._keys)

    @property
    def held(self) -> frozenset[str]:
        """The keys that are held."""
        with self._changed:
            return frozenset(key for key in self._keys.values() if key is not None)

    def begin(self, key: str, work: Callable[[], object]) -> None:
        """Begin a piece of work, which must not raise.

        Raises:
            RuntimeError: the system has no thread left.
        """
        thread = threading.Thread(target=self._work, args=(work,), name=f"cdds-{key}", daemon=True)
        with self._changed:
            self._keys[thread] = key
        try:
            thread.start()
        except BaseException:
            self._end(thread)
            raise

    def let_go(self) -> None:
        """Let go of the key that this very thread holds, and work on."""
        with self._changed:
            self._keys[threading.current_thread()] = None

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is worked at; tell whether that was so in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._keys, timeout=max(0.0, seconds))

    def _work(self, work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            self._end(threading.current_thread())
            self._on_free()

    def _end(self, thread: threading.Thread) -> None:
        with self._changed:
            self._keys.pop(thread, None)
            self._changed.notify_all()
