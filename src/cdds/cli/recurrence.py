"""How often a job runs: from options to a recurrence.

Place: below the options of jobs. Every kind of recurrence that the command line knows stands here,
in one group of options and one function. A recurrence is one setting: it is given as a whole.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cdds.cli.words import Once, moment, time_of_day

if TYPE_CHECKING:
    from cdds.schedule import Recurrence

_BOUNDS = ("start", "end", "count", "zone")
_TAKES: dict[str, tuple[str, ...]] = {
    "once": (),
    "at": (),
    "every_hours": _BOUNDS,
    "daily": _BOUNDS,
    "weekly": ("time", *_BOUNDS),
    "monthly": ("time", *_BOUNDS),
    "rrule": ("start", "zone"),
}
"""Each kind, by its option, and the options that go with it."""

_FIELDS = {"time": "at", "end": "until"}
"""What the library calls the options that bear another name here, where theirs are taken."""


def add_recurrence(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how often a job runs."""
    group = parser.add_argument_group("how often")
    _add_kinds(group.add_mutually_exclusive_group())
    group.add_argument(
        "--time",
        metavar="HH:MM",
        type=time_of_day,
        action=Once,
        help="with --weekly and --monthly: the time of day (default: 00:00)",
    )
    group.add_argument(
        "--zone",
        metavar="NAME",
        action=Once,
        help="whose clock the hours belong to, such as Europe/Berlin (default: UTC)",
    )
    group.add_argument(
        "--start",
        metavar="T",
        type=moment,
        action=Once,
        help="no start before this moment; needed for --rrule and --count, which count from it",
    )
    ends = group.add_mutually_exclusive_group()
    ends.add_argument("--end", metavar="T", type=moment, action=Once, help="no start after it")
    ends.add_argument("--count", metavar="N", type=int, action=Once, help="so many starts")


def _add_kinds(kinds: argparse._MutuallyExclusiveGroup) -> None:
    kinds.add_argument("--once", action="store_const", const=True, help="once, at once (default)")
    kinds.add_argument("--at", metavar="T", type=moment, action=Once, help="once, at this moment")
    kinds.add_argument(
        "--every-hours", metavar="N", type=int, action=Once, help="1 to 24, from 00:00 of each day"
    )
    kinds.add_argument(
        "--daily", metavar="HH:MM", type=time_of_day, action=Once, help="every day at this time"
    )
    kinds.add_argument("--weekly", metavar="DAYS", action=Once, help="such as MO,FR")
    kinds.add_argument(
        "--monthly",
        metavar="DAY",
        type=int,
        action=Once,
        help="1 to 31, in a shorter month its last; -1 for the last of each",
    )
    kinds.add_argument(
        "--rrule", metavar="RULE", action=Once, help="of RFC 5545, such as FREQ=MONTHLY;BYDAY=2TU"
    )


def recurrence_of(options: argparse.Namespace) -> Recurrence | None:
    """Return the recurrence that the options give, or None where they give none.

    Raises:
        JobError: a value is out of its range.
    """
    kind = next((name for name in _TAKES if getattr(options, name) is not None), None)
    beside = {name: getattr(options, name) for name in ("time", *_BOUNDS)}
    given = {name: value for name, value in beside.items() if value is not None}
    _check_beside(options, kind, given)
    if kind is None:
        return None
    fields = {_FIELDS.get(name, name): value for name, value in given.items()}
    return _made(kind, getattr(options, kind), fields)


def _check_beside(options: argparse.Namespace, kind: str | None, given: dict[str, Any]) -> None:
    """Refuse options that do not go with the kind, or lack what they count from."""
    taken = () if kind is None else _TAKES[kind]
    for name in given:
        if name not in taken:
            kinds = [_option(each) for each, takes in _TAKES.items() if name in takes]
            options.usage_error(f"--{name} goes with {', '.join(kinds[:-1])} or {kinds[-1]}")
    counting = [name for name in ("rrule", "count") if getattr(options, name) is not None]
    if counting and "start" not in given:
        options.usage_error(f"--{counting[0]} needs --start, from which it counts")


def _option(kind: str) -> str:
    return f"--{kind.replace('_', '-')}"


def _made(kind: str, value: Any, fields: dict[str, Any]) -> Recurrence:
    from cdds import schedule

    if kind in {"once", "at"}:
        return schedule.Once(value if kind == "at" else None)
    if kind == "weekly":
        return schedule.Weekly([day.strip() for day in value.split(",")], **fields)
    kinds: dict[str, Any] = {
        "every_hours": schedule.Hourly,
        "daily": schedule.Daily,
        "monthly": schedule.Monthly,
        "rrule": schedule.RRule,
    }
    recurrence: Recurrence = kinds[kind](value, **fields)
    return recurrence
