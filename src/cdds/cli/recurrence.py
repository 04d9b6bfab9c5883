"""How often a job runs: from options to a recurrence.

Place: below the options of jobs. Every kind of recurrence that the command line knows stands here,
in one group of options and one function.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cdds.cli.words import Once, moment

if TYPE_CHECKING:
    from cdds.schedule import Recurrence


def add_recurrence(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how often a job runs."""
    group = parser.add_argument_group("how often")
    kinds = group.add_mutually_exclusive_group()
    kinds.add_argument("--once", action="store_true", help="once, at once (default)")
    kinds.add_argument("--at", metavar="T", type=moment, action=Once, help="once, at this moment")
    kinds.add_argument(
        "--every-hours", metavar="N", type=int, action=Once, help="1 to 24, from 00:00 UTC"
    )
    group.add_argument(
        "--start", metavar="T", type=moment, action=Once, help="not before this moment"
    )


def recurrence_of(options: argparse.Namespace) -> Recurrence | None:
    """Return the recurrence that the options give, or None where they give none.

    Raises:
        JobError: a value is out of its range.
    """
    from cdds import schedule

    if options.every_hours is not None:
        return schedule.Hourly(options.every_hours, start=options.start)
    if options.start is not None:
        options.usage_error("--start goes with --every-hours")
    if options.once or options.at is not None:
        return schedule.Once(options.at)
    return None
