"""`cdds export --dry-run`: what would be exported, with nothing written.

Place: beside the command, over `cdds.estimate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cdds  # its names are loaded when they are used
from cdds.cli.changing import transforms_of
from cdds.cli.stopping import stoppable
from cdds.cli.tables import size, table
from cdds.cli.telling import as_json, say, warn

if TYPE_CHECKING:
    import argparse

    from cdds.estimates import Estimate
    from cdds.protocols import Source


def asked_for(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the options say of the records, as arguments of `cdds.export`."""
    dataset = cdds.datasets.find(options.dataset)
    is_bounded = options.start is not None or options.end is not None
    return {
        "dataset": dataset,
        "job_id": options.job_id,
        "media_types": options.media_type,
        "timeframe": cdds.Timeframe(options.start, options.end) if is_bounded else None,
        "split_size": options.split_size,
        "on_invalid": options.on_invalid,
        "validate": not options.no_validate,
        "level": options.level,
        "match_case": not options.ignore_case,
        "transforms": transforms_of(options, dataset),
    }


def dry_run(source: Source, options: argparse.Namespace) -> None:
    """Print what would be exported from a source."""
    with stoppable():
        found = cdds.estimate(source, **asked_for(options))
    if not options.quiet:
        for warning in found.notes:
            warn(warning)
    say(as_json(_told(found)) if options.json else _shown(found))


def _told(found: Estimate) -> dict[str, Any]:
    return {
        "records": dict(found.records),
        "sizes": dict(found.sizes),
        "files": list(found.files),
        "archive_size": found.archive_size,
        "parts": found.parts,
        "is_exact": found.is_exact,
        "rejects": len(found.rejects),
        "undated": found.undated,
        "unmatched": found.unmatched,
        "notes": list(found.notes),
    }


def _shown(found: Estimate) -> str:
    rows = [(name, count, size(found.sizes[name])) for name, count in found.records.items()]
    about = "" if found.is_exact else "about "
    left_out = [
        f"{count} records {words}"
        for count, words in (
            (len(found.rejects), "are invalid and would be left out"),
            (found.undated, "have no timestamp and would be left out"),
            (found.unmatched, "belong to no selected record and would be left out"),
        )
        if count
    ]
    archive = (
        f"{about}{size(found.archive_size)} in {found.parts} "
        f"{'part' if found.parts == 1 else 'parts'}, before sealing adds about 35 %"
    )
    return "\n".join(
        [table(("data file", "records", "size"), rows), "", archive, *left_out, "", *found.files]
    )
