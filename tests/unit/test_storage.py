"""Sinks as storages: what is in them is listed, given back and removed, and nothing else is.

The same laws for a local folder, for fsspec's memory, and for an S3 server on the loopback.
"""

from __future__ import annotations

import os
import pickle
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import LocalStore, MemoryStore, S3Store, Store, s3_store, staged

from cdds.errors import ArtifactMissing, JobError, SinkError
from cdds.protocols import SigningSink, Storage, Stored
from cdds.sinks import FileSystemSink, LocalSink, open_sink, s3
from cdds.sinks.local import STAGED_PREFIX
from cdds.sinks.reading import CHUNK_SIZE

HOUR = timedelta(hours=1)
LARGE = bytes(range(256)) * (10 * CHUNK_SIZE // 256) + b"end"
"""More than is read ahead, and no whole number of chunks."""


@pytest.fixture
def bucket(s3_endpoint: str) -> S3Store:
    """Return an empty bucket."""
    return s3_store(s3_endpoint)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have listings come in pages of two."""
    monkeypatch.setattr(s3, "PAGE_SIZE", 2)


def listed(store: Store, prefix: str = "") -> list[tuple[str, int, bool]]:
    """Return what the sink says that it holds: names, sizes, and what is staged."""
    found = store.sink.stored(prefix)
    return sorted((item.name, item.size, item.staged is not None) for item in found)


def lists_staged(store: Store) -> bool:
    """Tell whether what is staged outlives a process: what is in its memory does not."""
    return not isinstance(store, MemoryStore)


# The laws of every storage


def test_what_was_committed_is_listed_and_given_back(store: Store) -> None:
    """With its name, its size and its bytes, in chunks of at most 1 MiB."""
    contents = {"empty": b"", "small": b"content", "large": LARGE}
    for name, data in contents.items():
        staged(store.sink, name, data).commit()
    assert listed(store) == sorted((name, len(data), False) for name, data in contents.items())
    for name, data in contents.items():
        chunks = list(store.sink.read(name))
        assert b"".join(chunks) == data
        assert all(0 < len(chunk) <= CHUNK_SIZE for chunk in chunks)


def test_every_range_is_given_back(store: Store) -> None:
    """As a slice of the whole; also where it is empty, turned round or beyond the end."""
    data = LARGE[: 2 * CHUNK_SIZE + 5]
    staged(store.sink, "a", data).commit()
    place = st.integers(0, 5) | st.integers(len(data) - 5, len(data) + 5) | st.integers(0, 2**40)

    @given(place, st.none() | place)
    @settings(max_examples=30, deadline=None)
    def check(start: int, end: int | None) -> None:
        assert b"".join(store.sink.read("a", start, end)) == data[start:end]

    check()


@pytest.mark.parametrize("bounds", [(-1, None), (0, -1), (-5, -1)])
def test_a_range_from_the_end_is_refused(store: Store, bounds: tuple[int, int | None]) -> None:
    """It is no slice; who means one is told so."""
    store.put("a", b"content")
    with pytest.raises(JobError, match="from the first byte"):
        list(store.sink.read("a", *bounds))


def test_two_readers_do_not_disturb_each_other(store: Store) -> None:
    """Each has a place of its own, and one may stop early."""
    staged(store.sink, "a", LARGE).commit()
    one, two = store.sink.read("a"), store.sink.read("a", 1)
    mixed = [(next(one), next(two)) for _ in range(3)]
    two.close()
    rest = b"".join(one)
    assert b"".join(first for first, _ in mixed) + rest == LARGE
    assert b"".join(second for _, second in mixed) == LARGE[1 : 3 * CHUNK_SIZE + 1]


def test_what_is_missing_is_one_clear_error(store: Store) -> None:
    """Where there is nothing at all, or others, or where it is only staged; also no bytes of it."""

    def check() -> None:
        for bounds in ((), (5,), (0, 0)):
            with pytest.raises(ArtifactMissing, match="there is no"):
                list(store.sink.read("a", *bounds))

    check()
    store.put("ab", b"x")
    check()
    staged(store.sink, "a", b"x")
    check()


def test_an_empty_storage_holds_nothing(store: Store) -> None:
    """Also where the folder does not exist, which is not made by looking."""
    assert listed(store) == []
    store.sink.remove(Stored("a", 0))
    assert store.everything() == []


def test_a_prefix_is_the_beginning_of_the_name(store: Store) -> None:
    """Exactly; what is beside it, before it or in a subfolder is not listed."""
    for name in ("a", "ab", "ab-1", "ab-2", "b", "xab", "AB"):
        store.put(name, b"x")
    staged(store.sink, "ab-3", b"x")
    names = {prefix: {item[0] for item in listed(store, prefix)} for prefix in ("ab", "ab-", "")}
    held = {"ab-3"} if lists_staged(store) else set()
    assert names["ab"] == {"ab", "ab-1", "ab-2"} | held
    assert names["ab-"] == {"ab-1", "ab-2"} | held
    assert names[""] == {"a", "ab", "ab-1", "ab-2", "b", "xab", "AB"} | held
    assert listed(store, "ab/") == listed(store, "/") == listed(store, "../") == []


def test_what_others_put_there_is_listed_at_once(store: Store) -> None:
    """No earlier listing is remembered."""
    assert listed(store) == []
    store.put("a", b"x")
    assert listed(store) == [("a", 1, False)]
    store.put("b", b"xy")
    assert listed(store) == [("a", 1, False), ("b", 2, False)]


def test_what_a_kill_leaves_is_listed_and_removed(store: Store) -> None:
    """Neither committed nor aborted: it bears the artifact's name, and no more than it goes."""
    store.put("theirs", b"theirs")
    for name in ("a.b-c", "a.b-c", "d.0123456789abcdef"):
        staged(store.sink, name, b"content")
    left = [item for item in store.sink.stored() if item.staged is not None]
    expected = ["a.b-c", "a.b-c", "d.0123456789abcdef"] if lists_staged(store) else []
    assert sorted(item.name for item in left) == expected
    staged(store.sink, "a.b-c", b"other").commit()
    for item in left:
        for _ in range(2):
            store.sink.remove(item)
            assert item not in list(store.sink.stored())
    assert store.visible() == {"theirs": b"theirs", "a.b-c": b"other"}
    assert store.everything() == ["a.b-c", "theirs"]


def test_removing_leaves_the_others_and_may_come_twice(store: Store) -> None:
    """Those whose names begin alike among them."""
    for name in ("a", "ab", "a.b"):
        staged(store.sink, name, name.encode()).commit()
    (item,) = (item for item in store.sink.stored() if item.name == "a")
    for _ in range(2):
        store.sink.remove(item)
        assert store.visible() == {"ab": b"ab", "a.b": b"a.b"}
    with pytest.raises(ArtifactMissing):
        list(store.sink.read("a"))
    staged(store.sink, "a", b"again").commit()
    assert b"".join(store.sink.read("a")) == b"again"


def test_all_can_be_removed_while_it_is_listed(store: Store, pages: None) -> None:
    """A listing goes on, whatever was removed of what it gave."""
    for number in range(7):
        store.put(f"a{number}", b"x")
        staged(store.sink, f"b{number}", b"x")
    for item in store.sink.stored():
        store.sink.remove(item)
    assert store.everything() == []


HOSTILE = [
    *("", ".", "..", "../a", "../../etc/passwd", "/etc/passwd", "sub/a", "a/../b", "a\\b", "a\0b"),
    *(".hidden", f"{STAGED_PREFIX}a.0123456789abcdef", "\ud800/"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_leads_elsewhere_is_refused(store: Store, name: str) -> None:
    """At the call, before anything is opened or removed."""
    store.put("a", b"theirs")
    with pytest.raises(SinkError, match="no name of an artifact"):
        store.sink.read(name)
    for told_as in (None, "a"):
        with pytest.raises(SinkError, match="no name of an artifact"):
            store.sink.remove(Stored(name, 0, told_as))
    assert store.visible() == {"a": b"theirs"}


def test_a_sink_tells_what_it_can(store: Store) -> None:
    """Links are signed only where the store can."""
    assert isinstance(store.sink, Storage)
    assert isinstance(store.sink, SigningSink) == isinstance(store, S3Store)
    assert issubclass(ArtifactMissing, SinkError)


# Local folders


@pytest.mark.parametrize(
    "name",
    ["a", "../a", "../../etc/passwd", f"{STAGED_PREFIX}0123456789abcdef", ".hidden"]
    + [f"{STAGED_PREFIX}b.0123456789abcdef", f"../{STAGED_PREFIX}a.0123456789abcdef"]
    + [f"{STAGED_PREFIX}../a.0123456789abcdef", f"{STAGED_PREFIX}a.0123456789ABCDEF", ""],
)
def test_what_is_no_staged_file_of_the_artifact_is_not_removed(
    local: LocalStore, name: str
) -> None:
    """Whatever somebody says that it is."""
    local.put("a", b"theirs")
    local.put(f"{STAGED_PREFIX}b.0123456789abcdef", b"theirs")
    before = local.everything()
    sink: Any = local.sink
    with pytest.raises(SinkError, match="no staged file"):
        sink.remove(Stored("a", 0, staged=name))
    assert local.everything() == before


def test_only_files_of_the_sink_are_listed(local: LocalStore) -> None:
    """No folders, links, pipes or hidden files; and what is none of these cannot be read."""
    local.put("a", b"x")
    for name in (".hidden", f"{STAGED_PREFIX}0123456789abcdef", ".a.part"):
        local.put(name, b"x")
    (local.folder / "folder").mkdir()
    (local.folder / f"{STAGED_PREFIX}f.0123456789abcdef").mkdir()
    (local.folder / "link").symlink_to(local.folder / "a")
    os.mkfifo(local.folder / "pipe")
    assert listed(local) == [("a", 1, False)]
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for name, error in (
        ("folder", ArtifactMissing),
        ("pipe", ArtifactMissing),
        ("link", SinkError),
    ):
        with pytest.raises(error):
            list(local.sink.read(name))  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_folder_that_cannot_be_listed_is_one_clear_error(tmp_path: Path) -> None:
    """A file stands in its place."""
    (tmp_path / "file").write_bytes(b"theirs")
    sink = LocalSink(tmp_path / "file")
    with pytest.raises(SinkError, match="cannot list"):
        list(sink.stored())
    with pytest.raises(ArtifactMissing):
        list(sink.read("a"))
    with pytest.raises(SinkError, match="cannot remove"):
        sink.remove(Stored("a", 0))


def test_a_removal_is_forced_to_the_disk(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a loss of power brings it back."""
    local.put("a", b"x")
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append((local.folder / "a").exists()))
    local.sink.remove(Stored("a", 1))  # type: ignore[attr-defined]
    assert synced == [False]


def test_no_file_stays_open_after_reading(local: LocalStore) -> None:
    """Read to its end, in part, not at all, or closed early."""
    local.put("a", LARGE)
    sink: Any = local.sink
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    list(sink.read("a"))
    list(sink.read("a", 1, 2))
    sink.read("a")
    list(sink.stored())
    for begun in (sink.read("a"), sink.stored()):
        next(begun)
        begun.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


# S3


def versions(bucket: S3Store) -> list[str]:
    """Return the keys of all versions and delete markers."""
    found = bucket.client.list_object_versions(Bucket=bucket.bucket)
    items = found.get("Versions", []) + found.get("DeleteMarkers", [])
    return sorted(item["Key"].removeprefix("folder/") for item in items)


def make_versioned(bucket: S3Store) -> None:
    status = {"Status": "Enabled"}
    bucket.client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration=status)


def delete(bucket: S3Store, name: str) -> None:
    bucket.client.delete_object(Bucket=bucket.bucket, Key=f"folder/{name}")


@pytest.mark.parametrize("is_deleted", [False, True])
def test_no_version_and_no_delete_marker_remains(
    bucket: S3Store, pages: None, is_deleted: bool
) -> None:
    """Of exactly that key; one from before the versions began is among them."""
    bucket.put("a", b"from before")
    make_versioned(bucket)
    for name in ("a", "a", "ab", "a.b", "A", "a", "ab"):
        bucket.put(name, name.encode())
    delete(bucket, "a")
    bucket.put("a", b"again")
    if is_deleted:
        delete(bucket, "a")
    delete(bucket, "ab")
    for _ in range(2):
        bucket.sink.remove(Stored("a", 1))  # type: ignore[attr-defined]
        assert versions(bucket) == ["A", "a.b", "ab", "ab", "ab"]


def test_no_delete_marker_is_set_for_what_is_missing(bucket: S3Store) -> None:
    """A removal makes nothing."""
    make_versioned(bucket)
    bucket.sink.remove(Stored("a", 1))  # type: ignore[attr-defined]
    assert versions(bucket) == []


def test_a_store_that_knows_no_versions(bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that it has not implemented them, and the object is removed as it is."""
    sink: Any = bucket.sink
    real = sink._fs.call_s3

    def call(method: str, **arguments: Any) -> Any:
        if method == "list_object_versions":
            from s3fs.errors import translate_boto_error

            error = Exception()
            error.response = {"Error": {"Code": "NotImplemented"}}  # type: ignore[attr-defined]
            raise translate_boto_error(error)
        return real(method, **arguments)

    monkeypatch.setattr(sink._fs, "call_s3", call)
    bucket.put("a", b"x")
    bucket.put("ab", b"x")
    for _ in range(2):
        sink.remove(Stored("a", 1))
    assert bucket.everything() == ["ab"]


def test_one_upload_is_ended_and_no_other(bucket: S3Store) -> None:
    """Neither another of the same key, nor one whose key begins alike or stands elsewhere."""
    sink: Any = bucket.sink
    keys = ("folder/a", "folder/a", "folder/ab", "folder/sub/a", "other/a", "a")
    ids = [
        bucket.client.create_multipart_upload(Bucket=bucket.bucket, Key=key)["UploadId"]
        for key in keys
    ]
    assert {(item.name, item.staged) for item in sink.stored()} == {
        *(("a", ids[0]), ("a", ids[1]), ("ab", ids[2]))
    }
    for _ in range(2):
        sink.remove(Stored("a", 0, staged=ids[0]))
    left = bucket.client.list_multipart_uploads(Bucket=bucket.bucket)["Uploads"]
    assert sorted(upload["UploadId"] for upload in left) == sorted(ids[1:])


def test_a_long_listing_comes_in_pages(bucket: S3Store, pages: None) -> None:
    """All of it, once; keys below a further slash and the folder's own mark are left out."""
    for name in ("", "sub/a", ".hidden", *(f"a{number}" for number in range(7))):
        bucket.put(name, b"x")
    assert [item[0] for item in listed(bucket)] == [f"a{number}" for number in range(7)]


def test_a_long_listing_of_uploads_comes_in_pages(
    bucket: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is asked for with the markers of the one before; a listing that breaks off is told."""
    sink: Any = bucket.sink
    markers = {"NextKeyMarker": "folder/a", "NextUploadIdMarker": "1"}
    answers: list[dict[str, Any]] = [
        {"Uploads": [{"Key": "folder/a", "UploadId": "1"}], "IsTruncated": True, **markers},
        {"Uploads": [{"Key": "folder/a", "UploadId": "2"}], "IsTruncated": True},
    ]
    asked = []

    def call(method: str, **arguments: Any) -> dict[str, Any]:
        if method == "list_objects_v2":
            return {}
        asked.append((arguments.get("KeyMarker"), arguments.get("UploadIdMarker")))
        return answers[len(asked) - 1]

    monkeypatch.setattr(sink._fs, "call_s3", call)
    found: Iterator[Stored] = sink.stored()
    assert [next(found).staged, next(found).staged] == ["1", "2"]
    assert asked == [(None, None), ("folder/a", "1")]
    with pytest.raises(SinkError, match="breaks off"):
        next(found)


def test_a_whole_bucket_is_a_storage_too(bucket: S3Store) -> None:
    """Without a prefix, keys are names."""
    fs = bucket.sink._fs  # type: ignore[attr-defined]
    sink: Any = FileSystemSink(f"s3://{bucket.bucket}", **fs.storage_options)
    staged(sink, "a", b"content").commit()
    bucket.put("a", b"theirs")
    assert list(sink.stored()) == [Stored("a", 7)]
    assert b"".join(sink.read("a", 3)) == b"tent"
    sink.remove(Stored("a", 7))
    assert bucket.visible() == {"a": b"theirs"}


def test_a_folder_of_keys_is_no_artifact(bucket: S3Store) -> None:
    """And a key with a version in it is not taken for the key before it."""
    bucket.put("a/b", b"x")
    bucket.put("c", b"x")
    with pytest.raises(ArtifactMissing):
        list(bucket.sink.read("a"))  # type: ignore[attr-defined]
    with pytest.raises(SinkError, match="no name of an artifact"):
        bucket.sink.read("c?versionId=null")  # type: ignore[attr-defined]


def test_a_bucket_that_is_missing_is_one_clear_error(bucket: S3Store) -> None:
    """It is not taken for an empty one."""
    fs = bucket.sink._fs  # type: ignore[attr-defined]
    sink: Any = FileSystemSink("s3://no-such-bucket/folder", **fs.storage_options)
    with pytest.raises(SinkError, match="cannot list"):
        list(sink.stored())
    with pytest.raises(SinkError, match="cannot remove"):
        sink.remove(Stored("a", 1))


# Links


def test_a_signed_link_gives_the_bytes_to_anybody(bucket: S3Store) -> None:
    """As long as the artifact is there."""
    sink: Any = bucket.sink
    name = "a b+c%20é.smime"
    staged(sink, name, b"content").commit()
    url = sink.signed_url(name, HOUR)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"content"
    sink.remove(Stored(name, 7))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url)
    caught.value.close()
    assert caught.value.code == 404


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [(HOUR, 3600), (timedelta(seconds=1.9), 1), (timedelta(days=7), 604800)],
)
def test_the_lifetime_of_a_link_is_signed_with_it(
    bucket: S3Store, lifetime: timedelta, seconds: int
) -> None:
    """The server ends the link by that; it is among what version 4 of the signatures covers."""
    sink: Any = bucket.sink
    url = urllib.parse.urlsplit(sink.signed_url("a", lifetime))
    query = urllib.parse.parse_qs(url.query)
    assert query["X-Amz-Expires"] == [str(seconds)]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert {"X-Amz-Date", "X-Amz-Signature"} <= set(query)


@pytest.mark.parametrize("seconds", [-1, 0, 0.5, 7 * 24 * 3600 + 1])
def test_a_lifetime_that_is_none_is_refused(bucket: S3Store, seconds: float) -> None:
    """Too short, or longer than signatures last."""
    sink: Any = bucket.sink
    with pytest.raises(JobError, match="live"):
        sink.signed_url("a", timedelta(seconds=seconds))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_link_leads_elsewhere(bucket: S3Store, name: str) -> None:
    """Names are as plain as for reading."""
    sink: Any = bucket.sink
    with pytest.raises(SinkError, match="no name of an artifact"):
        sink.signed_url(name, HOUR)


def test_without_credentials_nothing_is_signed(s3_endpoint: str) -> None:
    """The link would work for ever, or never."""
    sink: Any = FileSystemSink("s3://bucket/folder", anon=True, endpoint_url=s3_endpoint)
    with pytest.raises(SinkError, match="without credentials"):
        sink.signed_url("a", HOUR)


# Which sink it is


class Signing(MemoryFileSystem):  # type: ignore[misc]
    """A file system that signs, in its way."""

    protocol = "cdds-signing"

    def sign(self, path: str, expiration: int = 100, **_: Any) -> str:
        return f"https://host{path}?{expiration}"


def test_other_file_systems_that_can_sign_do() -> None:
    """As they do it."""
    fsspec.register_implementation("cdds-signing", Signing, clobber=True)
    sink = open_sink("cdds-signing://folder")
    assert isinstance(sink, SigningSink)
    assert sink.signed_url("a", HOUR).endswith("/a?3600")


class Remembering(MemoryFileSystem):  # type: ignore[misc]
    """A file system that lists once and remembers, until it is told that others wrote."""

    protocol = "cdds-remembering"
    listings: dict[str, Any] = {}  # noqa: RUF012

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        if path not in self.listings:
            self.listings[path] = super().ls(path, detail=detail, **options)
        return self.listings[path]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.listings.clear()


def test_a_file_system_that_remembers_its_listings_lists_anew() -> None:
    """What others have put there since counts."""
    fsspec.register_implementation("cdds-remembering", Remembering, clobber=True)
    sink: Any = open_sink("cdds-remembering://remembered")
    for number in range(3):
        fsspec.filesystem("memory").pipe_file(f"{sink._root}/{number}", b"x")
        assert len(list(sink.stored())) == number + 1


@pytest.mark.parametrize("url", ["memory://folder", "s3://bucket/folder", "s3a://bucket/folder"])
def test_a_sink_for_a_url_is_one_of_its_kind(url: str) -> None:
    """By whichever way it is made, and in another process."""
    pytest.importorskip("s3fs")
    sink = FileSystemSink(url)
    assert isinstance(sink, FileSystemSink)
    assert isinstance(sink, s3.S3Sink) == url.startswith("s3")
    assert type(open_sink(url)) is type(sink)
    again = pickle.loads(pickle.dumps(sink))
    assert (type(again), repr(again)) == (type(sink), repr(sink))
