"""The set of keys: it answers as a set does, in sixteen bytes or so for each key."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdds.records import KeySet

KEYS = st.text(st.characters(), max_size=6) | st.text("ab", max_size=3)


@given(st.lists(st.lists(KEYS, max_size=20), max_size=5), st.lists(KEYS, max_size=20))
@settings(max_examples=150)
def test_membership_is_that_of_a_set(batches: list[list[str]], asked: list[str]) -> None:
    """Any keys: repeated, empty, of any characters, lone surrogates too."""
    keys, reference = KeySet(), set()
    for batch in batches:
        keys.update(batch)
        reference.update(batch)
    for key in [*reference, *asked]:
        assert (key in keys) == (key in reference)


@given(st.lists(st.tuples(KEYS, st.booleans()), max_size=40))
@settings(max_examples=100)
def test_asking_and_adding_may_take_turns(steps: list[tuple[str, bool]]) -> None:
    """What is added after a question is found by the next."""
    keys, reference = KeySet(), set()
    for key, add in steps:
        if add:
            keys.update([key])
            reference.add(key)
        assert (key in keys) == (key in reference)


@pytest.mark.parametrize("key", [None, 1, b"1", 1.0, ("1",), ["1"], {}])
def test_what_is_no_text_is_no_key(key: Any) -> None:
    """Also if it could be taken for one."""
    keys = KeySet()
    keys.update(["1", "None", ""])
    assert key not in keys


def test_keys_that_look_alike_are_different() -> None:
    """Exactly matched: no normalisation, no trimming, no case folding."""
    alike = ["é", "e\u0301", "E\u0301", "a", "A", "a ", " a", "a\x00", "", "\x00", "\ud800", "?"]
    for key in alike:
        keys = KeySet()
        keys.update([key])
        assert [other for other in alike if other in keys] == [key]


COUNT = 300_000


def test_a_key_takes_at_most_24_bytes() -> None:
    """While keys are added and after they have been asked for, everything included."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        keys = KeySet()
        for start in range(0, COUNT, 1000):
            keys.update(f"{number:016}" for number in range(start, start + 1000))
        added = tracemalloc.get_traced_memory()[0] - before
        assert all(f"{number:016}" in keys for number in range(0, COUNT, 97))
        asked = tracemalloc.get_traced_memory()[0] - before
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert f"{COUNT:016}" not in keys
    assert max(added, asked) <= 24 * COUNT
    assert peak <= 24 * COUNT + 1_000_000


def test_keys_that_come_twice_and_late_are_found_in_any_chunk() -> None:
    """Of 80,000 keys each part fills more than a chunk; twice as many shrink again."""
    keys = KeySet()
    for _ in range(2):
        keys.update(f"{number}" for number in range(80_000))
    assert all(f"{number}" in keys for number in range(80_000))
    keys.update(f"{number}" for number in range(100_000, 140_000))
    assert all(f"{number}" in keys for number in [*range(80_000), *range(100_000, 140_000)])
    assert not any(f"{number}" in keys for number in range(80_000, 100_000))


def test_keys_may_be_added_by_many_threads() -> None:
    """The gates of one data file run on all workers."""
    keys = KeySet()

    def add(start: int) -> None:
        for number in range(start, 4000, 4):
            keys.update([str(number)])

    threads = [threading.Thread(target=add, args=[start]) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(str(number) in keys for number in range(4000))


def test_keys_may_be_asked_for_by_many_threads() -> None:
    """So do those of the data file that refers to them, from the first question on."""
    for _ in range(5):
        keys = KeySet()
        keys.update(map(str, range(2000)))
        missed: list[int] = []

        def ask(start: int, keys: KeySet = keys, missed: list[int] = missed) -> None:
            missed.extend(n for n in range(start, 2000, 3) if str(n) not in keys)
            missed.extend(n for n in range(2000, 2100) if str(n) in keys)

        threads = [threading.Thread(target=ask, args=[start]) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert missed == []


def test_digests_of_two_sets_differ() -> None:
    """They are keyed at random, so nobody can prepare two keys that collide."""
    assert KeySet()._digest("a") != KeySet()._digest("a")
