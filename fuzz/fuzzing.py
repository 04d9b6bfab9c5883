"""Runs libFuzzer on a harness in a process of its own, and reads what it reports."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import attrs

from fuzz.harnesses import SEEDS, harness

SLOWEST = 300
"""The seconds that one input may take on a busy machine; a longer one is a fault."""
MOST_MEMORY = 2048
"""The MiB that a harness may take, with all that the fuzzer remembers."""
LONGEST = 4096
"""The bytes of the longest input, where a harness does not say."""

_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s+(\d+)|^#(\d+)\s", re.MULTILINE)
_EDGES = re.compile(r"\bcov: (\d+)")
_FAULT = re.compile(r"Uncaught Python exception|ERROR: libFuzzer")


@attrs.frozen
class Outcome:
    """What came of fuzzing a harness.

    Attributes:
        executions: how many inputs were tried.
        seconds: how long it took.
        edges: what libFuzzer counts as covered.
        fault: what broke the invariant, with its traceback; empty if nothing did.
    """

    executions: int
    seconds: float
    edges: int
    fault: str


def fuzzed(
    name: str,
    folder: Path,
    seconds: int,
    *,
    extra: Sequence[Path] = (),
    is_planted: bool = False,
) -> Outcome:
    """Fuzz a harness for some seconds, or until its invariant does not hold.

    Args:
        name: of the harness.
        folder: where its corpus, its log and the input that broke it are put.
        seconds: how long.
        extra: folders with more inputs to begin with.
        is_planted: whether the library is to have the bug of this harness meanwhile.
    """
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    words = folder / "words"
    found = harness(name)
    words.write_text("".join(map(_word, found.WORDS)))
    bug = ["--planted"] if is_planted else []
    command = [
        *(sys.executable, "-m", "fuzz.one", name, *bug),
        *map(str, (corpus, SEEDS / name, *extra)),
        f"-max_total_time={seconds}",
        f"-max_len={getattr(found, 'LONGEST', LONGEST)}",
        f"-timeout={SLOWEST}",
        f"-rss_limit_mb={MOST_MEMORY}",
        f"-dict={words}",
        f"-artifact_prefix={folder}/",
        "-keep_seed=1",  # also where shorter ones take the same branches, of which some have few
        "-print_final_stats=1",
    ]
    started = time.monotonic()
    log = folder / "log"
    with log.open("wb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    return _outcome(log.read_text("utf-8", "replace"), time.monotonic() - started, done.returncode)


def _word(word: bytes) -> str:
    """Return a line of a dictionary of libFuzzer."""
    return '"' + "".join(f"\\x{octet:02x}" for octet in word) + '"\n'


def _outcome(log: str, seconds: float, code: int) -> Outcome:
    counted = [int(first or second) for first, second in _EXECUTIONS.findall(log)]
    edges = [int(number) for number in _EDGES.findall(log)]
    found = _FAULT.search(log)
    fault = log[found.start() :] if found else log[-2000:] if code else ""
    return Outcome(max(counted, default=0), seconds, max(edges, default=0), fault)
