"""Memory stays flat: the peak of the whole process tree, as the memory benchmark measures it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "memory.py"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("form", [(), ("--split-size", "10MB")], ids=["whole", "split"])
def test_100_megabytes_are_exported_in_less_than_96_megabytes(
    form: tuple[str, ...], tmp_path: Path
) -> None:
    limits = ("--size", "100MB", "--limit", "95999999")
    done = subprocess.run(
        (sys.executable, BENCHMARK, *limits, *form, "--folder", tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bytes exported" in done.stdout
