"""`cdds verify`: whether an export is sound, as a report and an exit code.

Place: a command, over `cdds.recipient.verify`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdds import recipient  # its names are loaded when they are used
from cdds.cli.opening import add_opening_options, keys_of
from cdds.cli.stopping import stoppable
from cdds.cli.telling import as_json, say
from cdds.cli.words import add_command

if TYPE_CHECKING:
    import argparse

_NOT_SOUND = 3


def add_to(commands: Any) -> None:
    """Add the command."""
    verify = add_command(commands, "verify", _run, "tell whether an export is sound")
    add_opening_options(verify)
    verify.add_argument("--json", action="store_true", help="print one JSON object, not a text")


def _run(options: argparse.Namespace) -> int | None:
    with stoppable():
        found = recipient.verify(options.files, **keys_of(options), signer=options.signer)
    say(as_json(found.as_dict()) if options.json else str(found))
    return None if found.is_sound else _NOT_SOUND
