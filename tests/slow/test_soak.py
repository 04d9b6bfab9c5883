"""A process that exports a thousand times stays as it was after the first few."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest

import cdds
from cdds import sample

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]

RUNS = 1000
SETTLED = 100


def resident() -> int:
    """Return the memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_thousand_exports_leave_memory_descriptors_and_threads_as_they_were(
    tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    """Of all kinds: whole and split, those that succeed and those that are refused."""
    source = tmp_path / "interactions.jsonl"
    with source.open("wb") as file:
        sample.write_lines(sample.interactions(100, seed=1), file)
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(source.read_bytes() + b"{\n")
    figures = []
    for number in range(RUNS):
        try:
            cdds.export(
                cdds.sources.JsonLines(interaction=broken if number % 5 == 4 else source),
                dataset="Interaction",
                to=tmp_path / "exports",
                recipients=rsa_key_and_certificate[1],
                split_size="64 KiB" if number % 2 else None,
            )
        except cdds.errors.RecordError:
            assert number % 5 == 4
        shutil.rmtree(tmp_path / "exports", ignore_errors=True)
        if number % SETTLED == SETTLED - 1:
            gc.collect()
            descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
            figures.append((resident(), descriptors, threading.active_count()))
            print(f"{number + 1} exports: {figures[-1]}")
    settled, last = figures[0], figures[-1]
    assert last[1:] == settled[1:]
    assert last[0] - settled[0] < 5_000_000
