"""Processes are killed at random moments of runs, deletions and sweeps: some, for each change.

Thousands of them are killed by the slow test of this name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from catalogs import SHARED_KINDS
from kills import kill_workers
from places import Files


@pytest.mark.parametrize("kind", SHARED_KINDS)
def test_a_killed_process_leaves_nothing_half_done(
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
    new_catalog_url: Callable[[str], Any],
    judge: Callable[[str], str],
    kind: str,
) -> None:
    files = Files.make(tmp_path, *rsa_key_and_certificate)
    done = kill_workers(files, new_catalog_url, kind, 40, 1, judge("openssl"))
    assert done["run started"] > done["run finished"] > 0
    print(f"40 processes killed, {kind}: {dict(done)}")
