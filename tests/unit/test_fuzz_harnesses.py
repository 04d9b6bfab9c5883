"""The harnesses of the fuzzer hold on their seeds, and on what is left when a seed is damaged.

The fuzzer itself is run by `nox -s fuzz`; here it is not needed.
"""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.harnesses import NAMES, SEEDS, harness, seeds
from fuzz.planted import BUGS, seeds_hold

NEEDED = {"ber": "asn1crypto"}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    if chosen in NEEDED:
        pytest.importorskip(NEEDED[chosen])
    return chosen


def test_every_folder_of_seeds_has_its_harness_and_every_harness_seeds() -> None:
    assert {path.name for path in SEEDS.iterdir()} == {*NAMES, "keys"}
    assert all(map(seeds, NAMES))


def test_every_harness_says_what_it_tests_and_what_it_reads_with(name: str) -> None:
    found = harness(name)
    assert found.__doc__
    assert found.READS
    assert all(map(importlib.util.find_spec, found.READS))


def test_an_invariant_holds_on_its_seeds(name: str) -> None:
    for path in seeds(name):
        harness(name).check(path.read_bytes())


def test_the_bug_that_is_planted_is_for_the_fuzzer_to_find(name: str) -> None:
    """No seed shows it; so whoever renames what it stands for sees it here."""
    assert seeds_hold(name)


def test_a_bug_is_planted_for_every_harness() -> None:
    assert set(BUGS) == set(NAMES)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_an_invariant_holds_on_damaged_seeds(data: st.DataObject) -> None:
    """A few at random: whoever changes a parser need not wait for the fuzzer to see it fall."""
    name = data.draw(st.sampled_from([one for one in NAMES if one not in NEEDED]))
    seed = data.draw(st.sampled_from(seeds(name))).read_bytes()
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, len(seed)))
    put_in = data.draw(st.binary(max_size=4))
    harness(name).check(seed[:start] + put_in + seed[end:])
