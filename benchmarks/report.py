"""What a run of the benchmark came to, in tables: medians, ratios, goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from corpora import Corpus
from machine import Load
from opening import Opened
from processes import Cost
from sides import IGZIP, SMALL, UNREAD, VALIDATED, ZIP, Side
from tables import table

_MB = 1_000_000
_GOALS: Sequence[tuple[Side, Side, float]] = (
    (UNREAD, ZIP, 8.0),
    (VALIDATED, ZIP, 6.0),
    (UNREAD, IGZIP, 1.5),
    (VALIDATED, IGZIP, 1.0),
    (SMALL, ZIP, 2.0),
)
_LARGEST_ARCHIVES: Sequence[tuple[Side, float]] = ((VALIDATED, 1.08), (SMALL, 1.0))


@dataclass(frozen=True)
class Result:
    """One side on one corpus: what each run cost, and what its artifact holds."""

    side: Side
    corpus: Corpus
    costs: Sequence[Cost]
    opened: Opened

    @property
    def wall(self) -> float:
        """The median of the seconds on the clock."""
        return median(cost.wall for cost in self.costs)

    @property
    def speed(self) -> float:
        """The bytes of the corpus a second, at the median, in millions."""
        return self.corpus.size / _MB / self.wall

    @property
    def cpu(self) -> float:
        """The median of the processors' seconds."""
        return median(cost.cpu for cost in self.costs)

    @property
    def peak(self) -> int:
        """The most memory that any run took, in bytes."""
        return max(cost.peak for cost in self.costs)


def results_table(results: Mapping[Side, Result], *, markdown: bool) -> str:
    """Return one row for each side."""
    head = ("side", "seconds", "range", "MB/s", "CPU s", "cores", "peak MB", "archive MB", "/ zip")
    smallest = results[ZIP].opened.archive if ZIP in results else None
    rows = [_row(result, smallest) for result in results.values()]
    return table(head, rows, markdown=markdown)


def _row(result: Result, zip_size: int | None) -> tuple[str, ...]:
    walls = [cost.wall for cost in result.costs]
    archive = result.opened.archive
    return (
        result.side.title,
        f"{result.wall:.2f}",
        f"{min(walls):.2f}-{max(walls):.2f}",
        f"{result.speed:.0f}",
        f"{result.cpu:.2f}",
        f"{result.cpu / result.wall:.2f}",
        f"{result.peak / _MB:.0f}",
        f"{archive / _MB:.1f}",
        f"{archive / zip_size:.3f}" if zip_size else "-",
    )


def ratios_table(results: Mapping[Side, Result], *, goals: bool, markdown: bool) -> str:
    """Return how many times as fast as the peers ours is, and how large its archive is."""
    rows = [
        (f"{ours.title} / {peer.title}", f"{results[ours].speed / results[peer].speed:.2f}", goal)
        for ours, peer, least in _GOALS
        if ours in results and peer in results
        for goal in [f"at least {least}" if goals else "-"]
    ]
    if ZIP in results:
        for ours, most in _LARGEST_ARCHIVES:
            ratio = results[ours].opened.archive / results[ZIP].opened.archive
            goal = f"at most {most}" if goals else "-"
            rows.append((f"{ours.title}: size of the archive / zip's", f"{ratio:.3f}", goal))
    return table(("ratio", "measured", "goal"), rows, markdown=markdown) if rows else ""


def load_line(before: Load, after: Load) -> str:
    """Return how busy the machine was, which tells how far the figures can be trusted."""
    return (
        f"Load average {before.average:.2f} before and {after.average:.2f} after; "
        f"{after.stolen_since(before):.1%} of the processors' time was stolen by other guests."
    )
