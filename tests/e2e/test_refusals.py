"""Whatever is wrong gives one clear error, with file and line, and leaves the sink as it was."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import cdds
from cdds import sample
from cdds.errors import (
    ArtifactExists,
    Cancelled,
    CertificateError,
    JobError,
    RecordError,
    SinkError,
    SourceError,
    TooManyRejects,
)

Exporting = Callable[..., cdds.ExportResult]

SECRET = "never-to-be-told"
GOOD = b'{"IXNID":"1"}\n'

BAD_LINES = {
    "malformed": b'{"IXNID":"2","TEXT":"%s"\n',
    "two records on a line": b'{"IXNID":"%s"}{"IXNID":"3"}\n',
    "trailing comma": b'{"IXNID":"%s",}\n',
    "wrong type": b'{"IXNID":"2","STATUS":"%s"}\n',
    "missing key": b'{"TEXT":"%s"}\n',
    "not UTF-8": b'{"IXNID":"%s\xff"}\n',
    "not UTF-8 in an unknown field": b'{"IXNID":"2","unknown":"%s\xff"}\n',
    "no object": b'["%s"]\n',
    "NaN": b'{"IXNID":"%s","ALLATTRIBUTES":{"x":NaN}}\n',
    "nesting": b'{"IXNID":"%s","ALLATTRIBUTES":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}\n",
    "nesting in an unknown field": b'{"IXNID":"%s","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
}


def everything_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def told(error: BaseException) -> str:
    """Return all that an error tells, also through its causes and a formatted traceback."""
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES.keys())
@pytest.mark.parametrize("many", [0, 5000], ids=["first block", "later block"])
def test_a_bad_line_is_named_and_not_quoted(
    tmp_path: Path,
    export: Exporting,
    target: Path,
    bad: bytes,
    many: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "in.jsonl"
    filler = b'{"IXNID":"f","TEXT":"%s"}\n' % (b"x" * 500)
    path.write_bytes(GOOD + filler * many + bad.replace(b"%s", SECRET.encode()) + GOOD)
    with pytest.raises(RecordError) as caught:
        export(cdds.sources.JsonLines(interaction=path))
    assert caught.value.reject.position == many + 2
    assert f"{path}:{many + 2}: interaction" in str(caught.value)
    assert SECRET not in told(caught.value) + caplog.text
    assert not target.exists()


def test_a_line_too_long_is_refused_before_it_fills_the_memory(
    tmp_path: Path, export: Exporting, target: Path
) -> None:
    path = tmp_path / "in.jsonl"
    with path.open("wb") as file:
        file.write(GOOD + b'{"IXNID":"2","TEXT":"')
        file.truncate(200_000_000)
    with pytest.raises(RecordError, match=r"in\.jsonl:2: .* longer than 67108864 bytes"):
        export(cdds.sources.JsonLines(interaction=path), validate=False)
    assert not target.exists()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"split_size": 65535}, JobError, "split size"),
        ({"split_size": 4 * 1024**3}, JobError, "split size"),
        ({"split_size": "many"}, JobError, "not a size"),
        ({"media_types": []}, JobError, "empty"),
        ({"media_types": "chat"}, JobError, "list"),
        ({"job_id": "a/b"}, JobError, "job id"),
        ({"job_id": ""}, JobError, "job id"),
        ({"run_id": "x"}, JobError, "UUID"),
        ({"dataset": "Survey"}, JobError, "no dataset"),
        ({"dataset": "contact", "media_types": ["chat"]}, JobError, "no media types"),
        ({"on_invalid": "ignore"}, JobError, "on_invalid"),
        ({"max_rejects": -1}, JobError, "max_rejects"),
        ({"recipients": []}, CertificateError, "at least one"),
        ({"recipients": "missing.pem"}, CertificateError, "No such file"),
        ({"recipients": b"garbage"}, CertificateError, "no X.509 certificate"),
        ({"to": "nosuch://x"}, SinkError, "nosuch"),
        ({"to": "/proc/cdds/exports"}, SinkError, "cannot write"),
    ],
)
def test_what_makes_no_sense_is_refused(
    export: Exporting, target: Path, options: dict[str, Any], error: type, message: str
) -> None:
    dataset = options.pop("dataset", "Interaction")
    name = dataset.lower() if dataset != "Survey" else "interaction"
    with pytest.raises(error, match=message):
        export(cdds.sources.Records(**{name: ()}), dataset, **options)
    assert not target.exists()


@pytest.mark.parametrize("source", [cdds.sources.JsonLines, cdds.sources.JsonArray])
@pytest.mark.parametrize("what", ["missing", "folder", "foreign data file"])
def test_an_input_that_cannot_be_read(
    tmp_path: Path, export: Exporting, target: Path, source: Any, what: str
) -> None:
    (tmp_path / "folder").mkdir()
    name = "contact" if what == "foreign data file" else "interaction"
    with pytest.raises(SourceError) as caught:
        export(source(**{name: tmp_path / what}))
    assert what in str(caught.value) or "contact" in str(caught.value)
    assert not target.exists()


def test_a_schema_that_readers_do_not_take_is_refused_before_anything_is_read(
    export: Exporting, target: Path
) -> None:
    def read() -> Iterator[dict[str, Any]]:
        pytest.fail("it was read")
        yield {}

    schema = {"type": "object", "description": "é" * 2**19}
    thing = cdds.DataFile(name="thing", label="Thing", schema=schema)
    with pytest.raises(JobError, match=r"schema of thing has .* shorten it"):
        export(cdds.sources.Records(thing=read()), dataset=cdds.Dataset("Things", (thing,)))
    assert not everything_in(target)


def test_a_time_frame_that_ends_before_it_starts() -> None:
    with pytest.raises(JobError, match="before it starts"):
        cdds.Timeframe.between(datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
    with pytest.raises(JobError, match="aware"):
        cdds.Timeframe.between(datetime(2025, 1, 1), datetime(2025, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize("suffix", [".z01.smime", ".zip.smime", ".sha256"])
def test_a_name_that_exists_is_left_alone(export: Exporting, target: Path, suffix: str) -> None:
    run_id = "2b710a2c-0e7f-4918-983c-0c02d108eae0"
    target.mkdir()
    taken = target / f"export-{run_id}{suffix}"
    taken.write_text("somebody's")
    records = [{"IXNID": str(n), "TEXT": "x" * (n * n % 997)} for n in range(20_000)]
    with pytest.raises(ArtifactExists, match=taken.name):
        export(cdds.sources.Records(interaction=records), run_id=run_id, split_size="64 KiB")
    assert everything_in(target) == [taken]
    assert taken.read_text() == "somebody's"


def test_one_reject_too_many(export: Exporting, target: Path) -> None:
    records: list[dict[str, Any]] = [{"IXNID": "1"}, {"STATUS": 1}, {"STATUS": 2}]
    source = cdds.sources.Records(interaction=records)
    assert len(export(source, on_invalid="reject", max_rejects=2).rejects) == 2
    before = everything_in(target)
    with pytest.raises(TooManyRejects, match="max_rejects"):
        export(source, on_invalid="reject", max_rejects=1)
    assert everything_in(target) == before


class Stop(Exception):
    """A host's own error."""


@pytest.mark.parametrize("at", [0, 1, 700, 3999])
@pytest.mark.parametrize("split_size", [None, "64 KiB"])
def test_an_error_of_the_source_passes_through_unchanged(
    export: Exporting, target: Path, at: int, split_size: str | None
) -> None:
    error = Stop()

    def failing() -> Iterator[dict[str, Any]]:
        for number, record in enumerate(sample.interactions(4000, seed=1)):
            if number == at:
                raise error
            yield record

    with pytest.raises(Stop) as caught:
        export(cdds.sources.Records(interaction=failing), split_size=split_size)
    assert caught.value is error
    assert not target.exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cdds")]


@pytest.mark.parametrize("split_size", [None, "64 KiB"])
def test_cancelling_leaves_nothing(export: Exporting, target: Path, split_size: str | None) -> None:
    cancel = threading.Event()

    def records() -> Iterator[dict[str, Any]]:
        for number, record in enumerate(sample.interactions(5000, seed=1)):
            if number == 2500:
                cancel.set()
            yield record

    with pytest.raises(Cancelled):
        export(cdds.sources.Records(interaction=records), split_size=split_size, cancel=cancel)
    assert not target.exists()


def test_progress_is_told_and_ends_with_done(tmp_path: Path, export: Exporting) -> None:
    path = tmp_path / "in.jsonl"
    with path.open("wb") as file:
        count = sample.write_lines(sample.interactions(2000, seed=1), file)
    seen: list[cdds.Progress] = []
    export(cdds.sources.JsonLines(interaction=path), progress=seen.append)
    assert [progress.done for progress in seen] == [False] * (len(seen) - 1) + [True]
    assert seen[-1].records == count
    assert seen[-1].bytes_read == seen[-1].bytes_total == path.stat().st_size
    assert [p.bytes_read for p in seen] == sorted(p.bytes_read for p in seen)


def test_a_log_line_bears_the_run_and_nothing_of_the_records(
    export: Exporting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "cdds")
    result = export(cdds.sources.Records(interaction=[{"IXNID": SECRET, "TEXT": SECRET}]))
    assert caplog.records
    assert all(getattr(record, "run_id", None) == result.run_id for record in caplog.records)
    assert SECRET not in caplog.text + json.dumps(result.records)


class Hiding:
    """A host's source whose snapshot swallows the errors of an export."""

    def snapshot(self, *_: object) -> Hiding:
        return self

    def __enter__(self) -> Hiding:
        return self

    def __exit__(self, *_: object) -> bool:
        return True

    def records(self, _: str) -> Iterator[dict[str, Any]]:
        yield {"IXNID": "1"}
        raise ValueError(SECRET)


def test_a_snapshot_that_hides_an_error_does_not_make_a_set(
    export: Exporting, target: Path
) -> None:
    """What was read of it is not all there is."""
    with pytest.raises(SourceError, match="hid an error"):
        export(Hiding())
    assert not target.exists()
