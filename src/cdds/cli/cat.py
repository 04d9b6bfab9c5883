"""`cdds cat`: the data of a file in an export, on standard output as they stand.

Place: a command, over `cdds.Export.data`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdds.cli.opening import add_demand, add_opening_options, opened_export
from cdds.cli.stopping import stoppable
from cdds.cli.telling import pour
from cdds.cli.words import Once, add_command

if TYPE_CHECKING:
    import argparse


def add_to(commands: Any) -> None:
    """Add the command."""
    cat = add_command(commands, "cat", _run, "print the records of an export")
    cat.description = "Print the records of a data file of an export, as JSON Lines."
    add_demand(add_opening_options(cat))
    group = cat.add_argument_group("what is printed")
    group.add_argument(
        "--name",
        metavar="NAME",
        required=True,
        action=Once,
        help="the data file, such as Interaction, or any other file, such as manifest.json",
    )
    group.add_argument(
        "--proof",
        choices=("first", "end"),
        default="first",
        help="when data are proven: all of them before the first is printed, which reads them "
        "twice (default), or the last of them before it is printed, so that what came before an "
        "error may be anything",
    )


def _run(options: argparse.Namespace) -> None:
    with stoppable() as stop, opened_export(options) as export:
        pour(stop.between(export.data(options.name, proof=options.proof)))
