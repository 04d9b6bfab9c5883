"""Reading ahead: what is yielded, on which thread, how far ahead, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interrupts import interrupted

from cdds.sources.sql.ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PATIENCE = 60


class Reading:
    """A generator that tells what became of it, and can be told to stand still."""

    def __init__(self, numbers: Iterable[int], error: BaseException | None = None) -> None:
        self.numbers = numbers
        self.error = error
        self.begun: list[int] = []
        self.threads: set[int] = set()
        self.is_closed = False
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.has_begun = threading.Semaphore(0)

    def items(self) -> Generator[int]:
        try:
            for number in self.numbers:
                self.threads.add(threading.get_ident())
                self.begun.append(number)
                self.has_begun.release()
                assert self.goes_on.wait(PATIENCE)
                yield number
            if self.error is not None:
                raise self.error
        finally:
            self.threads.add(threading.get_ident())
            self.is_closed = True

    def ahead(
        self,
        is_large: Callable[[int], bool] = lambda _: False,
        interrupt: Callable[[], object] = lambda: None,
    ) -> Generator[int]:
        return read_ahead(self.items(), is_large=is_large, interrupt=interrupt)

    def wait_until_begun(self, count: int) -> None:
        for _ in range(count):
            assert self.has_begun.acquire(timeout=PATIENCE)


@given(st.lists(st.integers()), st.integers())
def test_all_is_yielded_in_order_whatever_is_large(numbers: list[int], border: int) -> None:
    reading = Reading(numbers)
    assert list(reading.ahead(is_large=lambda number: number > border)) == numbers
    assert reading.is_closed
    assert threading.get_ident() not in reading.threads


@given(st.lists(st.integers()))
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_what_is_raised_comes_after_what_was_read(error: BaseException, numbers: list[int]) -> None:
    found: list[int] = []
    with pytest.raises(type(error)) as caught:
        found.extend(Reading(numbers, error).ahead())
    assert caught.value is error
    assert found == numbers


def test_the_next_is_read_while_one_is_worked_at_and_not_the_one_after_it() -> None:
    reading = Reading(range(10))
    with closing(reading.ahead()) as items:
        assert next(items) == 0
        reading.wait_until_begun(2)
        assert next(items) == 1
        reading.wait_until_begun(1)
        assert reading.begun == [0, 1, 2]
    assert reading.begun == [0, 1, 2]


def test_nothing_is_read_while_something_large_is_worked_at() -> None:
    reading = Reading(range(10))
    for number in reading.ahead(is_large=lambda _: True):
        assert reading.begun == list(range(number + 1))


def test_closing_waits_for_what_is_being_read_and_interrupts_nothing() -> None:
    reading, interrupted = Reading(range(10)), threading.Event()
    items = reading.ahead(interrupt=interrupted.set)
    assert next(items) == 0
    items.close()
    assert reading.is_closed
    assert not interrupted.is_set()
    assert threading.get_ident() not in reading.threads


def test_an_interrupt_while_waiting_makes_the_reading_fail() -> None:
    reading = Reading([1, 2])
    reading.goes_on.clear()
    items = reading.ahead(interrupt=reading.goes_on.set)
    with pytest.raises(KeyboardInterrupt), interrupted(when=lambda: reading.begun == [1]):
        next(items)
    assert reading.is_closed


def test_one_that_is_closed_before_it_began_reads_nothing() -> None:
    reading = Reading([1])
    reading.ahead().close()
    assert reading.begun == []
