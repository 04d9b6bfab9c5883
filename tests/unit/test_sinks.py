"""Sinks: nothing is visible before its commit, nothing stays after an abort, nothing is replaced.

The same laws for a local folder, for fsspec's memory, and for an S3 server on the loopback.
"""

from __future__ import annotations

import errno
import gc
import io
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import S3_KEYS, LocalStore, MemoryStore, Store, numbers, s3_store, staged

from cdds.errors import ArtifactExists, CddsError, JobError, MissingDependency, SinkError
from cdds.protocols import Buffer
from cdds.sinks import LocalSink, open_sink, s3
from cdds.sinks.filesystem import FileSystemSink
from cdds.sinks.local import STAGED_PREFIX
from cdds.staging import Staging

# The laws of every sink

CONTENTS: dict[str, list[Buffer]] = {
    "small": [b"content"],
    "empty": [],
    "pieces": [b"a", b"", bytearray(b"b"), memoryview(b"cd")],
    "megabytes": [bytes(range(256)) * 4096] * 12,  # more than one part of a multipart upload
}


@pytest.mark.parametrize("case", CONTENTS)
def test_an_artifact_is_visible_from_its_commit_on(store: Store, case: str) -> None:
    """Not while it is written, not when it is staged; then with exactly what was written."""
    upload = store.sink.create("a.smime")
    assert store.visible() == {}
    for chunk in CONTENTS[case]:
        upload.write(chunk)
        assert store.visible() == {}
    upload.stage()
    assert store.visible() == {}
    upload.commit()
    assert store.visible() == {"a.smime": b"".join(CONTENTS[case])}
    assert store.everything() == ["a.smime"]


@pytest.mark.parametrize("case", CONTENTS)
@pytest.mark.parametrize("when", ["created", "written", "staged", "committed"])
def test_an_abort_leaves_nothing(store: Store, case: str, when: str) -> None:
    """Whenever it comes, no artifact, no staged file and no unfinished upload stays."""
    upload = store.sink.create("a.smime")
    if when != "created":
        for chunk in CONTENTS[case]:
            upload.write(chunk)
    if when in {"staged", "committed"}:
        upload.stage()
    if when == "committed":
        upload.commit()
    upload.abort()
    assert store.everything() == []


@pytest.mark.parametrize("when", ["written", "staged", "committed"])
def test_an_abort_may_come_twice(store: Store, when: str) -> None:
    """The second one does nothing, even if somebody else has taken the name meanwhile."""
    upload = store.sink.create("a.smime")
    upload.write(b"content")
    if when != "written":
        upload.stage()
    if when == "committed":
        upload.commit()
    upload.abort()
    store.put("a.smime", b"theirs")
    upload.abort()
    assert store.visible() == {"a.smime": b"theirs"}


def test_an_existing_name_is_refused_at_once(store: Store) -> None:
    """Before anything is written; and what has the name is left as it is."""
    store.put("a.smime", b"theirs")
    with pytest.raises(ArtifactExists, match=r"a\.smime"):
        store.sink.create("a.smime")
    assert store.visible() == {"a.smime": b"theirs"}
    assert store.everything() == ["a.smime"]


@pytest.mark.parametrize("case", ["small", "megabytes"])
def test_a_name_taken_meanwhile_is_refused_at_the_commit(store: Store, case: str) -> None:
    """And the abort that follows takes back one's own and leaves theirs."""
    upload = staged(store.sink, "a.smime", *CONTENTS[case])
    store.put("a.smime", b"theirs")
    with pytest.raises(ArtifactExists, match=r"a\.smime"):
        upload.commit()
    upload.abort()
    assert store.visible() == {"a.smime": b"theirs"}
    assert store.everything() == ["a.smime"]


def test_two_uploads_of_one_name_end_in_one_artifact(store: Store) -> None:
    """The first to commit wins; the other is refused and leaves nothing."""
    first, second = (staged(store.sink, "a.smime", data) for data in (b"first", b"second"))
    first.commit()
    with pytest.raises(ArtifactExists):
        second.commit()
    second.abort()
    assert store.visible() == {"a.smime": b"first"}
    assert store.everything() == ["a.smime"]


def test_uploads_do_not_disturb_each_other(store: Store) -> None:
    """One is aborted, one is committed, one is another's."""
    store.put("theirs", b"theirs")
    one, two = (staged(store.sink, name, name.encode()) for name in ("one", "two"))
    one.abort()
    two.commit()
    assert store.visible() == {"two": b"two", "theirs": b"theirs"}
    assert store.everything() == ["theirs", "two"]


@given(st.lists(st.binary(max_size=50), max_size=8))
@settings(max_examples=25)
def test_any_chunks_are_stored_as_one(chunks: list[bytes]) -> None:
    """However they are cut, and nothing is kept of a buffer that is used again."""
    root = f"chunks-{next(numbers)}"
    store = MemoryStore(root, open_sink(f"memory://{root}"))
    upload = store.sink.create("a")
    for chunk in chunks:
        buffer = bytearray(chunk)
        upload.write(memoryview(buffer))
        buffer[:] = bytes(len(buffer))
    upload.stage()
    upload.commit()
    assert store.visible() == {"a": b"".join(chunks)}


# Sets: the staging on top of a sink


def test_a_set_is_staged_whole_and_then_made_visible_with_the_commit_mark_last(
    store: Store,
) -> None:
    """At no moment is there a commit mark without what it stands for."""
    with Staging(store.sink) as staging:
        artifacts = [staging.stage(f"{n}.smime", [b"x" * n], lambda _: None) for n in range(1, 4)]
        assert store.visible() == {}
        staging.commit("set.sha256", artifacts)
    assert sorted(store.visible()) == ["1.smime", "2.smime", "3.smime", "set.sha256"]
    assert store.everything() == sorted(store.visible())


@pytest.mark.parametrize("taken", ["1.smime", "2.smime", "set.sha256"])
@pytest.mark.parametrize("when", ["before", "after staging"])
def test_a_set_that_cannot_be_completed_is_taken_back(store: Store, taken: str, when: str) -> None:
    """A name of it is taken: nothing of the set is left, and theirs is as it was."""
    if when == "before":
        store.put(taken, b"theirs")
    with pytest.raises(ArtifactExists), Staging(store.sink) as staging:
        artifacts = [staging.stage(f"{n}.smime", [b"x"], lambda _: None) for n in (1, 2)]
        if when != "before":
            store.put(taken, b"theirs")
        staging.commit("set.sha256", artifacts)
    assert store.visible() == {taken: b"theirs"}
    assert store.everything() == [taken]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_set_whose_content_fails_is_taken_back(store: Store, error: type[BaseException]) -> None:
    """The error passes through unchanged; nothing is left."""

    def content() -> Iterator[bytes]:
        yield b"x" * 100
        raise error

    with pytest.raises(error), Staging(store.sink) as staging:
        staging.stage("1.smime", [b"x"], lambda _: None)
        staging.stage("2.smime", content(), lambda _: None)
    assert store.everything() == []


# Local folders


def test_a_staged_file_is_hidden_private_and_in_the_same_folder(local: LocalStore) -> None:
    """So the commit moves nothing, and nobody else can read it meanwhile."""
    staged(local.sink, "a.smime", b"x")
    (name,) = local.everything()
    assert name.startswith(STAGED_PREFIX)
    assert stat.S_IMODE((local.folder / name).stat().st_mode) == 0o600
    local.sink.create("b.smime").abort()


@pytest.mark.parametrize("when", ["created", "staged", "committed"])
@pytest.mark.parametrize("depth", [1, 3])
def test_folders_that_were_made_are_removed(tmp_path: Path, when: str, depth: int) -> None:
    """An abort leaves not even an empty folder."""
    folder = tmp_path.joinpath(*"abc"[:depth])
    upload = LocalSink(folder).create("a.smime")
    if when != "created":
        upload.stage()
    if when == "committed":
        upload.commit()
    upload.abort()
    assert list(tmp_path.iterdir()) == []


def test_folders_that_others_use_are_kept(tmp_path: Path) -> None:
    """Only what is empty and was made here is removed."""
    (tmp_path / "before").mkdir()
    LocalSink(tmp_path / "before").create("a").abort()
    assert (tmp_path / "before").is_dir()
    upload = LocalSink(tmp_path / "made" / "inner").create("a")
    (tmp_path / "made" / "theirs").write_bytes(b"theirs")
    upload.abort()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["theirs"]


def test_the_folders_of_a_set_are_removed_with_it(tmp_path: Path) -> None:
    """The first artifact makes them, and they go when the last is gone."""
    sink = LocalSink(tmp_path / "a" / "b")
    with pytest.raises(ValueError, match="stop"), Staging(sink) as staging:
        staging.stage("1", [b"x"], lambda _: None)
        staging.stage("2", [b"x"], lambda _: None)
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []


UNUSABLE: dict[str, Callable[[Path], Any]] = {
    "a file": lambda home: home / "file",
    "below a file": lambda home: home / "file" / "exports",
    "far below a file": lambda home: home / "file" / "a" / "b",
    "a name that is too long": lambda home: home / ("x" * 300),
    "below new folders a name that is too long": lambda home: home / "new" / "er" / ("x" * 300),
    "a null": lambda home: f"{home}/a\x00b",
    "a loop": lambda home: home / "loop" / "exports",
    "a dangling link": lambda home: home / "dangling",
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_folder_that_cannot_be_used_is_one_clear_error(tmp_path: Path, case: str) -> None:
    """Nothing is made on the way, and the message names the folder."""
    (tmp_path / "file").write_bytes(b"theirs")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "file" / "nowhere")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(SinkError, match="cannot write to"):
        LocalSink(UNUSABLE[case](tmp_path)).create("a.smime")
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_bytes() == b"theirs"


@pytest.mark.parametrize("name", ["x" * 300, "no/such/folder", "a\x00b"])
def test_a_name_that_cannot_be_used_is_one_clear_error(tmp_path: Path, name: str) -> None:
    """And the folder that was made for it is gone."""
    with pytest.raises(SinkError):
        staged(LocalSink(tmp_path / "new"), name).commit()
    left = [path for path in tmp_path.rglob("*") if not path.name.startswith(STAGED_PREFIX)]
    assert left in ([], [tmp_path / "new"])


@pytest.mark.parametrize("what", ["file", "folder", "link", "dangling link"])
def test_whatever_has_the_name_is_left_alone(local: LocalStore, what: str) -> None:
    """Also links that lead nowhere, at the beginning and at the commit."""
    target = local.folder / "a"
    upload = staged(local.sink, "a", b"mine")
    if what == "file":
        target.write_bytes(b"theirs")
    elif what == "folder":
        target.mkdir()
    else:
        target.symlink_to(local.folder / ("theirs" if what == "link" else "nowhere"))
    for attempt in (upload.commit, lambda: local.sink.create("a")):
        with pytest.raises(ArtifactExists):
            attempt()
    upload.abort()
    assert target.is_symlink() or target.exists()
    assert not (local.folder / "nowhere").exists()


def test_nothing_can_be_added_to_what_is_staged(local: LocalStore) -> None:
    """It would not be forced to the disk."""
    upload = staged(local.sink, "a", b"x")
    with pytest.raises(SinkError):
        upload.write(b"y")
    upload.abort()


Fault: TypeAlias = Callable[..., Any]


def failing(number: int, real: Fault | None = None, times: int = 10**9) -> Fault:
    """Return a function that fails so often, and then does what it should."""
    left = itertools.count(-times)

    def fail(*arguments: Any, **options: Any) -> Any:
        if next(left) < 0 or real is None:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    return fail


NO_LINKS = [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK]


@pytest.mark.parametrize("number", NO_LINKS)
@pytest.mark.parametrize("taken", [False, True])
def test_file_systems_without_hard_links(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int, taken: bool
) -> None:
    """The name is reserved instead, which refuses a taken one just the same."""
    monkeypatch.setattr(os, "link", failing(number))
    upload = staged(local.sink, "a", b"mine")
    if taken:
        local.put("a", b"theirs")
        with pytest.raises(ArtifactExists):
            upload.commit()
        upload.abort()
        assert local.visible() == {"a": b"theirs"}
    else:
        upload.commit()
        assert local.visible() == {"a": b"mine"}
    assert local.everything() == ["a"]
    if not taken:
        upload.abort()
        assert local.everything() == []


FAULTS = {
    "fsync": ([("fsync", errno.EIO)], "stage"),
    "close": ([("close", errno.EIO)], "stage"),
    "write": ([("write", errno.ENOSPC)], "write"),
    "link": ([("link", errno.EIO)], "commit"),
    "link, no space": ([("link", errno.ENOSPC)], "commit"),
    "unlink after link": ([("unlink", errno.EIO)], "commit"),
    "rename without links": ([("link", errno.EPERM), ("replace", errno.EIO)], "commit"),
    "open without links": ([("link", errno.EPERM), ("open", errno.ENOSPC)], "commit"),
    "close without links": ([("link", errno.EPERM), ("close", errno.EIO)], "commit"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_disk_leaves_nothing(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A system call fails once: one clear error, and after the abort nothing is left."""
    calls, when = FAULTS[fault]

    def break_it(step: str) -> None:
        if step == when:
            for name, number in calls:
                monkeypatch.setattr(os, name, failing(number, getattr(os, name), times=1))

    upload = local.sink.create("a")
    steps: dict[str, Callable[[], None]] = {
        "write": lambda: upload.write(b"x"),
        "stage": upload.stage,
        "commit": upload.commit,
    }
    with pytest.raises(SinkError) as caught:
        for step, act in steps.items():
            break_it(step)
            act()
    assert not isinstance(caught.value, ArtifactExists)
    assert "a: " in str(caught.value)
    monkeypatch.undo()
    upload.abort()
    assert local.everything() == []


@pytest.mark.parametrize("call", ["link", "unlink", "replace"])
@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("done_first", [False, True])
def test_an_interrupt_at_the_commit_leaves_nothing(
    local: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    links: bool,
    done_first: bool,
) -> None:
    """Ctrl-C just before or just after a system call: the abort takes everything back."""
    upload = staged(local.sink, "a", b"x")
    real = getattr(os, call)

    def interrupted(*arguments: Any, **options: Any) -> None:
        if done_first:
            real(*arguments, **options)
        raise KeyboardInterrupt

    if not links:
        monkeypatch.setattr(os, "link", failing(errno.EPERM))
    if links or call != "link":
        monkeypatch.setattr(os, call, interrupted)
    with suppress(KeyboardInterrupt):
        upload.commit()
    monkeypatch.undo()
    upload.abort()
    assert local.everything() == []


def test_short_writes_are_completed(local: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system may write less than it is given."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:3])))
    staged(local.sink, "a", b"0123456789" * 3, b"", b"x").commit()
    assert local.visible() == {"a": b"0123456789" * 3 + b"x"}


def test_what_is_staged_has_been_forced_to_the_disk(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a folder is made for it, that first; the file before the commit, then the folder."""
    synced: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    upload = staged(local.sink, "a", b"x")
    assert synced == ["folder", "file"]
    upload.commit()
    local.sink.sync()  # type: ignore[attr-defined]
    assert synced == ["folder", "file", "folder"]


def test_no_file_stays_open(local: LocalStore) -> None:
    """Whether committed, aborted or refused."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    staged(local.sink, "a", b"x").commit()
    local.sink.create("b").abort()
    with pytest.raises(ArtifactExists):
        local.sink.create("a")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


# S3


def test_a_listing_from_before_does_not_hide_a_taken_name(s3_endpoint: str) -> None:
    """File systems remember what they have listed; what was put there since counts."""
    store = s3_store(s3_endpoint)
    fs = store.sink._fs  # type: ignore[attr-defined]
    store.put("other", b"x")
    upload = staged(store.sink, "a", b"mine")
    fs.ls(f"{store.bucket}/folder")  # the host looks, with the same file system
    store.put("a", b"theirs")
    with pytest.raises(ArtifactExists):
        upload.commit()
    upload.abort()
    assert store.visible() == {"other": b"x", "a": b"theirs"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("parts", [1, 2])
def test_an_abort_on_s3_leaves_no_upload_behind(s3_endpoint: str, parts: int) -> None:
    """Multipart uploads cost money until somebody removes them; those of others stay."""
    store = s3_store(s3_endpoint)
    store.client.create_multipart_upload(Bucket=store.bucket, Key="theirs")
    upload = store.sink.create("a")
    for _ in range(parts * 2):
        upload.write(bytes(30_000_000))
    upload.stage()
    assert len(store.everything()) == 2
    upload.abort()
    assert store.everything() == ["upload of theirs"]


def test_no_more_than_a_block_is_held_in_memory(s3_endpoint: str) -> None:
    """What is sent is let go."""
    store = s3_store(s3_endpoint, block_size="5 MiB")
    upload: Any = store.sink.create("a")
    held = []
    for _ in range(20):
        upload.write(bytes(1_000_000))
        held.append(len(upload._file.buffer.getbuffer()))
    upload.abort()
    assert max(held) < 5 * 2**20 + 1_000_000


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_is_more_than_all_parts_hold_is_refused(
    s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do about it, and nothing is left."""
    monkeypatch.setattr(s3, "MAX_PARTS", 2)
    store = s3_store(s3_endpoint, block_size="5 MiB")
    upload = store.sink.create("a")
    upload.write(bytes(10 * 2**20))
    with pytest.raises(SinkError, match="set a split size, or a larger block size"):
        upload.write(b"x")
    upload.abort()
    assert store.everything() == []


@pytest.mark.parametrize("size", ["4 MiB", "many", -1, 0])
def test_a_block_size_that_is_none_is_refused(size: Any) -> None:
    """When the sink is made, before anything is written."""
    pytest.importorskip("s3fs")
    with pytest.raises(JobError):
        FileSystemSink("s3://bucket/folder", block_size=size, endpoint_url="http://127.0.0.1:9")


def test_a_server_that_is_gone_is_one_clear_error() -> None:
    """Errors of the store's own library do not leak out of the sink."""
    pytest.importorskip("s3fs")
    sink = FileSystemSink(
        "s3://bucket/folder",
        endpoint_url="http://127.0.0.1:9",
        config_kwargs={"retries": {"max_attempts": 1}, "connect_timeout": 1},
        **S3_KEYS,
    )
    with pytest.raises(SinkError, match="cannot write to"):
        sink.create("a")


def test_a_bucket_that_is_missing_is_one_clear_error(s3_endpoint: str) -> None:
    """At the latest when it is staged."""
    sink = FileSystemSink("s3://no-such-bucket/folder", endpoint_url=s3_endpoint, **S3_KEYS)
    with pytest.raises(SinkError, match="cannot write to"):
        staged(sink, "a", b"x").commit()


# Finding a sink


@pytest.mark.parametrize("form", ["{}", "file://{}", "local://{}", "file:{}", "~/exports"])
def test_a_folder_is_found_by_path_and_url(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five ways to write the same."""
    monkeypatch.setenv("HOME", str(tmp_path))
    sink = open_sink(form.format(tmp_path / "exports"))
    staged(sink, "a", b"x").commit()
    assert (tmp_path / "exports" / "a").read_bytes() == b"x"


def test_a_path_object_or_a_sink_is_taken_as_it_is(tmp_path: Path) -> None:
    """A host brings its own."""
    assert isinstance(open_sink(tmp_path), LocalSink)
    sink = LocalSink(tmp_path)
    assert open_sink(sink) is sink


@pytest.mark.parametrize(
    "target",
    [
        "s3://user:PASS/WORD@bucket/x",
        "nosuch://u:PASSWORD@h/x",
        "http+nosuch://u:PASSWORD@h?PASSWORD",
    ],
)
def test_no_error_tells_what_is_secret_in_a_target(target: str) -> None:
    """Who reads the log is not who may write there."""
    with pytest.raises((SinkError, MissingDependency)) as caught:
        open_sink(target)
    assert "WORD" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize("target", ["", "file:", "file://", "nosuch://x", "http+nosuch://x/y"])
def test_an_unknown_target_is_one_clear_error(target: str) -> None:
    """With what was wrong about it."""
    with pytest.raises((SinkError, MissingDependency)):
        open_sink(target)


def test_a_relative_folder_is_where_it_was_when_the_sink_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing the working folder later moves nothing."""
    monkeypatch.chdir(tmp_path)
    sink = open_sink("exports")
    monkeypatch.chdir("/")
    staged(sink, "a", b"x").commit()
    assert (tmp_path / "exports" / "a").exists()


class Publishing(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """A file system that publishes when a file is closed, whatever it was told."""

    protocol = "cdds-publishing"
    stored: dict[str, bytes] = {}  # noqa: RUF012
    cachable = False

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        stored = self.stored

        class File(io.BytesIO):
            def close(self) -> None:
                if not self.closed:
                    stored[path] = self.getvalue()
                super().close()

        assert mode == "wb"
        return File()

    def exists(self, path: str, **_: Any) -> bool:
        return path in self.stored

    def rm_file(self, path: str) -> None:
        del self.stored[path]


def test_a_file_system_that_cannot_hold_a_commit_back_is_refused() -> None:
    """Half an artifact would be visible there."""
    fsspec.register_implementation("cdds-publishing", Publishing, clobber=True)
    with pytest.raises(SinkError, match="cannot hold a commit back"):
        open_sink("cdds-publishing://exports").create("a")
    assert Publishing.stored == {}


@pytest.mark.parametrize("when", ["written", "staged", "committed", "aborted"])
def test_a_file_system_keeps_no_file_for_a_transaction(
    s3_endpoint: str, tmp_path: Path, when: str
) -> None:
    """fsspec would keep each with its buffers, and file systems live as long as the process."""
    on_disk = FileSystemSink(f"file://{tmp_path}/exports", auto_mkdir=True)
    sinks: list[Any] = [on_disk, s3_store(s3_endpoint).sink]
    for sink in sinks:
        upload = sink.create("a.smime")
        upload.write(b"content")
        if when in {"staged", "committed"}:
            upload.stage()
        if when == "committed":
            upload.commit()
        if when == "aborted":
            upload.abort()
        assert not sink._fs.transaction.files
        upload.abort()


def test_what_is_aborted_is_not_sent_when_it_is_collected(s3_endpoint: str) -> None:
    """One of fsspec's files sends what it still holds when nobody refers to it any more."""
    store = s3_store(s3_endpoint)
    for content in (b"", b"content", bytes(6 * 1024 * 1024)):
        upload = store.sink.create("a.smime")
        upload.write(content)
        upload.abort()
        del upload
        gc.collect()
        assert store.everything() == []


def test_every_refusal_is_in_the_tree_of_errors() -> None:
    """One except clause catches them all."""
    assert issubclass(ArtifactExists, SinkError)
    assert issubclass(SinkError, CddsError)
