"""A million days of jobs, simulated once: every promise holds at every step.

The seeds and what came to pass are printed. One history is seen again by

    python tests/simulation/simulation.py SEED --job-days 100000
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import pytest
from simulation import Scale, simulate

JOB_DAYS = int(os.environ.get("CDDS_JOB_DAYS", "1000000"))
SEED = int(os.environ.get("CDDS_SEED", "1"))
EACH = 50_000


@pytest.mark.slow
def test_a_million_days_of_jobs() -> None:
    seeds = range(SEED, SEED + math.ceil(1.4 * JOB_DAYS / EACH))
    counts: Counter[str] = Counter()
    job_days = 0.0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        for report in pool.map(simulate, seeds, repeat(Scale.of(EACH))):
            print(
                f"seed {report.seed}: {report.job_days:,.0f} job-days, {report.counts}", flush=True
            )
            job_days += report.job_days
            counts.update(report.counts)
    print(f"{job_days:,.0f} job-days from seed {SEED}: {dict(counts)}")
    assert job_days >= JOB_DAYS
    assert counts["runs finished"] > JOB_DAYS / 30
