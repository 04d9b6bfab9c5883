"""Small exports, sealed, as a recipient gets them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cdds
from cdds import Envelope


def interaction(number: int, size: int = 10) -> dict[str, Any]:
    """Return a record; its subject is made of so many bytes that cannot be compressed."""
    return {
        "IXNID": f"{number:016}",
        "STATUS": 3,
        "ENTITYTYPEID": 0,
        "MEDIATYPEID": "email",
        "TYPEID": "Inbound",
        "STARTDATE": "2025-03-01T10:00:00.000Z",
        "TENANTID": 1,
        "CANBEPARENT": 1,
        "CREATORAPPID": 7,
        "SUBJECT": "é" + random.Random(number).randbytes(size).hex(),
    }


def exported(
    folder: Path,
    certificate: Any,
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    form: Mapping[str, Any] | None = None,
    **options: Any,
) -> list[Path]:
    """Export records, and return the files of the archive.

    Args:
        folder: where to.
        certificate: for whom.
        records: by the names of their data files.
        form: of the envelope.
        options: of the job.
    """
    job = cdds.Job(dataset=cdds.datasets.INTERACTION, validate=False, **options)
    envelope = Envelope(certificate, **(form or {}))
    sink = cdds.sinks.LocalSink(folder)
    result = cdds.Exporter(sink=sink, envelope=envelope).run(job, cdds.sources.Records(**records))
    return [folder / artifact.name for artifact in result.artifacts]
