"""What goes into an archive: the data files, their schemas, the manifest.

Place: between the source's snapshot and the packager. It yields entries one by one, since each
depends on what became of those before it: documents follow the interactions that were selected,
a schema is there only if its data file is, and the manifest describes them all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from cdds import manifest
from cdds.archive import Entry, PackedEntry
from cdds.errors import JobError
from cdds.model import DataFile, Job
from cdds.protocols import (
    Lines,
    LineSnapshot,
    Located,
    LocatedSnapshot,
    PartialSnapshot,
    Snapshot,
)
from cdds.records import Gate, KeySet, Tally, ToldKey, Verdict, json_of_value, lines_of

if TYPE_CHECKING:
    from cdds.transforms import Chain


@attrs.frozen
class _GateTask:
    """Passes lines through a gate, on the worker thread that compresses what comes out."""

    gate: Gate
    lines: Lines

    @property
    def size(self) -> int:
        return len(self.lines.data)

    def __call__(self) -> bytes:
        return self.gate(self.lines)


class Contents:
    """The entries of one archive.

    Args:
        job: what to export.
        snapshot: where the records come from.
        run_id: the run, for the manifest.
        source: what the manifest calls the source.
        created: the time that the manifest bears.
        on_lines: called with all lines as they are read.
        on_record: called with each record that does not come in lines, for a source may be slow.
        on_change: called on worker threads before each record that a function of the host's own
            changes, for that may be slow; what it raises ends the run.
    """

    def __init__(
        self,
        job: Job,
        snapshot: Snapshot,
        *,
        run_id: str,
        source: str,
        created: datetime,
        on_lines: Callable[[Lines], object],
        on_record: Callable[[], object],
        on_change: Callable[[], object] | None = None,
    ) -> None:
        self._job = job
        self._files = job.dataset.files
        self._snapshot = snapshot
        self._on_lines = on_lines
        self._on_record = on_record
        self._on_change = on_change
        self.created = created
        self._describe = partial(
            manifest.manifest, run_id=run_id, job=job, source=source, created=created
        )
        self.packed_entries: list[PackedEntry] = []
        self._keys: dict[str, KeySet] = {}
        self.tally = Tally(job.on_invalid, job.max_rejects)

    @property
    def archive_size(self) -> int:
        """The compressed bytes of all entries packed so far."""
        return sum(entry.compressed_size for entry in self.packed_entries)

    def packed(self, entry: PackedEntry) -> None:
        """Take note of an entry that has been packed."""
        self.packed_entries.append(entry)

    def entries(self) -> Iterator[Entry]:
        """Yield the entries in order; the next may be asked for once `packed` knows the last."""
        schemas = {file.name: schema_text(self._job, file) for file in self._files}
        data: list[manifest.DataEntry] = []
        for order, file in enumerate(self._files):
            name = f"{file.label}-{self._job.id}.json"
            yield Entry(name, self._blocks(file, order))
            if self.packed_entries and self.packed_entries[-1].name == name:
                data.append(
                    manifest.DataEntry(file, self.packed_entries[-1], f"schema/{file.name}.json")
                )
        before = len(self.packed_entries)
        for entry in data:
            yield Entry(entry.schema_name, [schemas[entry.file.name]])
        others = self.packed_entries[before:]
        yield Entry(manifest.NAME, [self._describe(data=data, others=others, tally=self.tally)])

    def _blocks(self, file: DataFile, order: int) -> Iterator[_GateTask]:
        if any(child.parent == file.name and self._has(child) for child in self._files):
            self._keys[file.name] = KeySet()
        gate = gate_of(
            self._job,
            file,
            self.tally,
            order=order,
            parents=self._keys.get(file.parent) if file.parent else None,
            keys=self._keys.get(file.name),
            on_change=self._on_change,
        )
        for lines in self._lines(file):
            self._on_lines(lines)
            yield _GateTask(gate, lines)

    def _has(self, file: DataFile) -> bool:
        snapshot = self._snapshot
        return snapshot.has(file.name) if isinstance(snapshot, PartialSnapshot) else True

    def _lines(self, file: DataFile) -> Iterator[Lines]:
        if isinstance(self._snapshot, LineSnapshot):
            return self._snapshot.lines(file.name)
        return lines_of(self._located(file), file, _told_key(file, _chain(self._job, file)))

    def _located(self, file: DataFile) -> Iterator[Located]:
        if isinstance(self._snapshot, LocatedSnapshot):
            located = self._snapshot.located(file.name)
        else:
            numbered = enumerate(self._snapshot.records(file.name), start=1)
            located = (("", number, record) for number, record in numbered)
        for item in located:
            self._on_record()
            yield item


def gate_of(
    job: Job,
    file: DataFile,
    tally: Tally,
    *,
    order: int = 0,
    parents: KeySet | None = None,
    keys: KeySet | None = None,
    on_change: Callable[[], object] | None = None,
) -> Gate:
    """Return the gate of a data file's records, which makes the job's transforms too."""
    chain = _chain(job, file)
    is_hosts_own = any(each.is_hosts_own for each in job.transforms.get(file.name, ()))
    return Gate(
        file,
        job,
        tally,
        order=order,
        parents=parents,
        keys=keys,
        change=_telling(chain, on_change) if chain and on_change and is_hosts_own else chain,
        tell_key=_told_key(file, chain),
    )


def _telling(chain: Chain, on_change: Callable[[], object]) -> Callable[[bytes], bytes]:
    """Return what tells of each record before it is changed."""

    def change(line: bytes) -> bytes:
        on_change()
        return chain(line)

    return change


def _told_key(file: DataFile, chain: Chain | None) -> ToldKey:
    return ToldKey(file, chain and chain.alone)


def _chain(job: Job, file: DataFile) -> Chain | None:
    transforms = job.transforms.get(file.name)
    if not transforms:
        return None
    from cdds.transforms import Chain  # few exports need it

    check = Verdict(job.schema_of(file) if job.validate else None).check
    return Chain(transforms, json_of_value, check)


def schema_text(job: Job, file: DataFile) -> bytes:
    """Return the schema of a data file as it stands in the archive of a job.

    Raises:
        JobError: it is larger than readers take.
    """
    text = _json(job.schema_of(file))
    if len(text) > manifest.MAX_SCHEMA_SIZE:
        raise JobError(
            f"the schema of {file.name} has {len(text)} bytes, and readers take no more than "
            f"{manifest.MAX_SCHEMA_SIZE}; shorten it"
        )
    return text


def _json(schema: Mapping[str, Any]) -> bytes:
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can say
        return json.dumps(schema, indent=2).encode() + b"\n"
