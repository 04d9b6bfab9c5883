"""The Artifacts page: what can be downloaded, for how long, and by whom, on every database."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from hosts import Host, MakeHost

import cdds
from cdds.errors import ArtifactGone, JobError, NotFound, SinkError
from cdds.service import events

NOISE = [
    {"IXNID": str(number), "TEXT": hashlib.shake_256(b"%d" % number).hexdigest(2000)}
    for number in range(500)
]


def noisy(_: str) -> cdds.sources.Records:
    """Return a source whose records hardly compress, so that there are several segments."""
    return cdds.sources.Records(interaction=NOISE)


def test_an_artifact_tells_all_that_the_page_shows(host: Host) -> None:
    run = host.run(title="Backup")
    (artifact,) = host.service.artifacts.list(host.alice).items
    data = (host.folder / artifact.name).read_bytes()
    assert (artifact.name, artifact.title, artifact.dataset) == (
        run.file_name,
        "Backup",
        "Interaction",
    )
    assert (artifact.size, artifact.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (artifact.created, artifact.expires) == (
        host.clock.moment,
        host.clock.moment + timedelta(days=30),
    )
    assert (artifact.part, artifact.parts) == (1, 1)
    assert artifact.fingerprints == run.fingerprints
    assert host.service.artifacts.get(host.alice, artifact.name) == artifact


def test_days_remaining_are_whole_days_rounded_up(host: Host) -> None:
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    for span, days in (
        (timedelta(), 30),
        (timedelta(microseconds=1), 30),
        (timedelta(days=1), 29),
        (timedelta(days=29), 1),
        (timedelta(days=30) - timedelta(microseconds=1), 1),
        (timedelta(days=30), 0),
        (timedelta(days=31), 0),
    ):
        host.clock.moment = artifact.created + span
        assert host.service.artifacts.days_remaining(artifact) == days
        listed = host.service.artifacts.list(host.alice).items
        assert bool(listed) == (days > 0)


def test_a_split_export_is_listed_part_by_part(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(sources={"UCS": noisy})
    run = host.run(split_size="64 KiB")
    artifacts = host.service.history.artifacts(host.alice, run.id)
    assert run.parts == len(artifacts) > 2
    assert [artifact.part for artifact in artifacts] == list(range(1, run.parts + 1))
    assert artifacts[0].name.endswith(".z01.smime")
    assert artifacts[-1].name == run.file_name
    names = [artifact.name for artifact in artifacts]
    for download in host.service.artifacts.download(host.alice, names):
        download.save(tmp_path / "saved")
    for artifact in artifacts:
        saved = (tmp_path / "saved" / artifact.name).read_bytes()
        assert hashlib.sha256(saved).hexdigest() == artifact.sha256


@pytest.mark.parametrize(("start", "end"), [(0, None), (1, None), (5, 5), (10, 400), (0, 0)])
def test_ranges_resume_a_download(host: Host, start: int, end: int | None) -> None:
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    whole = (host.folder / artifact.name).read_bytes()
    with host.service.artifacts.open(host.alice, artifact.name, start=start, end=end) as download:
        assert b"".join(download) == whole[start:end]
    assert (download.start, download.size) == (start, artifact.size)


def test_ranges_beyond_the_file_are_refused(host: Host) -> None:
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    for start, end in ((-1, None), (5, 4), (0, artifact.size + 1), (artifact.size + 1, None)):
        with pytest.raises(JobError, match="range"):
            host.service.artifacts.open(host.alice, artifact.name, start=start, end=end)


def test_the_digests_can_be_downloaded_too(host: Host) -> None:
    run = host.run()
    assert run.digests is not None
    text = b"".join(host.service.artifacts.open(host.alice, run.digests)).decode()
    (artifact,) = host.service.artifacts.list(host.alice).items
    assert text == f"{artifact.sha256}  {artifact.name}\n"
    with pytest.raises(NotFound):
        host.service.artifacts.open(host.mallory, run.digests)
    with pytest.raises(NotFound):
        host.service.artifacts.open(host.bob, run.digests)
    host.clock.advance(days=30)
    with pytest.raises(ArtifactGone):
        host.service.artifacts.open(host.alice, run.digests)


def test_a_file_that_was_changed_is_never_given_out_whole(host: Host) -> None:
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    path = host.folder / artifact.name
    whole = path.read_bytes()
    for changed in (whole[:-1], whole[:-5] + b"AAAAA", whole[: len(whole) // 2]):
        path.write_bytes(changed)
        received = bytearray()
        with pytest.raises(SinkError, match="not the artifact that was stored"):
            for chunk in host.service.artifacts.open(host.alice, artifact.name):
                received += chunk
        assert len(received) < len(whole)
    assert "ArtifactDownloaded" not in host.kinds()


def test_a_file_that_is_missing_is_gone(host: Host) -> None:
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    (host.folder / artifact.name).unlink()
    with pytest.raises(ArtifactGone, match="missing from the storage"):
        host.service.artifacts.open(host.alice, artifact.name)


def test_saving_leaves_nothing_when_it_fails(host: Host, tmp_path: Path) -> None:
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    path = host.folder / artifact.name
    path.write_bytes(path.read_bytes()[:-1])
    target = tmp_path / "saved"
    with pytest.raises(SinkError):
        host.service.artifacts.open(host.alice, artifact.name).save(target)
    assert not target.exists() or list(target.iterdir()) == []


def test_selected_artifacts_are_deleted_and_leave_evidence(host: Host) -> None:
    runs = [host.run() for _ in range(3)]
    artifacts = {
        artifact.run_id: artifact for artifact in host.service.artifacts.list(host.alice).items
    }
    chosen = [artifacts[run.id].name for run in runs[:2]]
    removed = host.service.artifacts.delete(host.alice, chosen)
    assert (set(removed.names), removed.failed) == (set(chosen), ())
    assert host.files() == {runs[2].file_name, runs[2].digests}
    assert [item.name for item in host.service.artifacts.list(host.alice).items] == [
        runs[2].file_name
    ]
    for name in chosen:
        with pytest.raises(NotFound):
            host.service.artifacts.get(host.alice, name)
    trail = host.service.audit.entries(host.admin)
    evidence = {entry.subject: entry for entry in trail if entry.action == "artifact deleted"}
    for run in runs[:2]:
        entry = evidence[artifacts[run.id].name]
        assert (entry.actor, entry.details["sha256"], entry.details["size"]) == (
            "alice",
            artifacts[run.id].sha256,
            artifacts[run.id].size,
        )


def test_a_part_can_be_deleted_and_the_digests_stay_with_the_rest(make_host: MakeHost) -> None:
    host = make_host(sources={"UCS": noisy})
    run = host.run(split_size="64 KiB")
    names = [artifact.name for artifact in host.service.history.artifacts(host.alice, run.id)]
    host.service.artifacts.delete(host.alice, names[:1])
    assert host.files() == {*names[1:], run.digests}
    host.service.artifacts.delete(host.alice, names[1:])
    assert host.files() == set()
    assert host.service.history.get(host.alice, run.id).digests is None


def test_at_most_100_can_be_selected(host: Host) -> None:
    names = [f"export-{n:08x}-0000-4000-8000-000000000000.zip.smime" for n in range(101)]
    for call in (host.service.artifacts.delete, host.service.artifacts.download):
        with pytest.raises(JobError, match="101 artifacts are selected; select 1 to 100"):
            call(host.alice, names)
        with pytest.raises(JobError, match="0 artifacts are selected"):
            call(host.alice, [])
        with pytest.raises(JobError, match="list of names"):
            call(host.alice, names[0])


def test_when_one_of_the_selected_is_not_there_none_is_touched(host: Host) -> None:
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    other = "export-00000000-0000-4000-8000-000000000000.zip.smime"
    for call in (host.service.artifacts.delete, host.service.artifacts.download):
        with pytest.raises(NotFound):
            call(host.alice, [artifact.name, other])
    assert host.service.artifacts.list(host.alice).items == (artifact,)
    assert (host.folder / artifact.name).exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "export-x.zip.smime", "a\0b", "/", None])
def test_names_that_no_artifact_has_do_not_exist(host: Host, name: str) -> None:
    with pytest.raises(NotFound):
        host.service.artifacts.open(host.alice, name)


def test_the_list_is_filtered_sorted_and_paged(host: Host) -> None:
    for title in ("Beta", "alpha", "Gamma"):
        host.run(title=title)
        host.clock.advance(hours=1)

    def listed(**arguments: object) -> list[str]:
        page = host.service.artifacts.list(host.alice, **arguments)  # type: ignore[arg-type]
        return [artifact.title for artifact in page.items]

    assert listed() == ["Gamma", "alpha", "Beta"]
    assert listed(sort="expires", descending=False) == ["Beta", "alpha", "Gamma"]
    assert listed(sort="title", descending=False) == ["alpha", "Beta", "Gamma"]
    assert sorted(listed(sort="size")) == sorted(listed(sort="name")) == sorted(listed())
    assert listed(title="ALPH") == ["alpha"]
    assert listed(dataset="Contact") == []
    first = host.service.artifacts.list(host.alice, limit=2)
    second = host.service.artifacts.list(host.alice, limit=2, after=first.next)
    assert [item.title for item in (*first.items, *second.items)] == listed()


def test_a_signed_url_needs_a_storage_that_has_them(host: Host) -> None:
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    with pytest.raises(SinkError, match="no signed URLs"):
        host.service.artifacts.signed_url(host.alice, artifact.name, timedelta(hours=1))


def test_a_download_is_told_when_its_last_byte_was_given_out(host: Host) -> None:
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    with host.service.artifacts.open(host.alice, artifact.name):
        pass
    assert "ArtifactDownloaded" not in host.kinds()
    assert b"".join(host.service.artifacts.open(host.alice, artifact.name))
    last = host.told[-1]
    assert isinstance(last, events.ArtifactDownloaded)
    assert (last.artifact, last.user) == (artifact, "alice")


def test_a_part_of_a_download_is_no_download(host: Host) -> None:
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    for start, end in ((0, 1), (artifact.size, None), (5, 5)):
        for _ in host.service.artifacts.open(host.alice, artifact.name, start=start, end=end):
            pass
    assert "ArtifactDownloaded" not in host.kinds()
    assert b"".join(host.service.artifacts.open(host.alice, artifact.name, start=1))
    assert host.kinds()[-1] == "ArtifactDownloaded"


def test_only_what_was_opened_is_audited_as_opened(host: Host) -> None:
    host.run()
    (artifact,) = host.service.artifacts.list(host.alice).items
    with pytest.raises(JobError):
        host.service.artifacts.open(host.alice, artifact.name, start=-1)
    (host.folder / artifact.name).unlink()
    with pytest.raises(ArtifactGone):
        host.service.artifacts.open(host.alice, artifact.name)
    actions = [entry.action for entry in host.service.audit.entries(host.admin)]
    assert "artifact opened" not in actions


def test_artifacts_are_found_by_their_run_and_their_job(make_host: MakeHost) -> None:
    host = make_host(sources={"UCS": noisy})
    whole = host.run()
    split = host.run(split_size="64 KiB")
    by_run = host.service.artifacts.list(host.alice, run_id=split.id).items
    assert {item.run_id for item in by_run} == {split.id}
    assert len(by_run) == split.parts
    (only,) = host.service.artifacts.list(host.alice, job_id=whole.job_id).items
    assert only.name == whole.file_name


def test_artifacts_are_sorted_by_size_and_by_name(make_host: MakeHost) -> None:
    host = make_host(sources={"UCS": noisy})
    host.run(split_size="64 KiB")
    host.run(media_types=["none"])
    for sort, key in (("size", lambda item: (item.size, item.name)), ("name", lambda i: i.name)):
        for descending in (False, True):
            items = host.service.artifacts.list(host.alice, sort=sort, descending=descending).items
            assert len({item.size for item in items}) > 1
            assert list(items) == sorted(items, key=key, reverse=descending)
