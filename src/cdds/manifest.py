"""The manifest: what an archive says of itself, in its last entry.

Place: made by `contents` when all data files are packed. A value in, bytes out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

import attrs
import orjson

from cdds._version import __version__
from cdds.archive import PackedEntry
from cdds.model import DataFile, Job
from cdds.records import Tally

NAME = "manifest.json"
FORMAT_VERSION = 1
"""Raised when readers of the older version could misread a newer one."""
MAX_SCHEMA_SIZE = 1024 * 1024
"""The most bytes of a schema beside its data: readers take no larger one."""


@attrs.frozen
class DataEntry:
    """A data file that is in the archive, and where its schema is."""

    file: DataFile
    packed: PackedEntry
    schema_name: str


def manifest(
    *,
    run_id: str,
    job: Job,
    source: str,
    created: datetime,
    data: Sequence[DataEntry],
    others: Sequence[PackedEntry],
    tally: Tally,
) -> bytes:
    """Return the manifest as JSON.

    ``block_offsets`` lists for each deflate block where its data begin in the file and where the
    block begins in the entry's compressed data, so that a reader can inflate blocks in parallel.
    ``transforms`` of a data file and ``unknown_fields`` are there only if there are any.
    """
    timeframe, media_types = job.timeframe, job.media_types
    document = {
        "format": "cdds-manifest",
        "format_version": FORMAT_VERSION,
        "library": {"name": "cdds-sdk", "version": __version__},
        "run_id": run_id,
        "job_id": job.id,
        "created": _iso(created),
        "dataset": job.dataset.name,
        "source": source,
        "timeframe": timeframe and {"start": _iso(timeframe.start), "end": _iso(timeframe.end)},
        "media_types": None if media_types is None else sorted(media_types),
        "validated": job.validate,
        "files": [_data(entry, job, tally) for entry in data]
        + [_summary(entry) for entry in others],
        "rejects": [attrs.asdict(reject) for reject in tally.rejects],
        "undated": tally.undated,
        "unmatched": tally.unmatched,
    }
    if tally.exported_unknown_fields:
        document["unknown_fields"] = tally.exported_unknown_fields
    try:
        return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a lone surrogate in a name, which only an escape can say
        return json.dumps(document).encode() + b"\n"


def _summary(entry: PackedEntry) -> dict[str, Any]:
    return {"name": entry.name, "bytes": entry.size, "sha256": entry.sha256}


def _data(entry: DataEntry, job: Job, tally: Tally) -> dict[str, Any]:
    packed = entry.packed
    said = {
        "data_file": entry.file.name,
        "records": tally.records.get(entry.file.name, 0),
        "schema": entry.schema_name,
        "block_offsets": {
            "data": _offsets(packed.block_sizes),
            "compressed": _offsets(packed.block_compressed_sizes),
        },
    }
    transforms = [transform.listing() for transform in job.transforms.get(entry.file.name, ())]
    if transforms:
        said["transforms"] = transforms
    return _summary(packed) | said


def _offsets(sizes: Sequence[int]) -> list[int]:
    return list(accumulate(sizes, initial=0))[:-1]


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
