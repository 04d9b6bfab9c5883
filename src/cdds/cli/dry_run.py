"""What `cdds export --dry-run` prints: an estimate, for people and as JSON.

Place: beside the command, which makes the estimate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdds.cli.tables import size, table
from cdds.cli.telling import as_json, say, warn

if TYPE_CHECKING:
    import argparse

    from cdds.estimates import Estimate


def say_estimate(found: Estimate, options: argparse.Namespace) -> None:
    """Print what would be exported, and warn of what should be known of it."""
    if not options.quiet:
        for note in found.notes:
            warn(note)
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
