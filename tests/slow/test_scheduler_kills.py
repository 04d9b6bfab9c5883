"""Schedulers with three hundred jobs a minute are killed for ten minutes: each start is run once.

Time is that of the database's own clock. How many minutes it takes is set by the environment
variable CDDS_SCHEDULER_MINUTES, and which moments the kills are at by CDDS_SEED.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from places import Files
from schedules import kill_schedulers

pytestmark = pytest.mark.slow

MINUTES = float(os.environ.get("CDDS_SCHEDULER_MINUTES", "10"))
SEED = int(os.environ.get("CDDS_SEED", "7"))


@pytest.mark.parametrize(("kind", "schedulers"), [("postgresql", 8), ("sqlite", 4)])
def test_each_start_is_run_once_whoever_is_killed(
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
    new_catalog_url: Callable[[str], Any],
    judge: Callable[[str], str],
    kind: str,
    schedulers: int,
) -> None:
    files = Files.make(tmp_path, *rsa_key_and_certificate)
    with new_catalog_url(kind) as url:
        outcome = kill_schedulers(
            files,
            url,
            jobs=300,
            schedulers=schedulers,
            seconds=MINUTES * 60,
            pause=0.5,
            speed=1,
            seed=SEED,
            openssl=judge("openssl"),
            longest_drain=900,
            tell=lambda words: print(f"{kind}: {words}"),
        )
    assert outcome.recovered > 0
    assert outcome.retries > 0
