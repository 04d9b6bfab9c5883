"""Thousands of processes are killed at random moments of runs, deletions and sweeps.

How many for each database is set by the environment variable CDDS_KILLS, and which moments those
are by CDDS_SEED.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from catalogs import SHARED_KINDS
from kills import kill_workers
from places import Files

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("CDDS_KILLS", "2000"))
SEED = int(os.environ.get("CDDS_SEED", "7"))


@pytest.mark.parametrize("kind", SHARED_KINDS)
def test_killed_processes_leave_nothing_half_done(
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
    new_catalog_url: Callable[[str], Any],
    judge: Callable[[str], str],
    kind: str,
) -> None:
    files = Files.make(tmp_path, *rsa_key_and_certificate)
    done = kill_workers(files, new_catalog_url, kind, KILLS, SEED, judge("openssl"))
    print(f"{KILLS} processes killed, {kind}, seed {SEED}: {dict(done)}")
    for action in ("finished", "failed", "cancelled", "deleted", "purged"):
        assert done[f"run {action}"] > 0
    assert done["artifact deleted"] > 0
    assert done["artifact missing"] == done["artifact found"] == 0
