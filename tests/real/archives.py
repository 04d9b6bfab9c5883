"""Archives without an envelope, in memory: the real contents and packager, read back by zipfile."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from cdds.archive import Packager
from cdds.contents import Contents
from cdds.model import Job
from cdds.protocols import Lines
from cdds.records import Tally

CREATED = datetime(2025, 3, 1, tzinfo=UTC)


@attrs.frozen
class LinesInMemory:
    """A snapshot of lines that are there already, given `at_once` at a time."""

    inputs: Mapping[str, bytes]
    at_once: int = 1000

    def lines(self, data_file: str) -> Iterator[Lines]:
        """Yield the lines of a data file."""
        lines = io.BytesIO(self.inputs.get(data_file, b"")).readlines()
        for start in range(0, len(lines), self.at_once):
            some = lines[start : start + self.at_once]
            yield Lines(b"".join(some), start + 1, len(some))

    def records(self, data_file: str) -> Iterator[Mapping[str, Any]]:
        """Yield the records of a data file."""
        return map(json.loads, io.BytesIO(self.inputs.get(data_file, b"")))


@attrs.frozen
class Archive:
    """What an archive holds, and what was counted meanwhile."""

    files: Mapping[str, bytes]
    tally: Tally

    @property
    def manifest(self) -> dict[str, Any]:
        """What the manifest says."""
        manifest: dict[str, Any] = json.loads(self.files["manifest.json"])
        return manifest

    def data(self, label: str) -> bytes:
        """Return a data file; empty if there is none."""
        found = [data for name, data in self.files.items() if name.startswith(f"{label}-job")]
        return b"".join(found)

    def records(self, label: str) -> list[dict[str, Any]]:
        """Return the records of a data file."""
        return [json.loads(line) for line in self.data(label).splitlines()]

    def schema(self, name: str) -> dict[str, Any]:
        """Return the schema of a data file."""
        schema: dict[str, Any] = json.loads(self.files[f"schema/{name}.json"])
        return schema


def archive(job: Job, *, at_once: int = 1000, **inputs: bytes) -> Archive:
    """Return the archive of a job, whose id is ``job``, on lines by data file."""
    contents = Contents(
        job,
        LinesInMemory(inputs, at_once),
        run_id="00000000-0000-4000-8000-000000000000",
        source="LinesInMemory",
        created=CREATED,
        on_lines=lambda _: None,
        on_record=lambda: None,
    )
    packager = Packager(level="fast", split_size=None, threads=1, modified=CREATED)
    data = io.BytesIO()
    for segment in packager.pack(contents.entries(), on_packed=contents.packed):
        for chunk in segment.chunks:
            data.write(chunk)
    with zipfile.ZipFile(data) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    return Archive(files, contents.tally)


def lines_of(*records: Mapping[str, Any]) -> bytes:
    """Return records as compact lines."""
    return b"".join(json.dumps(r, separators=(",", ":")).encode() + b"\n" for r in records)
