"""Each law can be broken: sources and sinks with one fault each are caught by the law it breaks.

A contract that everything passes proves nothing. Each fault is a small change of a source or a sink
that keeps the contract; it is run by pytest as its author would run it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

import pytest

SOURCES = '''
import itertools, tempfile, threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

import cdds
from cdds.errors import SourceError
from cdds.records.criteria import timestamp
from cdds.testing import SourceContract

TICK = timedelta(microseconds=1)


class Source:
    """Selects by itself, and keeps the contract."""

    def __init__(self, records):
        self.given = records
        self.opened = 0

    @contextmanager
    def snapshot(self, dataset, selection):
        known = {file.name for file in dataset.files}
        if self.unknown_is_refused and set(self.given) - known:
            raise SourceError("unknown")
        self.opened += 1
        yield self.snapshot_of(self.given, dataset, selection)

    unknown_is_refused = True
    tells_undated = False

    def snapshot_of(self, given, dataset, selection):
        return Snapshot(given, dataset, selection)


class Snapshot:
    def __init__(self, given, dataset, selection):
        self.given = given
        self.files = {file.name: file for file in dataset.files}
        self.selection = selection

    def records(self, data_file):
        file = self.files[data_file]
        for record in self.given.get(data_file, ()):
            if self.has_type(record, file) and self.is_in(record, file):
                yield record

    def has_type(self, record, file):
        types = self.selection.media_types
        return not types or not file.media_type or (
            str(record.get(file.media_type)).casefold() in types
        )

    def moment(self, record, file):
        texts = [record[name] for name in file.timestamps if record.get(name)]
        return timestamp(texts[0], "") if texts else None

    def is_in(self, record, file):
        if self.selection.timeframe is None or not file.timestamps:
            return True
        moment = self.moment(record, file)
        return moment is not None and self.contains(moment, self.selection.timeframe)

    def contains(self, moment, frame):
        return moment in frame
'''

SOURCE_FAULTS = {
    "none": ("", "", None),
    "a value is lost": (
        """
        def records(self, data_file):
            for record in super().records(data_file):
                yield {name: value for name, value in record.items() if value is not True
                       and name != "SUBJECT"}
        """,
        "",
        "test_every_record_arrives_whole",
    ),
    "the last record is lost": (
        """
        def records(self, data_file):
            found = super().records(data_file)
            if self.selection.timeframe or self.selection.media_types:
                return found
            return (one for one, following in itertools.pairwise([*found, None]) if following
                    ) if len(self.given) > 1 else found
        """,
        "",
        "test_every_record_arrives_whole",
    ),
    "a file that is missing is an error": (
        """
        def records(self, data_file):
            if data_file not in self.given:
                raise SourceError("no such table")
            return super().records(data_file)
        """,
        "",
        "test_what_it_does_not_have_is_empty",
    ),
    "an unknown file is ignored": (
        "",
        "unknown_is_refused = False",
        "test_a_data_file_of_another_dataset_is_refused",
    ),
    "other records the second time": (
        """
        def records(self, data_file):
            self.times = getattr(self, "times", 0) + 1
            found = super().records(data_file)
            return reversed(list(found)) if self.times % 4 == 2 else found
        """,
        "",
        "test_reads_are_repeatable",
    ),
    "one cursor for all": (
        """
        def records(self, data_file):
            self.cursor = super().records(data_file)
            while (one := next(self.cursor, None)) is not None:
                yield one
        """,
        "",
        "test_two_reads_do_not_disturb_each_other",
    ),
    "opened once only": (
        "",
        """
        def snapshot_of(self, given, dataset, selection):
            window = selection.timeframe or selection.media_types
            if self.opened > 1 and not window and threading.current_thread().name != "MainThread":
                raise SourceError("in use")
            return Snapshot(given, dataset, selection)
        """,
        "test_a_source_is_opened_many_times",
    ),
    "the window begins too late": (
        "def contains(self, moment, frame): return moment in frame and moment != frame.start",
        "",
        "test_a_window_leaves_out_nothing_that_it_wants",
    ),
    "the window ends a microsecond early": (
        "def contains(self, moment, frame): return moment in frame and moment + TICK != frame.end",
        "",
        "test_a_window_leaves_out_nothing_that_it_wants",
    ),
    "zones are not understood": (
        """
        def moment(self, record, file):
            texts = [record[name] for name in file.timestamps if record.get(name)]
            return datetime.fromisoformat(texts[0]).replace(tzinfo=UTC) if texts else None
        """,
        "",
        "test_a_window_leaves_out_nothing_that_it_wants",
    ),
    "the window is closed": (
        "def contains(self, moment, frame): return moment in frame or moment == frame.end",
        "",
        "test_a_window_holds_nothing_else",
    ),
    "the window begins a microsecond early": (
        """
        def contains(self, moment, frame):
            return moment in frame or (frame.start and moment + TICK == frame.start)
        """,
        "",
        "test_a_window_holds_nothing_else",
    ),
    "what has no moment comes along": (
        """
        def is_in(self, record, file):
            return super().is_in(record, file) or self.moment(record, file) is None
        """,
        "",
        "test_a_window_holds_nothing_else",
    ),
    "what has no moment is passed on and not said to be": (
        """
        def is_in(self, record, file):
            return super().is_in(record, file) or not self.moment(record, file)
        """,
        "",
        "test_a_window_holds_nothing_else",
    ),
    "what has no moment is said to be passed on": (
        "",
        "tells_undated = True",
        "test_a_window_holds_nothing_else",
    ),
    "what has no moment is passed on and said to be": (
        """
        def is_in(self, record, file):
            return super().is_in(record, file) or not self.moment(record, file)
        """,
        "tells_undated = True",
        None,
    ),
    "case matters": (
        """
        def has_type(self, record, file):
            types = self.selection.media_types
            return not types or not file.media_type or record.get(file.media_type) in types
        """,
        "",
        "test_media_types_leave_out_nothing_that_they_want",
    ),
    "children are left out": (
        """
        def is_in(self, record, file):
            return super().is_in(record, file) and not (file.parent and self.selection.timeframe)
        """,
        "",
        "test_what_belongs_to_a_wanted_record_is_not_left_out",
    ),
    "an exception is hidden": (
        "",
        """
        @contextmanager
        def snapshot(self, dataset, selection):
            with super().snapshot(dataset, selection) as snapshot:
                try:
                    yield snapshot
                except Exception as error:
                    if isinstance(error, (SourceError, GeneratorExit)) or self.opened > 1:
                        raise
        """,
        "test_an_exception_passes_through",
    ),
    "a file stays open": (
        """
        def records(self, data_file):
            open_files.append(open(__file__))
            return super().records(data_file)
        """,
        "",
        "test_nothing_is_left_behind",
    ),
    "a temporary file stays": (
        """
        def records(self, data_file):
            tempfile.mkdtemp()
            return super().records(data_file)
        """,
        "",
        "test_nothing_is_left_behind",
    ),
    "all is read into memory": (
        "def records(self, data_file): return iter(list(super().records(data_file)))",
        "",
        "test_memory_is_bounded",
    ),
    "lines are counted wrongly": (
        """
        def lines(self, data_file):
            first = 1
            for line in lines_of(self, data_file):
                yield Lines(line, first, 1)
                first += 2
        """,
        "",
        "test_lines_are_the_records",
    ),
    "numbers do not grow": (
        """
        def located(self, data_file):
            return (("", 1, one) for one in self.records(data_file))
        """,
        "",
        "test_located_records_are_the_records",
    ),
    "it has what it says it has not": (
        "def has(self, data_file): return data_file == 'document'",
        "",
        "test_what_it_says_it_has_is_true",
    ),
    "the size is what remains": (
        """
        def size(self):
            self.left = getattr(self, "left", 100) - 1
            return self.left
        """,
        "",
        "test_its_size_is_told_once_and_for_all",
    ),
    "the size is no number of bytes": (
        "def size(self): return -1",
        "",
        "test_its_size_is_told_once_and_for_all",
    ),
    "the size is reckoned, and too small": (
        """
        def size(self):
            return 1

        def lines(self, data_file):
            at = 0
            for number, line in enumerate(lines_of(self, data_file), start=1):
                at += len(line)
                yield Lines(line, number, 1, "", at)
        """,
        "",
        None,
    ),
}

ALSO = {
    # What an export reads is what a snapshot gives, so it sees these too.
    "a value is lost": {"test_an_export_holds_what_was_read"},
    "the last record is lost": {
        "test_an_export_holds_what_was_read",
        "test_two_reads_do_not_disturb_each_other",
    },
    # A moment that is misread is in one window too few, and in one too many.
    "zones are not understood": {"test_a_window_holds_nothing_else"},
    "it has what it says it has not": {"test_what_it_does_not_have_is_empty"},
}

SOURCE_TEST = """

open_files = []
from cdds.protocols import Lines

def lines_of(snapshot, data_file):
    from cdds.records.serialise import serialise
    return map(serialise, snapshot.records(data_file))


class FaultySnapshot(Snapshot):
    pass
{snapshot}

class Faulty(Source):
    def snapshot_of(self, given, dataset, selection):
        return FaultySnapshot(given, dataset, selection)
{source}

class TestFaulty(SourceContract):
    selects = True
    tells_undated = Faulty.tells_undated
    many = 2000

    @pytest.fixture
    def new_source(self):
        return Faulty
"""

SINKS = """
import pytest

from cdds.errors import ArtifactExists, ArtifactMissing, JobError, SinkError
from cdds.protocols import Stored
from cdds.sinks import LocalSink
from cdds.sinks.local import LocalUpload
from cdds.testing import SinkContract, StorageContract


class Sink(LocalSink):
    def create(self, name):
        return Upload(self, super().create(name))


class Upload:
    def __init__(self, sink, upload):
        self.sink, self.upload, self.name = sink, upload, upload._name

    def write(self, data):
        self.upload.write(data)

    def stage(self):
        self.upload.stage()

    def commit(self):
        self.upload.commit()

    def abort(self):
        self.upload.abort()
"""

SINK_FAULTS = {
    "none": ("", "", set()),
    "it publishes when it stages": (
        """
        def stage(self):
            self.upload.stage()
            self.upload.commit()
        def commit(self): pass
        """,
        "",
        {
            "test_an_artifact_is_visible_from_its_commit_on",
            # And all others that stage what nobody may see.
            "test_a_name_taken_meanwhile_is_refused_at_the_commit",
            "test_an_abort_leaves_what_is_not_its_own",
            "test_what_is_missing_is_an_error",
            "test_what_is_staged_is_listed_and_removed",
            "test_a_committed_artifact_is_removed_and_not_what_is_staged",
        },
    ),
    "it overwrites": (
        """
        def commit(self):
            (self.sink._folder / self.name).unlink(missing_ok=True)
            self.upload.commit()
        """,
        "",
        {"test_a_name_taken_meanwhile_is_refused_at_the_commit"},
    ),
    "a taken name is noticed late": (
        "",
        """
        def create(self, name):
            try:
                return super().create(name)
            except ArtifactExists:
                return super().create(name + ".new")
        """,
        {"test_a_taken_name_is_refused_at_once"},
    ),
    "it keeps a reference": (
        """
        held = ()
        def write(self, data): self.held = (*self.held, data)
        def stage(self):
            for data in self.held: self.upload.write(data)
            self.upload.stage()
        """,
        "",
        {"test_bytes_are_taken_at_once", "test_memory_is_bounded"},
    ),
    "all is gathered": (
        """
        held = b""
        def write(self, data): self.held += data
        def stage(self):
            self.upload.write(self.held)
            self.upload.stage()
        """,
        "",
        {"test_memory_is_bounded"},
    ),
    "one upload at a time": (
        "",
        """
        def create(self, name):
            upload = super().create(name)
            upload.upload = getattr(self, "shared", upload.upload)
            if name.startswith("0"):
                self.shared = upload.upload
            return upload
        """,
        {"test_uploads_do_not_disturb_each_other"},
    ),
    "an abort leaves what was staged": (
        """
        def stage(self):
            self.upload.stage()
            self.is_staged = True
        def abort(self):
            if getattr(self, "is_staged", False) and self.upload._committed is False:
                return
            self.upload.abort()
        """,
        "",
        {
            "test_an_abort_leaves_nothing",
            "test_a_name_taken_meanwhile_is_refused_at_the_commit",
            "test_leaving_without_a_commit_leaves_nothing",
        },
    ),
    "what an export began is not taken back": (
        """
        def abort(self):
            if not self.name.startswith("export-"):
                self.upload.abort()
        """,
        "",
        {"test_an_export_that_fails_leaves_nothing"},
    ),
    "an abort leaves what was committed": (
        """
        def commit(self):
            self.upload.commit()
            self.upload._committed = False
        """,
        "",
        {"test_an_abort_leaves_nothing", "test_an_abort_may_come_twice"},
    ),
    "an abort removes by name": (
        """
        def abort(self):
            self.upload.abort()
            (self.sink._folder / self.name).unlink(missing_ok=True)
        """,
        "",
        {"test_an_abort_may_come_twice", "test_a_name_taken_meanwhile_is_refused_at_the_commit"},
    ),
    "an abort clears up": (
        """
        def abort(self):
            self.upload.abort()
            for path in self.sink._folder.glob(".cdds-staged-*"):
                path.unlink()
        """,
        "",
        {"test_an_abort_leaves_what_is_not_its_own"},
    ),
    "a file stays open": (
        """
        def commit(self):
            self.upload.commit()
            kept.append(open(self.sink._folder / self.name))
        """,
        "",
        {"test_no_file_stays_open"},
    ),
    "a sync moves things": (
        "",
        """
        def sync(self):
            for path in self._folder.iterdir():
                if path.name == "a.smime":
                    path.rename(path.with_suffix(".durable"))
        """,
        {"test_commits_can_be_made_durable"},
    ),
    "the digests are of something else": (
        """
        def write(self, data):
            self.upload.write(data[::-1] if self.name.endswith("sha256") else data)
        """,
        "",
        {"test_an_export_is_whole"},
    ),
    "ranges are closed": (
        "",
        """
        def read(self, name, start=0, end=None):
            return super().read(name, start, end + 1 if (end or -1) >= 0 else end)
        """,
        {"test_every_range_is_given_back"},
    ),
    "a range from the end is a slice": (
        "",
        """
        def read(self, name, start=0, end=None):
            return super().read(name, max(start, 0), end and max(end, 0))
        """,
        {"test_a_range_from_the_end_is_refused"},
    ),
    "what is missing is empty": (
        "",
        """
        def read(self, name, start=0, end=None):
            found = super().read(name, start, end)
            def pieces():
                try:
                    yield from found
                except ArtifactMissing:
                    return
            return pieces()
        """,
        {"test_what_is_missing_is_an_error"},
    ),
    "chunks are large": (
        "",
        """
        def read(self, name, start=0, end=None):
            found = super().read(name, start, end)
            return filter(None, (b"".join(found) for _ in range(1)))
        """,
        {
            "test_what_was_committed_is_listed_and_given_back",
            "test_two_readers_do_not_disturb_each_other",
        },
    ),
    "a prefix is part of a name": (
        "",
        """
        def stored(self, prefix=""):
            return (item for item in super().stored() if prefix in item.name)
        """,
        {"test_a_prefix_is_the_beginning_of_the_name"},
    ),
    "what is staged is hidden": (
        "",
        """
        def stored(self, prefix=""):
            return (item for item in super().stored(prefix) if item.staged is None)
        """,
        {
            "test_what_is_staged_is_listed_and_removed",
            "test_a_prefix_is_the_beginning_of_the_name",
        },
    ),
    "removing takes all of a beginning": (
        "",
        """
        def remove(self, item):
            super().remove(item)
            for path in self._folder.glob(item.name + "?"):
                path.unlink()
        """,
        {"test_removing_leaves_the_others_and_may_come_twice"},
    ),
    "removing takes what is staged too": (
        "",
        """
        def remove(self, item):
            super().remove(item)
            for other in list(self.stored()):
                if other.name == item.name and other.staged and not item.staged:
                    super().remove(other)
        """,
        {"test_a_committed_artifact_is_removed_and_not_what_is_staged"},
    ),
    "a listing is of the moment": (
        "",
        """
        def stored(self, prefix=""):
            for number, item in enumerate(super().stored(prefix)):
                if number < 10:
                    yield item
        """,
        {"test_all_can_be_removed_while_it_is_listed"},
    ),
    "names lead elsewhere": (
        "",
        """
        def read(self, name, start=0, end=None):
            return super().read(name.strip("./") or "a", start, end)
        """,
        {"test_a_name_that_leads_elsewhere_is_refused"},
    ),
}

SINK_TEST = """

kept = []


class FaultyUpload(Upload):
    pass
{upload}

class Faulty(Sink):
    def create(self, name):
        upload = Sink.create(self, name)
        return FaultyUpload(self, upload.upload)
{sink}

class TestFaulty(SinkContract, StorageContract):
    @pytest.fixture
    def sink(self, tmp_path):
        return Faulty(tmp_path / "exports")
"""


def indented(code: str) -> str:
    """Return code as the body of a class."""
    lines = code.strip("\n").splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(f"    {line[margin:]}" for line in lines)


Broken: TypeAlias = "dict[int, set[str]]"


def broken_by(folder: Path, common: str, tests: list[str]) -> Broken:
    """Return which laws each faulty class breaks, by its number; all are run by one pytest."""
    numbered = (test.replace("Faulty", f"Faulty{number}x") for number, test in enumerate(tests))
    path = folder / "test_faults.py"
    path.write_text(common + "".join(numbered))
    words = ["-q", "-rfEp", "-p", "no:cacheprovider", "--tb=no", path]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found: Broken = {number: set() for number in range(len(tests))}
    passed = set()
    pattern = r"^(PASSED|FAILED|ERROR) \S*::TestFaulty(\d+)x::(\w+)"
    for outcome, number, law in re.findall(pattern, done.stdout, re.MULTILINE):
        if outcome == "PASSED":
            passed.add(int(number))
        else:
            found[int(number)].add(law)
    assert passed == set(found), done.stdout
    return found


@pytest.fixture(scope="module")
def broken_by_sources(tmp_path_factory: pytest.TempPathFactory) -> Broken:
    """Return which laws each faulty source breaks."""
    tests = [
        SOURCE_TEST.format(snapshot=indented(snapshot), source=indented(source))
        for snapshot, source, _ in SOURCE_FAULTS.values()
    ]
    return broken_by(tmp_path_factory.mktemp("sources"), SOURCES, tests)


@pytest.fixture(scope="module")
def broken_by_sinks(tmp_path_factory: pytest.TempPathFactory) -> Broken:
    """Return which laws each faulty sink breaks; the last one is no storage at all."""
    faults = [*SINK_FAULTS.values(), ("", "remove = None", set())]
    tests = [
        SINK_TEST.format(upload=indented(upload), sink=indented(sink)) for upload, sink, _ in faults
    ]
    return broken_by(tmp_path_factory.mktemp("sinks"), SINKS, tests)


@pytest.mark.parametrize("fault", SOURCE_FAULTS)
def test_a_faulty_source_is_caught(broken_by_sources: Broken, fault: str) -> None:
    """By the law that it breaks, and by no other, but for those that look at the same."""
    law = SOURCE_FAULTS[fault][2]
    broken = broken_by_sources[list(SOURCE_FAULTS).index(fault)]
    assert broken - ALSO.get(fault, set()) == ({law} if law else set())


@pytest.mark.parametrize("fault", SINK_FAULTS)
def test_a_faulty_sink_is_caught(broken_by_sinks: Broken, fault: str) -> None:
    """By the laws that it breaks, and by no others."""
    broken = broken_by_sinks[list(SINK_FAULTS).index(fault)]
    assert broken == SINK_FAULTS[fault][2]


def test_a_sink_that_is_no_storage_is_told_so(broken_by_sinks: Broken) -> None:
    """By a law that asks for nothing else."""
    assert "test_it_is_a_storage" in broken_by_sinks[len(SINK_FAULTS)]
