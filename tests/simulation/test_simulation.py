"""Histories of a scheduler that a seed decides: every promise holds in each, at every step.

And the simulation itself is tested: it finds each of many bugs that somebody might make.
"""

from __future__ import annotations

import pytest
from mutants import MUTANTS
from observer import Violation
from simulation import Scale, simulate

SHORT = Scale(days=0.5, jobs=15)
RESTLESS = Scale(days=0.5, jobs=15, edits_a_day=1600)
"""A world whose users change their jobs so often that they do while these run."""

SEEDS_FOR_A_MUTANT = 30


@pytest.mark.parametrize("seed", range(8))
def test_every_promise_is_kept_at_every_step(seed: int) -> None:
    report = simulate(seed)
    # What was to be shown has come to pass: runs, windows, and trouble of all kinds.
    wanted = ("runs finished", "runs failed", "runs stopped", "retries", "windows", "starts missed")
    for what in wanted:
        assert report.counts[what] > 0, what
    assert report.counts["runs begun"] == sum(
        report.counts.get(f"runs {end}", 0) for end in ("finished", "failed", "cancelled")
    )


def test_a_seed_decides_everything() -> None:
    first, again, other = (simulate(seed, SHORT) for seed in (1, 1, 2))
    assert first == again
    assert first.counts != other.counts


@pytest.mark.parametrize("name", MUTANTS)
def test_each_bug_is_found(name: str) -> None:
    with pytest.raises(Violation, match="seed"), MUTANTS[name]():
        for seed in range(SEEDS_FOR_A_MUTANT):
            simulate(seed, SHORT)
            simulate(seed, RESTLESS)
