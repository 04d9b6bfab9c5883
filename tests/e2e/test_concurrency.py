"""Many exports at once in one process share nothing and disturb nothing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cdds
from cdds import sample

THREADS = 8
RUNS = 40


class Failed(Exception):
    """A source of the host's that gives up."""


def failing(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield from records
    raise Failed


def test_eight_threads_export_at_once(
    tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    """Into one folder, some that fail and some that are cancelled among those that succeed."""
    certificate = rsa_key_and_certificate[1]
    before = set(threading.enumerate())
    cancelled = threading.Event()
    cancelled.set()

    def run(number: int) -> cdds.ExportResult | None:
        records = list(sample.interactions(20, seed=number))
        kind = number % 4
        try:
            return cdds.export(
                cdds.sources.Records(interaction=failing(records) if kind == 1 else records),
                dataset="Interaction",
                to=tmp_path,
                recipients=certificate,
                split_size="64 KiB" if kind == 3 else None,
                cancel=cancelled if kind == 2 else None,
                job_id=f"job-{number}",
            )
        except (Failed, cdds.errors.Cancelled):
            return None

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(run, range(RUNS)))
    assert [result is None for result in results] == [n % 4 in {1, 2} for n in range(RUNS)]
    done = [result for result in results if result is not None]
    expected = {name for result in done for name in names(result)}
    assert {path.name for path in tmp_path.iterdir()} == expected
    for result in done:
        assert result.records["interaction"] == 20
        for artifact in result.artifacts:
            data = (tmp_path / artifact.name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == artifact.sha256
    assert set(threading.enumerate()) == before


def names(result: cdds.ExportResult) -> list[str]:
    return [result.digests, *(artifact.name for artifact in result.artifacts)]
