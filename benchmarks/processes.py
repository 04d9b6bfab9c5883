"""What a process and all its descendants take: time, processors, memory. Linux only.

Memory is the resident set (RSS), summed over the tree every 20 ms. Pages that processes share,
such as those of libraries, count once for each process, so the sum errs on the high side; a peak
that lasts less than 20 ms can be missed. For each single process the kernel keeps the exact peak
(VmHWM), and the largest of these counts where it is higher: for a tree of one process the figure
is the kernel's own.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

_SAMPLE_SECONDS = 0.02
_PROC = Path("/proc")


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds on the clock, of processors in user and system mode; bytes."""

    wall: float
    user: float
    system: float
    peak: int

    @property
    def cpu(self) -> float:
        """The seconds of all processors together."""
        return self.user + self.system


def measure(
    command: Sequence[str | Path],
    cwd: Path | None = None,
    stdout: IO[Any] | int = subprocess.DEVNULL,
) -> Cost:
    """Run a command to its end, and return what it took.

    Args:
        command: its words.
        cwd: the folder that it works in.
        stdout: where its standard output goes; thrown away when left out.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=stdout)
    with MemorySampler(process.pid) as memory:
        _, status, usage = os.wait4(process.pid, 0)  # with all descendants that were waited for
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(map(str, command)))
    return Cost(wall, usage.ru_utime, usage.ru_stime, memory.peak)


class MemorySampler:
    """Samples the memory of a process tree on a thread of its own, for a ``with`` block.

    Attributes:
        now: the bytes at the last sample.
        peak: the most bytes so far.
    """

    def __init__(self, root: int) -> None:
        self.now = self.peak = 0
        self._tree = {root}
        self._seen: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._find_children()
            sizes = [_resident_and_peak(pid) for pid in self._tree]
            self.now = sum(resident for resident, _ in sizes)
            self.peak = max(self.peak, self.now, *(peak for _, peak in sizes))
            self._stop.wait(_SAMPLE_SECONDS)

    def _find_children(self) -> None:
        """Look at the processes that were not there the last time: most samples find none."""
        present = {int(name) for name in os.listdir(_PROC) if name.isdecimal()}  # noqa: PTH208
        new = present - self._seen
        self._seen = present
        parents = {pid: _parent(pid) for pid in sorted(new)}
        while found := {pid for pid, parent in parents.items() if parent in self._tree}:
            self._tree |= found
            parents = {pid: parent for pid, parent in parents.items() if pid not in found}


def _parent(pid: int) -> int | None:
    try:
        return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _resident_and_peak(pid: int) -> tuple[int, int]:
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return 0, 0
    return _kilobytes(status, "VmRSS:"), _kilobytes(status, "VmHWM:")


def _kilobytes(status: str, label: str) -> int:
    """Return one figure of a status file in bytes; 0 for a process that has ended."""
    _, found, rest = status.partition(label)
    return int(rest.split(maxsplit=1)[0]) * 1024 if found else 0
