"""Schedulers on one catalog are killed at random moments, or stopped: each start is run once.

Hundreds of jobs and of kills are the slow test's of this name. Here time passes twenty times as
fast for all of them, so that a minute takes three seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from catalogs import SHARED_KINDS
from places import Files
from schedules import IN_PROGRESS, STOP_TIMEOUT, check, kill_schedulers, moment, stage

SPEED = 20


@pytest.mark.parametrize("kind", SHARED_KINDS)
def test_each_start_is_run_once_whoever_is_killed(
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
    new_catalog_url: Callable[[str], Any],
    judge: Callable[[str], str],
    kind: str,
) -> None:
    files = Files.make(tmp_path, *rsa_key_and_certificate)
    with new_catalog_url(kind) as url:
        outcome = kill_schedulers(
            files,
            url,
            jobs=8,
            schedulers=3,
            seconds=20,
            pause=0.25,
            speed=SPEED,
            seed=1,
            openssl=judge("openssl"),
        )
    assert outcome.finished > 0
    assert outcome.kills > 0
    assert outcome.recovered > 0


@pytest.mark.parametrize("kind", SHARED_KINDS)
@pytest.mark.parametrize("stop_timeout", [STOP_TIMEOUT, 0])
def test_a_scheduler_that_is_stopped_leaves_nothing_behind(
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
    new_catalog_url: Callable[[str], Any],
    judge: Callable[[str], str],
    kind: str,
    stop_timeout: int,
) -> None:
    """Its runs finish, or they are stopped and due again, and a later scheduler runs them."""
    files = Files.make(tmp_path, *rsa_key_and_certificate)
    with (
        new_catalog_url(kind) as url,
        stage(files, url, jobs=10, schedulers=2, speed=SPEED, seed=2) as on,
    ):
        # The slow answers are what a stop without patience finds all four workers waiting for.
        on.begin(stop_timeout, answer=0 if stop_timeout else 3)
        on.wait_for_runs(1 if stop_timeout else 4)
        on.stop()
        assert on.rows(IN_PROGRESS) == []
        stopped = on.rows("SELECT job_id, due FROM cdds_runs WHERE error LIKE '%stopped%'")
        if stop_timeout:
            assert stopped == []
        else:
            assert stopped != []
        jobs = on.rows("SELECT id, retries FROM cdds_jobs")
        due_again = {
            (job["id"], moment(retry["due"]))
            for job in jobs
            for retry in json.loads(job["retries"])
        }
        assert {(run["job_id"], moment(run["due"])) for run in stopped} <= due_again
        finished = on.rows("SELECT file_name, digests, signature FROM cdds_runs WHERE parts > 0")
        there = {path.name for path in files.exports.glob("*")}
        assert there == {name for run in finished for name in run.values()}

        on.begin()
        cut_off = on.pace.now()
        on.drain(cut_off)
        on.stop()
        print(f"{kind}, {stop_timeout} s to stop: {check(on, cut_off, judge('openssl'))}")
