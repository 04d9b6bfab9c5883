"""Whether the records of an export are what the schema says that came with them.

Place: the last depth of verification, over data that are proven. It tells which line breaks which
rule and never what the line holds. The schema is the sender's, so it is not trusted either: it is
read within bounds, and nothing that it refers to elsewhere is fetched.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from cdds.errors import ArchiveError, JobError
from cdds.location import printable
from cdds.recipient.export import Export
from cdds.recipient.lines import whole_lines
from cdds.recipient.listing import ListedFile
from cdds.records.verdict import Verdict, parse
from cdds.refusal import Refusal


def record_faults(export: Export, file: ListedFile) -> Iterator[str]:
    """Yield what is wrong with the records of a data file, a sentence for each line.

    Args:
        export: an export whose archive is proven.
        file: one of its data files.

    Raises:
        CddsError: as `Export.records`.
    """
    name = printable(file.entry.name)
    try:
        verdict = _verdict(export, file)
        count = 0
        for number, line in enumerate(_lines(export.data_of(file)), 1):
            if line.isspace():
                continue
            count += 1
            refusal = _refusal(verdict, line)
            if refusal is not None:
                place = f", {refusal.field}" if refusal.field else ""
                yield f"{name}, line {number}{place}: {refusal.rule}"
    except (ArchiveError, JobError, Refusal) as error:
        yield f"{name}: {error}"
        return
    if file.records not in {None, count}:
        yield f"{name} has {count} records, and the manifest says {file.records}"


def _verdict(export: Export, file: ListedFile) -> Verdict:
    """Return what judges the records of a data file.

    Raises:
        JobError: no schema came with it, or none that can be applied.
        ArchiveError: what came is too large, or no JSON.
    """
    if file.schema is None:
        raise JobError("no schema came with it")
    try:
        verdict = Verdict(export.schema_of(file))
        verdict.check_schema()
    except RecursionError:
        raise JobError("its schema is nested too deeply") from None
    return verdict


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for lines in whole_lines(pieces):
        yield from io.BytesIO(lines)


def _refusal(verdict: Verdict, line: bytes) -> Refusal | None:
    """Return the rule that a line breaks, if it breaks one."""
    if _is_utf8(line) and verdict.accepts(line):
        return None
    try:
        judged = verdict.judge(line, parse(line))
    except Refusal as refusal:
        return refusal.with_traceback(None)
    return None if judged is line else Refusal("it has a null that the schema does not allow")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
