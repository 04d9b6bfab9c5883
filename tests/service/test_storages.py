"""The life of an artifact on each kind of storage: a folder, memory, S3 with versions."""

from __future__ import annotations

import hashlib
import urllib.request
from datetime import timedelta

import pytest
from hosts import MakeHost
from stores import Store, s3_store

from cdds.errors import SinkError
from cdds.protocols import SigningSink


@pytest.fixture
def catalog_url() -> str:
    """Return the URL of a database in memory."""
    return "sqlite://"


def test_an_artifact_from_its_run_to_its_removal(make_host: MakeHost, store: Store) -> None:
    host = make_host(sink=store.sink)
    run = host.run()
    assert set(store.everything()) == {run.file_name, run.digests}
    (artifact,) = host.service.artifacts.list(host.alice).items
    with host.service.artifacts.open(host.alice, artifact.name) as download:
        assert hashlib.sha256(b"".join(download)).hexdigest() == artifact.sha256
    with host.service.artifacts.open(host.alice, artifact.name, start=7, end=99) as download:
        assert b"".join(download) == store.visible()[artifact.name][7:99]
    store.put("holiday.jpg", b"of somebody else")
    outcome = host.service.reconcile()
    assert (outcome.leftovers, outcome.missing, outcome.foreign) == ((), (), 1)
    host.clock.advance(days=30)
    assert host.service.retention.sweep().artifacts == 1
    assert store.everything() == ["holiday.jpg"]


def test_leftovers_of_a_kill_are_removed(make_host: MakeHost, store: Store) -> None:
    host = make_host(sink=store.sink)
    run = host.run()
    host.service.history.delete(host.alice, run.id)
    assert store.everything() == []
    other = host.run()
    upload = store.sink.create(f"export-{other.id}.z02.smime")
    upload.write(b"x" * 6_000_000)
    upload.stage()  # and killed
    outcome = host.service.reconcile()
    assert set(store.everything()) == {other.file_name, other.digests}
    assert len(outcome.leftovers) <= 1


def test_a_signed_url_downloads_the_artifact(make_host: MakeHost, store: Store) -> None:
    host = make_host(sink=store.sink)
    run = host.run()
    if not isinstance(store.sink, SigningSink):
        with pytest.raises(SinkError, match="no signed URLs"):
            host.service.artifacts.signed_url(host.alice, run.file_name, timedelta(hours=1))
        return
    url = host.service.artifacts.signed_url(host.alice, run.file_name, timedelta(hours=1))
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == store.visible()[run.file_name]
    host.clock.advance(days=29, hours=23, minutes=59)
    late = host.service.artifacts.signed_url(host.alice, run.file_name, timedelta(hours=1))
    assert "X-Amz-Expires=60" in late


def test_all_versions_are_removed(make_host: MakeHost, s3_endpoint: str) -> None:
    store = s3_store(s3_endpoint)
    store.client.put_bucket_versioning(
        Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    host = make_host(sink=store.sink)
    run = host.run()
    store.put(run.file_name, b"a second version")
    host.service.artifacts.delete(host.alice, [run.file_name])
    versions = store.client.list_object_versions(Bucket=store.bucket)
    assert not versions.get("Versions")
    assert not versions.get("DeleteMarkers")
