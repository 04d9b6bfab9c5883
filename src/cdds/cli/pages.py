"""What the pages of the guide share in a terminal: whose page it is, and which part of a list.

Place: between the commands of a page and `hosting.py`. The operator names the user on whose behalf
they act; there is no default, so nothing is done for the wrong one by accident.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdds.cli.telling import as_json, say, say_result, tell
from cdds.cli.words import Once, Run, add_command

if TYPE_CHECKING:
    from cdds.access import Principal
    from cdds.service import DownloadService

OF_ALL = "also what belongs to other users of the tenant"
"""What `--all` reaches."""

Told = dict[str, Any]
"""An object of JSON."""


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the configuration."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        action=Once,
        help="configuration of the service, in TOML (default: $CDDS_CONFIG)",
    )


def add_page_options(parser: argparse.ArgumentParser, *, of_all: str | None = None) -> None:
    """Add what all commands of the pages take.

    Args:
        parser: the command's.
        of_all: what `--all` reaches, where the command has it.
    """
    add_configuration(parser)
    parser.add_argument(
        "--user", metavar="U", action=Once, help="on whose behalf (default: $CDDS_USER)"
    )
    parser.add_argument(
        "--tenant", metavar="T", action=Once, help="the user's tenant (default: $CDDS_TENANT)"
    )
    if of_all is not None:
        parser.add_argument("--all", action="store_true", help=of_all)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_one(page: Any, what: str, name: str, run: Run, summary: str) -> argparse.ArgumentParser:
    """Add a command of a page that is given the id of one thing."""
    parser = add_command(page, name, run, summary)
    parser.add_argument("id", metavar="ID", help=f"the {what}")
    add_page_options(parser, of_all=OF_ALL)
    return parser


def add_list_options(
    parser: argparse.ArgumentParser, sorts: Sequence[str], *, descending: bool
) -> None:
    """Add what all lists take: which part of them, and in which order."""
    add_page_options(parser, of_all="those of all users of the tenant")
    group = parser.add_argument_group("which part, in which order")
    group.add_argument("--sort", choices=sorts, default=sorts[0], help="default: %(default)s")
    order = group.add_mutually_exclusive_group()
    order.add_argument("--descending", action="store_true", default=descending)
    order.add_argument("--ascending", action="store_false", dest="descending")
    group.add_argument("--limit", metavar="N", type=int, default=50, help="1 to 500 (default: 50)")
    group.add_argument(
        "--after", metavar="TOKEN", action=Once, help="go on after the page that told this token"
    )


def part_of_list(options: argparse.Namespace) -> Told:
    """Return what a list of the service is told of the part and the order."""
    return {
        "sort": options.sort.replace("-", "_"),
        "descending": options.descending,
        "limit": options.limit,
        "after": options.after,
    }


def configuration_file(options: argparse.Namespace) -> Path:
    """Return the file that the options or the environment name."""
    return Path(_given(options, "config", "CDDS_CONFIG"))


@contextmanager
def opened_page(options: argparse.Namespace) -> Iterator[tuple[DownloadService, Principal]]:
    """Open the service of the options, and return it with the user who acts."""
    file = configuration_file(options)
    user, tenant = (_given(options, name, f"CDDS_{name.upper()}") for name in ("user", "tenant"))
    from cdds.access import Permission, Principal
    from cdds.cli.hosting import hosted_by_file

    # Whoever may read the configuration and its secrets may do all that the user may.
    permissions = [Permission.USE, Permission.CHOOSE_RECIPIENTS]
    if getattr(options, "all", False):
        permissions.append(Permission.CHANGE_ALL)
    principal = Principal(user, tenant, permissions)
    with hosted_by_file(file) as (service, _):
        yield service, principal


def _given(options: argparse.Namespace, option: str, variable: str) -> str:
    given = getattr(options, option)
    value: str = os.environ.get(variable, "") if given is None else given
    if not value:
        options.usage_error(f"give --{option}, or set {variable}")
    return value


def show(options: argparse.Namespace, text: str, value: Told) -> None:
    """Print what was asked for, as text or as JSON."""
    say(as_json(value) if options.json else text)


def show_done(options: argparse.Namespace, text: str, value: Told) -> None:
    """Print the result of a change, if there is anything to print."""
    if options.json or text:
        say_result(as_json(value) if options.json else text, "it is done")


def show_list(
    options: argparse.Namespace,
    name: str,
    told: Sequence[Told],
    *,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    token: str | None,
) -> None:
    """Print a page of a list as a table or as JSON, and where the next page begins."""
    if options.json:
        say(as_json({name: told, "next": token}))
        return
    from cdds.cli.tables import table

    say(table(columns, rows))
    if token is not None:
        tell(f"cdds: there is more: --after {token}")
