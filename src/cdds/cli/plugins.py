"""`cdds plugins`: which sources and sinks are there by name, and which of them can be used.

Place: a command. It is the one place that loads all of them, each in a guard.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from cdds.cli.telling import as_json, say
from cdds.cli.words import add_command

if TYPE_CHECKING:
    import argparse


def add_to(commands: Any) -> None:
    """Add the command."""
    plugins = add_command(commands, "plugins", _run, "list the sources and sinks that are plugins")
    plugins.add_argument("--json", action="store_true", help="print one JSON object, not a table")


def _run(options: argparse.Namespace) -> None:
    found = _told()
    if options.json:
        say(as_json({"plugins": found}))
        return
    from cdds.cli.tables import table

    columns = ("name", "kind", "distribution", "version", "state")
    say(table(columns, ([*map(one.get, columns[:4]), one["reason"] or "ok"] for one in found)))


def _told() -> list[dict[str, Any]]:
    from cdds import plugins

    found = []
    for offered in map(plugins.offered, plugins.KINDS):
        for plugin in offered:
            with redirect_stdout(sys.stderr):  # what a module prints is none of the result
                reason = plugins.failure(plugin, offered)
            found.append(
                {
                    "name": plugin.name,
                    "kind": plugin.kind,
                    "distribution": plugin.distribution,
                    "version": plugin.version,
                    "ok": reason is None,
                    "reason": reason,
                }
            )
    return found
