"""The contract of sinks.

Place: among the contracts. What is in a sink is looked at through the sink itself where it is a
`Storage`, and otherwise as the author says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cdds.api import export
from cdds.crypto.selfsigned import self_signed
from cdds.datasets import INTERACTION
from cdds.errors import ArtifactExists, CddsError
from cdds.protocols import Buffer, DurableSink, Sink, Storage, Upload
from cdds.sources import Records
from cdds.staging import Staging
from cdds.testing.leftovers import nothing_left, peak

_MIB = 1024 * 1024
_LARGE = [bytes(range(256)) * (_MIB // 256)] * 12  # more than one part of a multipart upload
_CONTENTS: dict[str, list[Buffer]] = {
    "small": [b"content"],
    "empty": [],
    "pieces": [b"a", b"", bytearray(b"b"), memoryview(b"cd")],
    "large": [*_LARGE, b"end"],
}
_STEPS = ("created", "written", "staged", "committed")

every_content = pytest.mark.parametrize("content", _CONTENTS.values(), ids=list(_CONTENTS))
at_every_step = pytest.mark.parametrize("step", _STEPS)


class _Stop(Exception):
    """What a host's own code raises."""


class SinkContract:
    """What the library relies on of every sink; subclass it and say how one is made.

        class TestMySink(cdds.testing.SinkContract):
            @pytest.fixture
            def sink(self, tmp_path):
                return MySink(tmp_path)

    Attributes:
        memory: the most bytes that Python may allocate while 64 MiB are written; None where the
            sink keeps all in memory, as that is what it is for.
    """

    memory: int | None = 32 * _MIB

    @pytest.fixture
    def sink(self) -> Sink:
        """Return an empty sink; each contract has its own."""
        pytest.fail(f"{type(self).__name__} has no fixture sink")

    def visible(self, sink: Any) -> dict[str, bytes]:
        """Return what a reader sees, by its name; to be written for what is no `Storage`."""
        storage = _storage(sink)
        names = [item.name for item in storage.stored() if item.staged is None]
        return {name: b"".join(storage.read(name)) for name in names}

    def everything(self, sink: Any) -> list[str]:
        """Return the names of all that is there, in order, also what is hidden or not complete.

        To be written for what is no `Storage`, or where more may be left than it lists.
        """
        return sorted(item.staged or item.name for item in _storage(sink).stored())

    # --- commit -----------------------------------------------------------------------------------

    @every_content
    def test_an_artifact_is_visible_from_its_commit_on(
        self, sink: Sink, content: Sequence[Buffer]
    ) -> None:
        """Not while it is written, not when it is staged; then with exactly what was written."""
        upload = sink.create("a.smime")
        assert self.visible(sink) == {}
        for chunk in content:
            upload.write(chunk)
        assert self.visible(sink) == {}
        upload.stage()
        assert self.visible(sink) == {}
        upload.commit()
        found = self.visible(sink)
        assert list(found) == ["a.smime"]
        assert found["a.smime"] == b"".join(content)
        assert len(self.everything(sink)) == 1

    def test_bytes_are_taken_at_once(self, sink: Sink) -> None:
        """What is written is the caller's again when `write` returns, and may be changed."""
        upload = sink.create("a.smime")
        buffer = bytearray(b"content")
        upload.write(buffer)
        buffer[:] = b"changed"
        upload.stage()
        upload.commit()
        assert self.visible(sink) == {"a.smime": b"content"}

    def test_uploads_do_not_disturb_each_other(self, sink: Sink) -> None:
        """Several are under way at once, as the segments of an export are."""
        uploads = {f"{number}.smime": sink.create(f"{number}.smime") for number in range(3)}
        for turn in range(3):
            for name, upload in uploads.items():
                upload.write(f"{name}, {turn}\n".encode())
        for upload in uploads.values():
            upload.stage()
        for upload in reversed(uploads.values()):
            upload.commit()
        assert self.visible(sink) == {
            name: b"".join(f"{name}, {turn}\n".encode() for turn in range(3)) for name in uploads
        }

    def test_commits_can_be_made_durable(self, sink: Sink) -> None:
        """`sync` of a `DurableSink` changes nothing that is seen, whenever it comes."""
        if not isinstance(sink, DurableSink):
            pytest.skip("its commits are durable by themselves")
        upload = _staged(sink, "a.smime", b"content")
        upload.commit()
        for _ in range(2):
            sink.sync()
            assert self.visible(sink) == {"a.smime": b"content"}

    # --- names ------------------------------------------------------------------------------------

    def test_a_taken_name_is_refused_at_once(self, sink: Sink) -> None:
        """Before anything is written; and what has the name is left as it is."""
        _staged(sink, "a.smime", b"theirs").commit()
        before = self.everything(sink)
        with pytest.raises(ArtifactExists):
            sink.create("a.smime")
        assert self.visible(sink) == {"a.smime": b"theirs"}
        assert self.everything(sink) == before

    def test_a_name_taken_meanwhile_is_refused_at_the_commit(self, sink: Sink) -> None:
        """And the abort that follows takes back one's own and leaves theirs."""
        ours, theirs = (_staged(sink, "a.smime", data) for data in (b"ours", b"theirs"))
        theirs.commit()
        with pytest.raises(ArtifactExists):
            ours.commit()
        ours.abort()
        assert self.visible(sink) == {"a.smime": b"theirs"}
        assert len(self.everything(sink)) == 1

    # --- abort ------------------------------------------------------------------------------------

    @at_every_step
    @every_content
    def test_an_abort_leaves_nothing(
        self, sink: Sink, content: Sequence[Buffer], step: str
    ) -> None:
        """Whenever it comes: no artifact, nothing staged, no unfinished upload."""
        _at(sink, step, content).abort()
        assert self.visible(sink) == {}
        assert self.everything(sink) == []

    @at_every_step
    def test_an_abort_may_come_twice(self, sink: Sink, step: str) -> None:
        """The second one does nothing, even if somebody else has taken the name meanwhile."""
        upload = _at(sink, step, [b"ours"])
        upload.abort()
        _staged(sink, "a.smime", b"theirs").commit()
        upload.abort()
        assert self.visible(sink) == {"a.smime": b"theirs"}

    def test_an_abort_leaves_what_is_not_its_own(self, sink: Sink) -> None:
        """Others' artifacts stay, and so does what others stage, also under the same name."""
        _staged(sink, "theirs.smime", b"theirs").commit()
        staged = _staged(sink, "a.smime", b"staged")
        _at(sink, "written", [b"ours"]).abort()
        staged.commit()
        assert self.visible(sink) == {"a.smime": b"staged", "theirs.smime": b"theirs"}

    def test_leaving_without_a_commit_leaves_nothing(self, sink: Sink) -> None:
        """When an export is broken off, whatever it had staged is taken back."""

        def break_off() -> None:
            with Staging(sink) as staging:
                for name in ("a.z01.smime", "a.zip.smime"):
                    staging.stage(name, [b"content"], lambda _: None)
                raise _Stop

        with pytest.raises(_Stop):
            break_off()
        assert self.everything(sink) == []

    # --- what it takes ----------------------------------------------------------------------------

    def test_no_file_stays_open(self, sink: Sink, tmp_path: Path) -> None:
        """After a commit or an abort, also of what was only begun; nor does a temporary file.

        Connections may stay, for a sink may keep them to use them again.
        """
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        _staged(sink, "first.smime", b"content").commit()
        with nothing_left(temporary, connections=False):
            committed = _staged(sink, "a.smime", b"content")
            committed.commit()
            del committed
            for step in _STEPS[:-1]:
                _at(sink, step, [b"content"], name=f"{step}.smime").abort()

    def test_memory_is_bounded(self, sink: Sink) -> None:
        """An artifact is sent on as it comes, and not gathered."""
        if self.memory is None:
            pytest.skip("it keeps all in memory")

        def write() -> None:
            upload = sink.create("a.smime")
            for _ in range(64):
                upload.write(bytes(_MIB))
            upload.stage()
            upload.commit()

        assert peak(write) < self.memory

    # --- the whole way ----------------------------------------------------------------------------

    def test_an_export_is_whole(self, sink: Sink) -> None:
        """All artifacts are there with the bytes that were sealed, and the file of digests."""
        records = [{"IXNID": f"{number:06}", "SUBJECT": "x" * 100} for number in range(1000)]
        result = export(
            Records(interaction=records), dataset=INTERACTION, to=sink, recipients=_certificate()
        )
        found = self.visible(sink)
        assert set(found) == {result.digests, *(artifact.name for artifact in result.artifacts)}
        for artifact in result.artifacts:
            assert hashlib.sha256(found[artifact.name]).hexdigest() == artifact.sha256
            assert artifact.sha256.encode() in found[result.digests]

    def test_an_export_that_fails_leaves_nothing(self, sink: Sink) -> None:
        """No part of it, and no file of digests, which would say that it is complete."""
        records = [{"IXNID": f"{number:06}"} for number in range(1000)]
        source = Records(interaction=[*records, {"IXNID": 7}])
        with pytest.raises(CddsError):
            export(source, dataset=INTERACTION, to=sink, recipients=_certificate())
        assert self.everything(sink) == []


@cache
def _certificate() -> bytes:
    """Return a certificate to seal for, made once."""
    now = datetime.now(UTC) - timedelta(hours=1)
    return self_signed("contract", now=now, days=2)[1]


def _storage(sink: Any) -> Storage:
    if not isinstance(sink, Storage):
        pytest.fail("it is no Storage, so the contract has to say what is visible, and everything")
    return sink


def _staged(sink: Sink, name: str, *content: Buffer) -> Upload:
    return _at(sink, "staged", content, name=name)


def _at(sink: Sink, step: str, content: Sequence[Buffer], *, name: str = "a.smime") -> Upload:
    """Return an upload that has got as far as a step."""
    reached = _STEPS.index(step)
    upload = sink.create(name)
    if reached >= 1:
        for chunk in content:
            upload.write(chunk)
    if reached >= 2:
        upload.stage()
    if reached >= 3:
        upload.commit()
    return upload
