"""Tables for people: columns, moments, sizes, and texts that no terminal takes for orders.

Place: below the commands of the pages. What users wrote, titles above all, is shown with control
characters and marks of direction escaped, so that nobody writes to another's terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cdds.cli.spans import written
from cdds.location import printable
from cdds.model import SinceLastRun, Timeframe

if TYPE_CHECKING:
    from cdds.catalog import JobEntry, JobSettings, RunEntry, RunProgress

_LONGEST = 40
_SECOND, _MINUTE, _HOUR, _DAY = (timedelta(seconds=n) for n in (1, 60, 3600, 86400))

_MISFIRES = {
    "one": "one run for all of them",
    "each": "each is run",
    "none": "none is run",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table; every cell is made safe here, so none can be forgotten."""
    from tabulate import tabulate

    cells = [[_cell(value) for value in row] for row in rows]
    return tabulate(cells, columns, tablefmt="simple", disable_numparse=True)


def sheet(values: Mapping[str, Any]) -> str:
    """Return one thing, a line for each of its values."""
    from tabulate import tabulate

    cells = [[name, _cell(value)] for name, value in values.items()]
    return tabulate(cells, tablefmt="plain", disable_numparse=True)


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case _:
            return printable(str(value))


def shortened(text: str | None, longest: int = _LONGEST) -> str:
    """Return the beginning of a text, with a mark where it was cut."""
    if text is None or len(text) <= longest:
        return text or ""
    return f"{text[: longest - 1]}…"


def size(count: int) -> str:
    """Return a number of bytes as people read it, in powers of ten."""
    value, units = float(count), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 999.95 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def progress(reached: RunProgress | None) -> str:
    """Return how far a run is and how long it takes from here; nothing where nobody can say."""
    if reached is None or reached.fraction is None:
        return ""
    part = f"{int(reached.fraction * 100)} %"
    remaining = reached.time_remaining
    return part if remaining is None else f"{part}, {_about(remaining)} left"


def _about(span: timedelta) -> str:
    """Return a span in a unit that fits, rounded up: it is an estimate, and should not flatter."""
    units = ((2 * _DAY, _DAY, "d"), (2 * _HOUR, _HOUR, "h"), (_MINUTE, _MINUTE, "min"))
    for least, unit, name in units:
        if span > least:
            return f"{-(-span // unit)} {name}"
    return f"{-(-span // _SECOND)} s"


def status(run: RunEntry) -> str:
    """Return what became of a run, with what its status alone does not say."""
    if run.status == "missed":
        return f"missed ({run.missed:,} {'start' if run.missed == 1 else 'starts'})"
    return run.status if run.attempt == 1 else f"{run.status} (attempt {run.attempt})"


def next_start(job: JobEntry) -> str:
    """Return when a job is due next, and whether that tries a run again."""
    shown = _cell(job.next_start)
    return shown if job.retry is None else f"{shown} (attempt {job.retry.attempt})"


def settings_sheet(settings: JobSettings) -> dict[str, Any]:
    """Return what is set for a job, for a sheet."""
    media_types = settings.media_types
    return {
        "title": settings.title,
        "description": settings.description,
        "source": settings.source,
        "type": settings.dataset,
        "media types": "all" if media_types is None else ", ".join(sorted(media_types)),
        "runs": settings.recurrence,
        "missed starts": _MISFIRES[settings.misfire],
        "counts as missed after": written(settings.misfire_grace_time),
        "at once at most": settings.max_instances,
        "retries at most": settings.max_retries,
        "time frame": timeframe(settings.timeframe),
        "split size": "one file" if settings.split_size is None else size(settings.split_size),
        "on invalid": settings.on_invalid,
        "max rejects": settings.max_rejects,
        "level": settings.level,
        "other recipients": len(settings.recipients),
    }


def timeframe(value: Timeframe | SinceLastRun | None) -> str:
    """Return the span that is selected, in words."""
    if value is None:
        return "all data"
    if isinstance(value, SinceLastRun):
        first = "" if value.start is None else f", the first from {_cell(value.start)} UTC"
        return f"since the last run, until {written(value.lag)} before each start{first}"
    bounds = (("from", value.start), ("until", value.end))
    words = [f"{word} {_cell(moment)} UTC" for word, moment in bounds if moment is not None]
    return ", ".join(words) or "all data"
