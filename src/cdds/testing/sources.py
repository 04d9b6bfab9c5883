"""The contract of sources.

Place: among the contracts. It looks at a source as the exporter does: through its snapshots, and
at what JSON says of its records.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest

from cdds.crypto import Envelope
from cdds.datasets import INTERACTION
from cdds.errors import CddsError
from cdds.exporter import Exporter
from cdds.model import DataFile, Dataset, ExportResult, Job, Selection, Timeframe
from cdds.protocols import (
    LineSnapshot,
    LocatedSnapshot,
    PartialSnapshot,
    SizedSnapshot,
    Snapshot,
    Source,
)
from cdds.records.criteria import timestamp
from cdds.records.serialise import serialise
from cdds.sinks import LocalSink
from cdds.testing.leftovers import nothing_left, peak
from cdds.testing.material import (
    BORDERS,
    Dated,
    Many,
    Record,
    dated,
    key,
    record,
    value_by_schema,
)

NewSource: TypeAlias = Callable[[Mapping[str, Iterable[Record]]], Source]
"""Makes a source that has these records, by the name of the data file.

The iterables can be read as often as one likes; those of the law about memory are made as they are
read, and should not be gathered. A test makes one source; that law makes two, one after the other,
and the second may replace what the first has read.
"""

_FEW = 12
_AT_ONCE = 4
_FILLING = 1000
"""How long the text is that makes a record large."""
_ALL = Selection()


class _Stop(Exception):
    """What a host's own code raises."""


class SourceContract:
    """What the library relies on of every source; subclass it and say how one is made.

    Attributes:
        resolution: the least time between two timestamps that the source tells apart.
        selects: whether it promises to leave out all that a selection does not want. It need not:
            the exporter selects again. But what is promised is held it to.
        tells_undated: whether a source that selects passes on all records without a moment, so that
            the exporter can tell how many there are. Then it must leave out none of them.
        many: how many records the smaller of two large sources has.
    """

    resolution: timedelta = timedelta(microseconds=1)
    selects: bool = False
    tells_undated: bool = False
    many: int = 3000

    @pytest.fixture
    def new_source(self) -> NewSource:
        """Return what makes a source of given records; each contract has its own."""
        pytest.fail(f"{type(self).__name__} has no fixture new_source")

    @pytest.fixture
    def dataset(self) -> Dataset:
        """Return the dataset that the source is asked for."""
        return INTERACTION

    def value(self, file: DataFile, name: str, number: int) -> Any:
        """Return a value for the property of a record, which the source can keep as it is.

        Keys, timestamps, media types and the keys of parents are made elsewhere.
        """
        return value_by_schema(file, name, number)

    # --- what is read -----------------------------------------------------------------------------

    def test_every_record_arrives_whole(self, new_source: NewSource, dataset: Dataset) -> None:
        """Each record is read once, with all of its values.

        A value may come in another form that means the same: a timestamp in another zone, a number
        as a decimal. A null and a property that is not there are the same.
        """
        given = self._few(dataset)
        with new_source(given).snapshot(dataset, _ALL) as snapshot:
            for file in dataset.files:
                read = _sorted(file, snapshot.records(file.name))
                assert read == _sorted(file, given[file.name])

    def test_what_it_does_not_have_is_empty(self, new_source: NewSource, dataset: Dataset) -> None:
        """A data file without records yields nothing, and is no error."""
        first, *others = dataset.files
        given = {first.name: self._few(dataset)[first.name]}
        with new_source(given).snapshot(dataset, _ALL) as snapshot:
            for file in others:
                assert list(snapshot.records(file.name)) == []

    def test_a_data_file_of_another_dataset_is_refused(
        self, new_source: NewSource, dataset: Dataset
    ) -> None:
        """What was given and would be exported by nothing is no matter of silence.

        One error of this library says so, when the source is made or its snapshot is opened.
        """
        given = self._few(dataset)
        given["nowhere"] = [{"ID": "1"}]
        with pytest.raises(CddsError), new_source(given).snapshot(dataset, _ALL):
            pass

    # --- snapshots --------------------------------------------------------------------------------

    def test_reads_are_repeatable(self, new_source: NewSource, dataset: Dataset) -> None:
        """Within a snapshot, the same is read each time, in the same order."""
        with new_source(self._few(dataset)).snapshot(dataset, _ALL) as snapshot:
            for file in dataset.files:
                first, second = (
                    [_plain(file, one) for one in snapshot.records(file.name)] for _ in range(2)
                )
                assert first == second

    def test_two_reads_do_not_disturb_each_other(
        self, new_source: NewSource, dataset: Dataset
    ) -> None:
        """A read that has begun goes on where it was, whatever else is read in between."""
        given = self._few(dataset)
        with new_source(given).snapshot(dataset, _ALL) as snapshot:
            for file in dataset.files:
                with closing(_reading(snapshot, file)) as slow:
                    begun = [next(slow)]
                    for other in dataset.files:
                        assert len(list(snapshot.records(other.name))) == len(given[other.name])
                    assert len(begun + list(slow)) == len(given[file.name])

    def test_a_source_is_opened_many_times(self, new_source: NewSource, dataset: Dataset) -> None:
        """One after another, one within another, and on several threads at once."""
        source = new_source(self._few(dataset))

        def read(_: object = None) -> dict[str, list[str]]:
            with source.snapshot(dataset, _ALL) as snapshot:
                return {
                    file.name: _sorted(file, snapshot.records(file.name)) for file in dataset.files
                }

        expected = read()
        with source.snapshot(dataset, _ALL):
            assert read() == expected
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            assert list(threads.map(read, range(_AT_ONCE))) == [expected] * _AT_ONCE

    # --- selection --------------------------------------------------------------------------------

    def test_a_window_leaves_out_nothing_that_it_wants(
        self, new_source: NewSource, dataset: Dataset
    ) -> None:
        """What lies in ``start <= moment < end`` is read, to the last bit of time.

        Also at the borders, when several have one timestamp, and whatever zone it is written in.
        """
        for file, timeframe, given, read in self._windows(new_source, dataset):
            wanted = _identities(file, (one.record for one in given if _in(one, timeframe)))
            missing = wanted - _identities(file, read)
            assert not missing, f"{file.name} in {timeframe}"

    def test_a_window_holds_nothing_else(self, new_source: NewSource, dataset: Dataset) -> None:
        """Who promises to select reads nothing outside the window, and nothing without a moment.

        Or all that has no moment, where it says that it passes them on to be told of.
        """
        if not self.selects:
            pytest.skip("it makes no promise to select")
        for file, timeframe, given, read in self._windows(new_source, dataset):
            wanted = _identities(file, (one.record for one in given if _in(one, timeframe)))
            undated = _identities(file, (one.record for one in given if one.moment is None))
            others = _identities(file, read) - wanted
            assert others == (undated if self.tells_undated else Counter()), (
                f"{file.name} in {timeframe}"
            )

    def test_media_types_leave_out_nothing_that_they_want(
        self, new_source: NewSource, dataset: Dataset
    ) -> None:
        """They are compared without regard to case; who promises to select reads no others."""
        file = next((file for file in dataset.files if file.media_type), None)
        if file is None:
            pytest.skip("the dataset has no media types")
        types = ("chat", "Chat", "email", "CHAT", "voice", None)
        given = [
            record(file, self.value, number, **{str(file.media_type): name})
            for number, name in enumerate(types, start=1)
        ]
        selection = Selection(media_types=["chat"])
        with new_source({file.name: given}).snapshot(dataset, selection) as snapshot:
            read = _identities(file, snapshot.records(file.name))
        wanted = _identities(file, (given[0], given[1], given[3]))
        assert not wanted - read
        assert not self.selects or read == wanted

    def test_what_belongs_to_a_wanted_record_is_not_left_out(
        self, new_source: NewSource, dataset: Dataset
    ) -> None:
        """Children have no moment of their own: they come with their parents."""
        child = next((file for file in dataset.files if file.parent), None)
        parent = next((file for file in dataset.files if child and file.name == child.parent), None)
        if child is None or parent is None or not parent.timestamps:
            pytest.skip("the dataset has no records that belong to others in time")
        parents = dated(parent, self.value, self.resolution)
        children: list[Record] = [
            record(child, self.value, number, **{str(child.parent_key): key(parent, number)})
            for number in range(1, len(parents) + 1)
        ]
        given: dict[str, list[Record]] = {
            parent.name: [one.record for one in parents],
            child.name: children,
        }
        timeframe = Timeframe(BORDERS[1], BORDERS[2])
        with new_source(given).snapshot(dataset, Selection(timeframe)) as snapshot:
            read = _identities(child, snapshot.records(child.name))
        pairs = zip(parents, children, strict=True)
        assert not _identities(child, (own for one, own in pairs if _in(one, timeframe))) - read

    # --- what stays -------------------------------------------------------------------------------

    def test_an_exception_passes_through(self, new_source: NewSource, dataset: Dataset) -> None:
        """Leaving a snapshot hides no error of whoever reads: an export would seem complete."""
        with pytest.raises(_Stop):
            _break_off(new_source(self._few(dataset)), dataset, 1)

    def test_nothing_is_left_behind(
        self, new_source: NewSource, dataset: Dataset, tmp_path: Path
    ) -> None:
        """No open file or connection, no thread, no temporary file: read to the end or broken off.

        What is broken off is closed before its snapshot is.
        """
        source = new_source(self._few(dataset))
        temporary = tmp_path / "temporary"
        temporary.mkdir()

        def use(take: int | None) -> None:
            with source.snapshot(dataset, _ALL) as snapshot:
                for file in dataset.files:
                    with closing(_reading(snapshot, file)) as read:
                        _take(read, take)

        use(None)
        with nothing_left(temporary):
            for take in (None, 1, 0):
                use(take)
                with pytest.raises(_Stop):
                    _break_off(source, dataset, take)

    def test_memory_is_bounded(self, new_source: NewSource, dataset: Dataset) -> None:
        """Four times as many records take no more memory, but for half of what holding them would.

        What Python allocates is measured; not what a library in another language allocates itself.
        """
        file = dataset.files[0]
        text = self._filled(file)
        peaks = []
        for count in (self.many, 4 * self.many):
            records = Many(partial(self._large, file, text), count)
            source = new_source({file.name: records})
            peaks.append(peak(lambda: self._read_all(source, dataset, file)))  # noqa: B023
        assert peaks[1] - peaks[0] < 3 * self.many * _FILLING / 2

    # --- what a snapshot can do besides -----------------------------------------------------------

    def test_lines_are_the_records(self, new_source: NewSource, dataset: Dataset) -> None:
        """A `LineSnapshot` gives whole lines that are numbered without a gap.

        They hold what `records` yields, in its order; what has been read of an input only grows.
        """
        with new_source(self._few(dataset)).snapshot(dataset, _ALL) as snapshot:
            if not isinstance(snapshot, LineSnapshot):
                pytest.skip("it gives no lines")
            for file in dataset.files:
                place: dict[str, tuple[int, int]] = {}
                found = []
                for lines in snapshot.lines(file.name):
                    number, at = place.get(lines.origin, (1, 0))
                    assert lines.data.endswith(b"\n")
                    assert lines.data.count(b"\n") == lines.count
                    assert lines.first == number
                    assert lines.at >= at
                    place[lines.origin] = (number + lines.count, lines.at)
                    found += [json.loads(one) for one in lines.data.split(b"\n") if one.strip()]
                assert _texts(file, found) == _texts(file, snapshot.records(file.name))

    def test_located_records_are_the_records(self, new_source: NewSource, dataset: Dataset) -> None:
        """A `LocatedSnapshot` gives what `records` yields, with numbers that grow within an input.

        They are counted from 1.
        """
        with new_source(self._few(dataset)).snapshot(dataset, _ALL) as snapshot:
            if not isinstance(snapshot, LocatedSnapshot):
                pytest.skip("it does not tell where records are")
            for file in dataset.files:
                last: dict[str, int] = {}
                found = []
                for origin, number, one in snapshot.located(file.name):
                    assert number > last.get(origin, 0)
                    last[origin] = number
                    found.append(one)
                assert _texts(file, found) == _texts(file, snapshot.records(file.name))

    def test_what_it_says_it_has_is_true(self, new_source: NewSource, dataset: Dataset) -> None:
        """Where a `PartialSnapshot` says that it has no data file, there is nothing to read."""
        first = dataset.files[0]
        given = {first.name: self._few(dataset)[first.name]}
        with new_source(given).snapshot(dataset, _ALL) as snapshot:
            if not isinstance(snapshot, PartialSnapshot):
                pytest.skip("it does not tell which data files it has")
            for file in dataset.files:
                assert snapshot.has(file.name) or not list(snapshot.records(file.name))
            assert snapshot.has(first.name)

    def test_its_size_is_told_once_and_for_all(
        self, new_source: NewSource, dataset: Dataset
    ) -> None:
        """A `SizedSnapshot` says the same before and after it is read: about how many bytes.

        Or it says None, where it does not know. It may have reckoned, so less may be read, or more.
        """
        with new_source(self._few(dataset)).snapshot(dataset, _ALL) as snapshot:
            if not isinstance(snapshot, SizedSnapshot):
                pytest.skip("it does not tell its size")
            before = snapshot.size()
            for file in dataset.files:
                for _ in snapshot.records(file.name):
                    assert snapshot.size() == before
            assert snapshot.size() == before
            assert before is None or (type(before) is int and before >= 0)

    # --- the whole way ----------------------------------------------------------------------------

    def test_an_export_holds_what_was_read(
        self, new_source: NewSource, dataset: Dataset, tmp_path: Path
    ) -> None:
        """The archive opens; its data files hold the records, and the counts agree."""
        given = self._few(dataset)
        result, lines = _exported(new_source(given), dataset, tmp_path / "exports")
        assert dict(result.records) == {name: len(few) for name, few in given.items()}
        assert {name: len(found) for name, found in lines.items()} == dict(result.records)
        for file in dataset.files:
            assert sorted(_texts(file, lines[file.name])) == _sorted(file, given[file.name])

    # --- what it is tried with --------------------------------------------------------------------

    def _few(self, dataset: Dataset) -> dict[str, list[Record]]:
        """Return some records of each data file; those that have a parent belong to one."""
        few: dict[str, list[Record]] = {}
        files = {file.name: file for file in dataset.files}
        for name, file in files.items():
            stated: dict[str, Any] = {}
            if file.timestamps:
                stated[file.timestamps[0]] = "2025-03-01T10:00:00.000Z"
            if file.media_type:
                stated[file.media_type] = "chat"
            few[name] = [
                record(file, self.value, number, **stated, **_belonging(file, files, number))
                for number in range(1, _FEW + 1)
            ]
        return few

    def _windows(
        self, new_source: NewSource, dataset: Dataset
    ) -> Iterator[tuple[DataFile, Timeframe, list[Dated], list[Record]]]:
        """Yield what is read of each data file with timestamps in several windows.

        Each with what the source was given for it.
        """
        files = [file for file in dataset.files if file.timestamps]
        if not files:
            pytest.skip("the dataset has no timestamps")
        given = {file.name: dated(file, self.value, self.resolution) for file in files}
        records = {name: [one.record for one in some] for name, some in given.items()}
        source = new_source(records)
        for start, end in [*pairwise((None, *BORDERS, None)), (BORDERS[0], BORDERS[-1])]:
            timeframe = Timeframe(start, end)
            for file in files:
                with source.snapshot(dataset, Selection(timeframe)) as snapshot:
                    read = list(snapshot.records(file.name))
                yield file, timeframe, given[file.name], read

    def _filled(self, file: DataFile) -> str:
        """Return the name of a property that can hold a long text."""
        roles = {file.key, file.parent_key, file.media_type, *file.timestamps}
        for name in file.properties:
            if name not in roles and isinstance(self.value(file, name, 1), str):
                return str(name)
        pytest.skip("no property of the dataset can hold a long text")

    def _large(self, file: DataFile, text: str, number: int) -> Record:
        return record(file, self.value, 2 * number, **{text: f"{number:0{_FILLING}}"})

    def _read_all(self, source: Source, dataset: Dataset, file: DataFile) -> None:
        with source.snapshot(dataset, _ALL) as snapshot:
            for _ in snapshot.records(file.name):
                pass


def _belonging(file: DataFile, files: Mapping[str, DataFile], number: int) -> dict[str, Any]:
    if file.parent is None:
        return {}
    return {str(file.parent_key): key(files[file.parent], 1 + number % _FEW)}


def _break_off(source: Source, dataset: Dataset, take: int | None) -> None:
    """Read so many records, all where it is None, and raise while the snapshot is open."""
    with (
        source.snapshot(dataset, _ALL) as snapshot,
        closing(_reading(snapshot, dataset.files[0])) as read,
    ):
        _take(read, take)
        raise _Stop


def _reading(snapshot: Snapshot, file: DataFile) -> Generator[Record, None, None]:
    """Read a data file by a generator, so that it can be closed whatever the source gave."""
    given = snapshot.records(file.name)
    try:
        yield from given
    finally:
        if hasattr(given, "close"):
            given.close()


def _take(read: Iterator[Record], count: int | None) -> None:
    for _ in islice(read, count):
        pass


def _in(one: Dated, timeframe: Timeframe) -> bool:
    return one.moment is not None and one.moment in timeframe


def _plain(file: DataFile, one: Record) -> dict[str, Any]:
    """Return a record as JSON has it, without nulls and with its timestamps in UTC."""
    plain = json.loads(serialise(one), parse_float=Decimal)
    present = {name: value for name, value in plain.items() if value is not None}
    for name in file.timestamps:
        if name in present:
            present[name] = timestamp(present[name], name).isoformat()
    return present


def _texts(file: DataFile, records: Iterable[Record]) -> list[str]:
    plain = (_plain(file, one) for one in records)
    return [json.dumps(one, sort_keys=True, default=_digits) for one in plain]


def _digits(number: Decimal) -> str:
    return str(number.normalize())


def _sorted(file: DataFile, records: Iterable[Record]) -> list[str]:
    return sorted(_texts(file, records))


def _identities(file: DataFile, records: Iterable[Record]) -> Counter[str]:
    if file.key is None:
        return Counter(_texts(file, records))
    return Counter(str(one[file.key]) for one in records)


class _Unsealed:
    """Stands for an envelope, and lets the archive through as it is, so that it can be opened."""

    suffix = ""

    def check_validity(self, _: object) -> tuple[str, ...]:
        return ()

    def encrypt(self, content: Iterable[bytes]) -> Iterator[bytes]:
        yield from content


def _exported(
    source: Source, dataset: Dataset, folder: Path
) -> tuple[ExportResult, dict[str, list[Record]]]:
    """Export all, and return the result and the lines of each data file."""
    exporter = Exporter(sink=LocalSink(folder), envelope=cast("Envelope", _Unsealed()))
    job = Job(dataset=dataset, id="contract")
    result = exporter.run(job, source)
    lines = {}
    with zipfile.ZipFile(folder / result.artifacts[0].name) as archive:
        for file in dataset.files:
            data = archive.read(f"{file.label}-{job.id}.json")
            lines[file.name] = [json.loads(one, parse_float=Decimal) for one in data.splitlines()]
    return result, lines
