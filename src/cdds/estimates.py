"""A dry run: what an export would hold, with nothing sealed and nothing stored.

Place: beside the exporter, whose first stages it goes through. A source that can count is asked,
and a sample that has passed the gate and its transforms tells the sizes; any other is read,
validated and packed as for an export.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice

import attrs

from cdds import manifest
from cdds.archive import Entry, Packager
from cdds.contents import Contents, gate_of, schema_text
from cdds.model import DataFile, Job
from cdds.protocols import CountedSnapshot, LineSnapshot, NotingSnapshot, Snapshot, Source
from cdds.records import Tally
from cdds.reject import Reject

_NO_RUN = "00000000-0000-0000-0000-000000000000"
_SAMPLE = 4
"""So many batches of about 1 MiB tell how large records are, and how well they compress."""


@attrs.frozen(kw_only=True)
class Estimate:
    """What an export would hold.

    Attributes:
        records: how many records each data file would hold, by its name; those without are left
            out.
        sizes: how many bytes each data file would have in the archive, before compression.
        files: the names of all files in the archive.
        archive_size: the bytes of the archive, all parts together, before sealing adds about 35 %.
        parts: how many artifacts there would be.
        is_exact: whether all was read, validated and packed; else the database has counted, and
            sizes, and how many of these records are selected and valid, are reckoned from a sample.
        rejects: the invalid records that would be left out; known where it is exact.
        undated: how many records have no timestamp for the time frame; known where it is exact.
        unmatched: how many belong to no selected record; known where it is exact.
        notes: what the source has to say, in sentences.
    """

    records: Mapping[str, int]
    sizes: Mapping[str, int]
    files: tuple[str, ...]
    archive_size: int
    parts: int
    is_exact: bool
    rejects: tuple[Reject, ...] = ()
    undated: int = 0
    unmatched: int = 0
    notes: tuple[str, ...] = ()


def estimated(job: Job, source: Source) -> Estimate:
    """Return what an export of a job would hold.

    Raises:
        CddsError: the export would be refused, or fail.
    """
    with source.snapshot(job.dataset, job.selection) as snapshot:
        if isinstance(snapshot, CountedSnapshot) and isinstance(snapshot, LineSnapshot):
            found = _counted(job, snapshot, snapshot)
        else:
            found = _packed(job, snapshot, type(source).__name__)
        notes = tuple(snapshot.notes()) if isinstance(snapshot, NotingSnapshot) else ()
    return attrs.evolve(found, notes=notes)


def _packed(job: Job, snapshot: Snapshot, source: str) -> Estimate:
    contents = Contents(
        job,
        snapshot,
        run_id=_NO_RUN,
        source=source,
        created=datetime.now(UTC),
        on_lines=lambda _: None,
        on_record=lambda: None,
    )
    sizes = list(_segment_sizes(job, contents))
    tally = contents.tally
    data = {f"{file.label}-{job.id}.json": file.name for file in job.dataset.files}
    return Estimate(
        records=tally.records,
        sizes={
            data[entry.name]: entry.size for entry in contents.packed_entries if entry.name in data
        },
        files=tuple(entry.name for entry in contents.packed_entries),
        archive_size=sum(sizes),
        parts=len(sizes),
        is_exact=True,
        rejects=tally.rejects,
        undated=tally.undated,
        unmatched=tally.unmatched,
    )


def _segment_sizes(job: Job, contents: Contents) -> Iterator[int]:
    packager = Packager(level=job.level, split_size=job.split_size, modified=contents.created)
    with closing(packager.pack(contents.entries(), on_packed=contents.packed)) as segments:
        for segment in segments:
            with closing(segment.chunks):
                yield sum(map(len, segment.chunks))


def _counted(job: Job, snapshot: CountedSnapshot, lines: LineSnapshot) -> Estimate:
    records: dict[str, int] = {}
    sizes: dict[str, int] = {}
    archive = 0.0
    for file in job.dataset.files:
        counted = snapshot.count(file.name)
        sample = _sampled(job, lines, file) if counted else _Sample(0, 0, 0)
        count = round(counted * sample.share)
        if count:
            records[file.name] = count
            sizes[file.name] = round(count * sample.mean)
            archive += count * sample.packed
            archive += _packed_size(job, file.name, [schema_text(job, file)])
    names = [f"{file.label}-{job.id}.json" for file in job.dataset.files if file.name in records]
    names += [f"schema/{name}.json" for name in records]
    archive_size = round(archive)
    return Estimate(
        records=records,
        sizes=sizes,
        files=(*names, manifest.NAME),
        archive_size=archive_size,
        parts=1 if job.split_size is None else max(1, -(-archive_size // job.split_size)),
        is_exact=False,
    )


@attrs.frozen
class _Sample:
    """What some records tell of all.

    Attributes:
        share: how many of those that were counted would be exported: a database may not be able
            to select, and knows nothing of what is valid.
        mean: the mean size of one that would be, as a line.
        packed: the mean size of what it takes in an archive.
    """

    share: float
    mean: float
    packed: float


def _sampled(job: Job, lines: LineSnapshot, file: DataFile) -> _Sample:
    """Return what the first records of a data file tell of all.

    Raises:
        CddsError: a record of the sample is one that the export would fail for.
    """
    reading = lines.lines(file.name)
    sample = list(islice(reading, _SAMPLE))
    if isinstance(reading, Generator):
        reading.close()  # so that the source can be asked for something else
    tally = Tally(job.on_invalid, job.max_rejects)
    gate = gate_of(job, file, tally)
    data = [gate(batch) for batch in sample]
    wanted = tally.records.get(file.name, 0)
    counted = sum(batch.count for batch in sample) - tally.undated  # as the source counts
    size, packed = sum(map(len, data)), _packed_size(job, file.name, data)
    return _Sample(
        share=wanted / max(counted, 1), mean=size / max(wanted, 1), packed=packed / max(wanted, 1)
    )


def _packed_size(job: Job, name: str, data: Sequence[bytes]) -> int:
    segments = Packager(level=job.level).pack([Entry(name, data)])
    return sum(len(chunk) for segment in segments for chunk in segment.chunks)
