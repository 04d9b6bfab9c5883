"""`main`: from the words of a command to its exit code.

Place: the top of the command line. Each command is a file beside this one, and adds itself to the
parser, and may return an exit code of its own.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence

from cdds._version import __version__
from cdds.cli import (
    artifacts,
    cat,
    decrypt,
    demo,
    export,
    history,
    inspect,
    jobs,
    plugins,
    preferences,
    serve,
    verify,
)
from cdds.cli.telling import in_words, tell, telling_warnings

_RECIPIENT = (decrypt, verify, inspect, cat)
_PAGES = (jobs, history, artifacts, preferences)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; the words are those of the process when left out.

    Raises:
        SystemExit: after ``--help`` and ``--version``, and with 2 for wrong usage.
    """
    try:
        options = _parser().parse_args(argv)
        with telling_warnings():
            return options.run(options) or 0
    except KeyboardInterrupt as stop:
        tell("cdds: stopped")
        return stop.args[0] if stop.args else 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001  # no traceback for a user
        tell(f"cdds: error: {in_words(error)}")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cdds",
        description="Export records: validated, zipped, split and sealed for a certificate; or "
        "open what was exported.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"cdds {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (export, demo, *_RECIPIENT, serve, *_PAGES, plugins):
        command.add_to(commands)
    return parser
