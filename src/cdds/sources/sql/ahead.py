"""Reads the next rows while those before are worked at.

Place: between a database with a server of its own and what makes lines of its rows, which would
else wait for one another by turns. It holds one thing more than is worked at, and never lets go of
a database that is still being asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from queue import SimpleQueue
from typing import Generic, TypeAlias, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class _Found(Generic[T]):
    value: T


_Outcome: TypeAlias = "_Found[T] | BaseException | None"
"""What was read, why nothing more can be, or that there is nothing more."""


def read_ahead(
    items: Generator[T], *, is_large: Callable[[T], bool], interrupt: Callable[[], object]
) -> Generator[T]:
    """Yield what a generator yields that works on a thread of its own, one ahead.

    Closing it lets the generator come to its next `yield`, and closes it there, on its thread.

    Args:
        items: what reads.
        is_large: tells what is so large that nothing is read while it is worked at.
        interrupt: makes the generator fail soon, for this thread is interrupted.

    Raises:
        BaseException: what the generator raised.
    """
    found: SimpleQueue[_Outcome[T]] = SimpleQueue()
    wanted: SimpleQueue[bool] = SimpleQueue()
    reader = threading.Thread(
        target=_read, args=(items, found, wanted), name="cdds-read-ahead", daemon=True
    )
    reader.start()
    wanted.put(True)
    try:
        while isinstance(outcome := found.get(), _Found):
            large = is_large(outcome.value)
            if not large:
                wanted.put(True)
            yield outcome.value
            del outcome  # before the next is waited for
            if large:
                wanted.put(True)
    except GeneratorExit:
        raise
    except BaseException:
        interrupt()
        raise
    finally:
        wanted.put(False)
        _join(reader, interrupt)
    if outcome is not None:
        raise outcome


def _read(items: Generator[T], found: SimpleQueue[_Outcome[T]], wanted: SimpleQueue[bool]) -> None:
    end: BaseException | None = None
    try:
        with closing(items):
            while wanted.get():
                found.put(_Found(next(items)))
    except StopIteration:
        pass
    except BaseException as error:  # noqa: BLE001  # raised again where one waits for it
        end = error
    found.put(end)


def _join(reader: threading.Thread, interrupt: Callable[[], object]) -> None:
    try:
        reader.join()
    except BaseException:
        interrupt()
        reader.join()
        raise
