"""Every system call of an export fails once, and the process is killed at every one.

strace makes the Nth call of a kind fail, for N = 1, 2, 3 and so on, until a run goes through
untouched. After each run the folder holds a complete set with its commit mark, or nothing that
any reader would show; and the export can be run again.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest
from one_export import export

from cdds import sample
from cdds.sinks.local import STAGED_PREFIX

Judge: TypeAlias = Callable[[str], str]

CHILD = Path(__file__).with_name("one_export.py")
CALLS = {
    "write": "write,pwrite64,writev:error=ENOSPC",
    "open": "open,openat,openat2,creat:error=EMFILE",
    "read": "read,pread64,readv:error=EIO",
    "fsync": "fsync,fdatasync:error=EIO",
    "link": "link,linkat:error=EIO",
    "unlink": "unlink,unlinkat,rmdir:error=EIO",
    "mkdir": "mkdir,mkdirat:error=EACCES",
    "close": "close:error=EIO",
}
NO_LINKS = ("-e", "inject=link,linkat:error=EPERM")
"""The file system has no hard links: names are reserved and replaced instead."""


@attrs.frozen
class Inputs:
    """What is exported, for whom."""

    source: Path
    certificate: Path
    key: Path


@attrs.frozen
class Outcome:
    """What became of a run: its exit code, and what strace saw."""

    code: int
    log: str = attrs.field(repr=False)

    def is_touched(self, names: str) -> bool:
        """Tell whether a fault was done to a call of these names."""
        return bool(re.search(rf"{_any_of(names)}.*\(INJECTED\)$", self.log, re.MULTILINE))

    def calls(self, names: str) -> int:
        """Return the most calls of one of these names by one thread, as strace counts them."""
        found = re.findall(_any_of(names), self.log, re.MULTILINE)
        return max(Counter(found).values(), default=0)


def _any_of(names: str) -> str:
    return rf"^(\d+ +(?:{names.replace(',', '|')}))\("


@pytest.fixture(scope="module")
def inputs(
    tmp_path_factory: pytest.TempPathFactory, rsa_key_and_certificate: tuple[Path, Path]
) -> Inputs:
    """Return a sample of some 300 kB, which makes several segments."""
    key, certificate = rsa_key_and_certificate
    source = tmp_path_factory.mktemp("inputs") / "interactions.jsonl"
    with source.open("wb") as file:
        sample.write_lines(sample.interactions(60, seed=8), file)
    return Inputs(source, certificate, key)


def run(strace: str, inputs: Inputs, folder: Path, log: Path, *faults: str) -> Outcome:
    """Export in a process of its own, to which strace does the faults."""
    words = (inputs.source, inputs.certificate, inputs.key, folder)
    names = ",".join(fault.partition("=")[2].partition(":")[0] for fault in faults[1::2])
    with subprocess.Popen(
        [sys.executable, CHILD, *words], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        tracer = subprocess.Popen(
            [strace, "-f", "-o", log, "-p", str(child.pid), "-e", f"trace={names}", *faults],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        child.send_signal(signal.SIGUSR1)
        code = child.wait()
        tracer.communicate()
    return Outcome(code, log.read_text())


def check(folder: Path, *, may_leave: bool) -> bool:
    """Check that a folder holds complete sets, and nothing else; return whether there is one.

    Where the process was killed, or was not let remove a file, files may be left that no reader
    shows: staged ones, and artifacts without a commit mark.
    """
    marks = [mark for mark in folder.glob("*.sha256") if mark.stat().st_size]  # empty: reserved
    complete = {name for mark in marks for name in check_set(mark)}
    left = {path.name for path in folder.glob("*")} - complete if folder.exists() else set()
    assert may_leave or not left
    assert all(name.startswith((STAGED_PREFIX, "export-")) for name in left)
    return bool(marks)


def check_set(mark: Path) -> set[str]:
    """Check the files that a commit mark names; return the names of all files of the set."""
    names = {mark.name, f"{mark.name}.p7s"}
    assert (mark.parent / f"{mark.name}.p7s").stat().st_size > 0
    for line in mark.read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((mark.parent / name).read_bytes()).hexdigest() == digest
        names.add(name)
    assert len(names) > 4
    return names


def sweep(
    strace: str, inputs: Inputs, home: Path, fault: str, *others: str, may_leave: bool
) -> list[Outcome]:
    """Do a fault at the first call, the second, and so on, until a run is untouched by it."""
    names = fault.partition(":")[0]
    outcomes: list[Outcome] = []
    for number in itertools.count(1):
        folder = home / str(number)
        faults = ("-e", f"inject={fault}:when={number}", *others)
        outcome = run(strace, inputs, folder, home / "log", *faults)
        outcomes.append(outcome)
        is_there = check(folder, may_leave=may_leave)
        assert is_there or outcome.code != 0
        assert may_leave or not is_there or outcome.code == 0
        if outcome.code >= 0 and not outcome.is_touched(names):
            break
        assert outcome.code != 4
        export(*map(str, (inputs.source, inputs.certificate, inputs.key, folder)))
        assert check(folder, may_leave=may_leave)
    # Nothing was left out: as many runs were touched as the last one made calls.
    assert len(outcomes) - 1 >= outcomes[-1].calls(names) > 0
    print(f"{len(outcomes) - 1} calls failed one by one: {fault}")
    return outcomes


@pytest.mark.parametrize("kind", CALLS)
def test_each_call_fails_once(judge: Judge, inputs: Inputs, tmp_path: Path, kind: str) -> None:
    """A run that fails says so and leaves nothing; what it was not let remove no reader shows."""
    may_leave = kind == "unlink"
    outcomes = sweep(judge("strace"), inputs, tmp_path, CALLS[kind], may_leave=may_leave)
    assert {outcome.code for outcome in outcomes} <= {0, 3}


@pytest.mark.parametrize("kind", CALLS)
def test_the_process_is_killed_at_each_call(
    judge: Judge, inputs: Inputs, tmp_path: Path, kind: str
) -> None:
    """Nothing can be tidied up then; what remains is no set, or a complete one."""
    fault = CALLS[kind].partition(":")[0] + ":signal=KILL"
    outcomes = sweep(judge("strace"), inputs, tmp_path, fault, may_leave=True)
    assert {outcome.code for outcome in outcomes[:-1]} == {-signal.SIGKILL}


@pytest.mark.parametrize("late", [7, 8, 9], ids=["staged", "made final", "marked"])
@pytest.mark.parametrize("kind", ["unlink", "close"])
def test_tidying_up_fails_too(
    judge: Judge, inputs: Inputs, tmp_path: Path, kind: str, late: int
) -> None:
    """The export fails late, and each call with which it takes back what it made fails once.

    Where the commit mark cannot be taken back, the set must stay whole.
    """
    first = ("-e", f"inject=fsync,fdatasync:error=EIO:when={late}")
    outcomes = sweep(judge("strace"), inputs, tmp_path, CALLS[kind], *first, may_leave=True)
    assert {outcome.code for outcome in outcomes} == {3}


@pytest.mark.parametrize("kind", ["open", "rename"])
def test_without_hard_links_each_call_fails_once(
    judge: Judge, inputs: Inputs, tmp_path: Path, kind: str
) -> None:
    """The same where a file system has none, and where names are therefore reserved."""
    fault = CALLS.get(kind, "rename,renameat,renameat2:error=EIO")
    may_leave = kind == "unlink"
    sweep(judge("strace"), inputs, tmp_path, fault, *NO_LINKS, may_leave=may_leave)


@pytest.mark.parametrize("kind", ["open", "rename"])
def test_without_hard_links_the_process_is_killed_at_each_call(
    judge: Judge, inputs: Inputs, tmp_path: Path, kind: str
) -> None:
    """An empty file may be left under any name; an empty mark is none."""
    names = CALLS.get(kind, "rename,renameat,renameat2:").partition(":")[0]
    sweep(judge("strace"), inputs, tmp_path, f"{names}:signal=KILL", *NO_LINKS, may_leave=True)
