"""Kinds of words that several commands take: sizes, moments and spans of time, options given once.

Place: below the commands. A word that is none of its kind is wrong usage; whether its value makes
sense is judged by the library.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NoReturn

from cdds.cli.spans import parse_span
from cdds.errors import JobError

Run = Callable[[argparse.Namespace], "int | None"]
"""What a command does with its options; it returns an exit code that is not 0, or nothing."""


def add_command(commands: Any, name: str, run: Run, summary: str) -> argparse.ArgumentParser:
    """Return the parser of a new command, which `run` carries out."""
    sentence = f"{summary[0].upper()}{summary[1:]}."
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=sentence, allow_abbrev=False
    )
    parser.set_defaults(run=run, usage_error=parser.error)
    return parser


def add_page(commands: Any, name: str, summary: str) -> Any:
    """Return what a page's own commands are added to."""
    sentence = f"{summary[0].upper()}{summary[1:]}."
    page = commands.add_parser(name, help=summary, description=sentence, allow_abbrev=False)
    return page.add_subparsers(title="commands", metavar="COMMAND", required=True)


class Once(argparse.Action):
    """An option with one value: a second one is refused instead of silently preferred."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Take the value of an option."""
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is given twice")
        setattr(namespace, self.dest, values)


def size(text: str) -> int:
    """Return a size in bytes."""
    from cdds.model import parse_size  # what need not be loaded is not

    try:
        return parse_size(text)
    except JobError as error:
        _refuse(str(error))


def span(text: str) -> timedelta:
    """Return a span of time."""
    try:
        return parse_span(text)
    except JobError as error:
        _refuse(str(error))


def moment(text: str) -> datetime:
    """Return a moment in UTC."""
    # `datetime.fromisoformat` takes any character between date and time, and so reads the zone in
    # 2025-01-01-10:00 as the time of day.
    day, separator, rest = text.replace(" ", "T", 1).partition("T")
    try:
        clock = time.fromisoformat(rest) if separator else time()
        moment = datetime.combine(date.fromisoformat(day), clock)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        _refuse(f"{text!r} is no time in ISO 8601, such as 2025-01-31 or 2025-01-31T08:00:00Z")


def time_of_day(text: str) -> time:
    """Return a time of day."""
    from cdds.schedule import moments  # loads what recurs

    try:
        return moments.time_of_day(text)
    except JobError:
        _refuse(f"{text!r} is no time of day, such as 02:30")


def _refuse(reason: str) -> NoReturn:
    raise argparse.ArgumentTypeError(reason) from None
