"""Memory stays flat for large inputs too, as the memory benchmark measures it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "memory.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]


def measure(folder: Path, *words: str) -> None:
    """Run the benchmark, which fails above its limit."""
    done = subprocess.run(
        (sys.executable, BENCHMARK, "--folder", folder, *words),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("form", [(), ("--split-size", "100MB")], ids=["whole", "split"])
@pytest.mark.parametrize("size", ["100MB", "10GB"])
def test_any_size_is_exported_in_less_than_96_megabytes(
    size: str, form: tuple[str, ...], tmp_path: Path
) -> None:
    measure(tmp_path, "--size", size, "--limit", "95999999", "--discard", *form)


def test_a_selected_record_with_documents_takes_at_most_24_bytes(tmp_path: Path) -> None:
    measure(tmp_path, "--documents", "1000000", "--limit", "24")
