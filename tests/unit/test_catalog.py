"""The catalog on every database: what is written is read again, and errors are clear."""

from __future__ import annotations

from datetime import UTC, datetime

from cdds.catalog import Catalog, JobEntry, JobSettings

KEY = b"k" * 32


def test_a_job_is_read_as_it_was_written(catalog_url: str) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    settings = JobSettings(title="x", source="s", dataset="Interaction")
    entry = JobEntry(id="a", tenant="t", owner="o", settings=settings, created=now)
    with Catalog(catalog_url, audit_key=KEY) as catalog:
        with catalog.write() as transaction:
            transaction.jobs.add(entry)
            transaction.audit.append("t", "job added", "job", "a", at=now)
        with catalog.read() as transaction:
            assert transaction.jobs.find("a") == entry
            assert transaction.audit.verify("t").number == 1
