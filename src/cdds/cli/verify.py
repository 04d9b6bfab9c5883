"""`cdds verify`: whether an export is sound, as a report and an exit code.

Place: a command, over `cdds.recipient.verify`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdds import recipient  # its names are loaded when they are used
from cdds.cli.stopping import stoppable
from cdds.cli.telling import as_json, say
from cdds.cli.words import Once, add_command
from cdds.secret import password_of_file

if TYPE_CHECKING:
    import argparse

_NOT_SOUND = 3


def add_to(commands: Any) -> None:
    """Add the command."""
    verify = add_command(commands, "verify", _run, "tell whether an export is sound")
    verify.add_argument(
        "files", metavar="FILE", nargs="+", help="any file of the export: a path or URL"
    )
    verify.add_argument(
        "--key", metavar="KEY", action=Once, help="private key, in PEM, DER or PKCS #12"
    )
    verify.add_argument(
        "--password-file",
        metavar="FILE",
        type=Path,
        action=Once,
        help="its first line is the key's password",
    )
    verify.add_argument("--cert", metavar="CERT", action=Once, help="the key's certificate")
    verify.add_argument(
        "--signer", metavar="CERT", action=Once, help="certificate of who must have signed it"
    )
    verify.add_argument("--json", action="store_true", help="print one JSON object, not a text")


def _run(options: argparse.Namespace) -> int | None:
    if options.key is None and (options.password_file or options.cert):
        options.usage_error("--password-file and --cert go with --key")
    password = password_of_file(options.password_file) if options.password_file else None
    with stoppable():
        found = recipient.verify(
            options.files,
            key=options.key,
            password=password,
            certificates=() if options.cert is None else options.cert,
            signer=options.signer,
        )
    say(as_json(found.as_dict()) if options.json else str(found))
    return None if found.is_sound else _NOT_SOUND
