"""`cdds demo`: the whole way once, to be looked at.

Place: a command, over `cdds.demo`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdds.cli.stopping import stoppable
from cdds.cli.telling import say
from cdds.cli.words import add_command

if TYPE_CHECKING:
    import argparse

_FOLDER = "cdds-demo"


def add_to(commands: Any) -> None:
    """Add the command."""
    demo = add_command(commands, "demo", _run, "make a sample, export it and open it")
    demo.description = "Make a sample and a key, export the sample, open it, and tell how."
    demo.add_argument("folder", nargs="?", metavar="DIR", type=Path, default=Path(_FOLDER))


def _run(options: argparse.Namespace) -> None:
    from cdds import demo

    with stoppable() as stop:
        demo.run(options.folder, say=say, cancel=stop)
