"""Kills workers at random moments, and looks at what they leave behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import sqlalchemy
from places import LEASE, Files, Place, check, opened, run_again, tidy

NewCatalogUrl: TypeAlias = Callable[[str], Any]

CHILD = Path(__file__).with_name("one_service.py")
_BLOCK = 100
_LONGEST = 0.1
_AFTER_OPENING = 0.9
_PATIENCE = 60
"""How many workers live for up to so many seconds after they have opened the catalog."""


def kill_workers(
    files: Files, new_url: NewCatalogUrl, kind: str, count: int, seed: int, openssl: str
) -> Counter[str]:
    """Kill so many workers, one after another; return how often each thing was done.

    A database and its folder serve for a hundred kills, for what is checked grows with them.
    """
    done: Counter[str] = Counter()
    for start in range(0, count, _BLOCK):
        with new_url(kind) as url, tempfile.TemporaryDirectory(prefix="cdds-test-") as name:
            its_files = attrs.evolve(files, exports=Path(name) / "exports")
            numbers = random.Random(f"{seed} {start}")
            done += _block(its_files, url, min(_BLOCK, count - start), numbers, openssl)
    return done


def _block(
    files: Files, url: str, count: int, numbers: random.Random, openssl: str
) -> Counter[str]:
    with opened(files, url) as place, _workers(files, url) as workers:
        jobs = [place.add_job(), place.add_job(split_size=None, title="Whole")]
        for number in range(1, count + 1):
            place.clock.moment += 2 * LEASE
            place.catalog._engine.dispose()  # so that the next one finds what the dead have left
            _kill_one(workers, place, numbers)
            check(place, openssl=openssl if number % 25 == 0 else None, leases_hold=False)
            if number % 10 == 0:
                tidy(place)
                for job_id in jobs:
                    run_again(place, job_id)
        return Counter(entry.action for entry in place.trail())


def _kill_one(workers: subprocess.Popen[str], place: Place, numbers: random.Random) -> None:
    assert workers.stdin is not None
    assert workers.stdout is not None
    workers.stdin.write(f"{numbers.randrange(2**32)} {place.clock.moment.isoformat()}\n")
    workers.stdin.flush()
    child = int(workers.stdout.readline())
    waits = numbers.random() < _AFTER_OPENING
    said = workers.stdout.readline() if waits else ""
    time.sleep(numbers.uniform(0, _LONGEST))
    os.kill(child, signal.SIGKILL)
    while not said.startswith("ended"):
        said = workers.stdout.readline()
        assert said, "what forks the workers has ended"
    assert said == f"ended {-signal.SIGKILL}\n", "a worker ended by itself"
    _wait_for_the_server(place)


def _wait_for_the_server(place: Place) -> None:
    """Wait until PostgreSQL has done with the connections of the dead, as SQLite has at once."""
    if place.catalog._engine.dialect.name != "postgresql":
        return
    others = sqlalchemy.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with place.catalog._engine.connect() as connection:
            if not connection.execute(others).scalar_one():
                return
    raise AssertionError("the server still has connections of the dead")


@contextmanager
def _workers(files: Files, url: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, str(CHILD), str(files.home), str(files.exports), url]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as workers:
        try:
            yield workers
        finally:
            assert workers.stdin is not None
            workers.stdin.close()
