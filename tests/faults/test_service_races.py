"""Processes that run, cancel, edit, suspend, resume and delete the same jobs at once.

Each run ends once, no job runs twice at a time, and storage and catalog agree at the end.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
from catalogs import SHARED_KINDS
from places import (
    LIFETIME,
    ME,
    Files,
    Place,
    SetClock,
    check,
    listed_artifacts,
    opened,
    run_again,
    tidy,
)

from cdds.catalog import ArtifactEntry, RunEntry
from cdds.catalog.tables import ARTIFACTS, RUNS
from cdds.errors import NotFound
from cdds.service.reconciliation import Reconciled

CHILD = Path(__file__).with_name("one_racer.py")
RACERS = 5
ROUNDS = 8
STEPS = int(os.environ.get("CDDS_RACE_STEPS", "40"))
SEED = int(os.environ.get("CDDS_SEED", "1"))


def race(files: Files, url: str) -> Counter[str]:
    """Let all racers begin at once; return what came of their steps."""
    total: Counter[str] = Counter()
    with ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(
                    [
                        *(sys.executable, CHILD, files.home, files.exports, url),
                        *(str(SEED * RACERS + number), str(STEPS)),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(RACERS)
        ]
        assert [racer.stdout and racer.stdout.readline() for racer in racers] == ["open\n"] * RACERS
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        for racer in racers:
            said, _ = racer.communicate(timeout=300)
            assert racer.returncode == 0
            total += Counter(json.loads(said))
    return total


@pytest.mark.parametrize("kind", SHARED_KINDS)
def test_all_who_change_the_same_jobs_at_once_reach_one_outcome(
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
    new_catalog_url: Callable[[str], Any],
    kind: str,
) -> None:
    files = Files.make(tmp_path, *rsa_key_and_certificate)
    with new_catalog_url(kind) as url, opened(files, url) as place:
        place.add_job()
        total = race(files, url)
        print(f"{kind}: {dict(total)}")
        assert sum(total.values()) == RACERS * STEPS
        check(place)
        assert not [run for run in place.rows(RUNS) if run["status"] == "in progress"]
        assert place.service.reconcile() == Reconciled()
        tidy(place)
        there = [job.id for job in place.service.jobs.list(place.me).items]
        there.append(place.add_job())
        for job_id in there:
            run_again(place, job_id)
        done = Counter(entry.action for entry in place.trail())
        print(dict(done))
        assert done["run finished"] > 0


@pytest.mark.parametrize("kind", SHARED_KINDS)
def test_all_who_remove_the_same_artifacts_at_once_wait_for_each_other_in_one_order(
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
    new_catalog_url: Callable[[str], Any],
    kind: str,
) -> None:
    """Some that are selected in any order, those of a run, and all that are past their time."""
    files = Files.make(tmp_path, *rsa_key_and_certificate)
    numbers = random.Random(SEED)
    with new_catalog_url(kind) as url, opened(files, url) as place:
        soon = SetClock(place.clock.moment + LIFETIME)
        with opened(files, url, soon) as later:
            model = run_again(place, place.add_job())
            for _ in range(ROUNDS):
                run_ids = [_add_many(place, model, numbers) for _ in range(3)]
                names = [artifact.name for artifact in listed_artifacts(place)]
                todo: list[Callable[[], object]] = [
                    partial(place.service.artifacts.delete, ME, numbers.sample(names, 80))
                    for _ in range(4)
                ]
                todo += [partial(place.service.history.delete, ME, run_id) for run_id in run_ids]
                todo += [place.service.retention.remind, place.service.reconcile]
                todo += [later.service.retention.sweep] * 2
                numbers.shuffle(todo)
                _all_at_once(todo)
                later.service.retention.sweep()
                assert place.rows(ARTIFACTS) == []
                place.trail()


def _all_at_once(todo: Sequence[Callable[[], object]]) -> None:
    barrier = threading.Barrier(len(todo))

    def do(what: Callable[[], object]) -> None:
        barrier.wait(60)
        with suppress(NotFound):  # others were faster
            what()

    with ThreadPoolExecutor(len(todo)) as pool:
        list(pool.map(do, todo))


def _add_many(place: Place, model: RunEntry, numbers: random.Random) -> str:
    """Add a run like the model with many artifacts, which stand in the table in no order."""
    run = attrs.evolve(model, id=str(uuid.UUID(int=numbers.getrandbits(128))))
    artifacts = [
        ArtifactEntry(
            name=f"export-{run.id}.z{part:02}.smime",
            run_id=run.id,
            job_id=run.job_id,
            tenant=run.tenant,
            owner=run.owner,
            title=run.title,
            dataset=run.settings.dataset,
            size=1,
            sha256="0" * 64,
            part=part,
            parts=40,
            created=run.started,
            expires=run.started + LIFETIME,
        )
        for part in range(1, 41)
    ]
    numbers.shuffle(artifacts)
    with place.catalog.write() as transaction:
        transaction.runs.add(run, run.started)
        transaction.artifacts.add(artifacts)
    return run.id
