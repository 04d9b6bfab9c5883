"""What a person sets for a job: from options to the fields of `JobSettings`.

Place: below the commands that add, edit and clone. Only what is given is returned, so that the rest
stays as it is, or as the library has it.
"""

from __future__ import annotations

import argparse
from typing import Any

from cdds.cli.recurrence import add_recurrence, recurrence_of
from cdds.cli.words import Once, moment, size, span

_PLAIN = (
    *("title", "description", "source", "split_size", "on_invalid", "max_rejects", "level"),
    *("misfire", "misfire_grace_time", "max_instances", "max_retries"),
)
"""Options that are fields of `JobSettings` as they stand."""


def add_settings(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the options for the settings of a job; the mandatory ones are required of a new one."""
    group = parser.add_argument_group("what the job is")
    group.add_argument("--title", metavar="TEXT", required=required, action=Once)
    group.add_argument("--description", metavar="TEXT", action=Once)
    group.add_argument(
        "--source", metavar="NAME", required=required, action=Once, help="of the configuration"
    )
    group.add_argument(
        "--dataset", metavar="NAME", required=required, action=Once, help="interaction or contact"
    )
    add_recurrence(parser)
    _add_starts(parser.add_argument_group("starts that are missed, and runs that fail"))
    _add_selection(parser.add_argument_group("which records"))
    _add_form(parser.add_argument_group("how, and for whom"))


def _add_starts(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--misfire",
        choices=("one", "each", "none"),
        help="make up for missed starts by one run (default), by one for each, or not",
    )
    group.add_argument(
        "--misfire-grace-time",
        metavar="SPAN",
        type=span,
        action=Once,
        help="how late a start still is on time (default: 1m)",
    )
    group.add_argument(
        "--max-instances",
        metavar="N",
        type=int,
        action=Once,
        help="runs in progress at once, 1 (default) to 16",
    )
    group.add_argument(
        "--max-retries",
        metavar="N",
        type=int,
        action=Once,
        help="how often a run is tried again where that is worth it, 0 to 10 (default: 3)",
    )


def _add_selection(group: argparse._ArgumentGroup) -> None:
    media = group.add_mutually_exclusive_group()
    media.add_argument("--media-type", metavar="M", nargs="+", action="extend", help="only these")
    media.add_argument("--all-media-types", action="store_true", help="all (default)")
    group.add_argument("--from", dest="from_", metavar="T", type=moment, action=Once)
    group.add_argument("--until", metavar="T", type=moment, action=Once)
    group.add_argument(
        "--since-last-run",
        metavar="LAG",
        nargs="?",
        const=True,
        type=span,
        action=Once,
        help="what has come since the last run, until so long before the start (default: 5m)",
    )
    group.add_argument(
        "--since",
        metavar="T",
        type=moment,
        action=Once,
        help="with --since-last-run: from where the first run goes on (default: all that is older)",
    )
    group.add_argument("--all-time", action="store_true", help="all data (default)")


def _add_form(group: argparse._ArgumentGroup) -> None:
    split = group.add_mutually_exclusive_group()
    split.add_argument("--split-size", metavar="SIZE", type=size, action=Once)
    split.add_argument("--no-split", action="store_true", help="one file (default)")
    group.add_argument(
        "--on-invalid", choices=("fail", "reject"), help="what an invalid record does"
    )
    group.add_argument(
        "--max-rejects", metavar="N", type=int, action=Once, help="before a run fails"
    )
    group.add_argument("--level", choices=("fast", "small"))
    others = group.add_mutually_exclusive_group()
    others.add_argument(
        "--recipient",
        metavar="CERT",
        action="append",
        help="certificate of somebody beside the owner; may be repeated",
    )
    others.add_argument("--no-recipients", action="store_true", help="the owner alone (default)")


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of `JobSettings` that the options give.

    Raises:
        JobError: a value is out of its range.
        CertificateError: a recipient's certificate cannot be read.
    """
    given = {name: getattr(options, name) for name in _PLAIN}
    given |= {
        "recurrence": recurrence_of(options),
        "timeframe": _timeframe(options),
        "dataset": _dataset(options.dataset),
        "media_types": options.media_type,
        "recipients": _certificates(options.recipient),
    }
    settings = {name: value for name, value in given.items() if value is not None}
    return settings | _taken_back(options)


def _taken_back(options: argparse.Namespace) -> dict[str, Any]:
    back: dict[str, Any] = {}
    if options.all_media_types:
        back["media_types"] = None
    if options.all_time:
        back["timeframe"] = None
    if options.no_split:
        back["split_size"] = None
    if options.no_recipients:
        back["recipients"] = ()
    return back


def _dataset(name: str | None) -> str | None:
    from cdds import datasets

    return None if name is None else datasets.find(name).name


def _timeframe(options: argparse.Namespace) -> Any:
    is_span = options.from_ is not None or options.until is not None
    is_incremental = options.since_last_run is not None
    if is_span + is_incremental + options.all_time > 1:
        options.usage_error(
            "give one of --from and --until, --since-last-run, and --all-time, not several"
        )
    if options.since is not None and not is_incremental:
        options.usage_error("--since goes with --since-last-run")
    from cdds.model import Timeframe

    if is_incremental:
        lag = {} if options.since_last_run is True else {"lag": options.since_last_run}
        return Timeframe.since_last_run(start=options.since, **lag)
    return Timeframe(options.from_, options.until) if is_span else None


def _certificates(files: list[str] | None) -> list[str] | None:
    if files is None:
        return None
    from cdds.crypto.certificates import load_recipients

    return [recipient.pem for recipient in load_recipients(files)]


def dataset_filter(options: argparse.Namespace) -> str | None:
    """Return the name of the dataset that a list is filtered by, as the service has it."""
    return _dataset(options.dataset)
