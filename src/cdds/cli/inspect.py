"""`cdds inspect`: what an export tells without a key.

Place: a command, over `cdds.recipient.inspect_export`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cdds import recipient  # its names are loaded when they are used
from cdds.cli.stopping import stoppable
from cdds.cli.telling import as_json, say
from cdds.cli.words import add_command

if TYPE_CHECKING:
    import argparse

    from cdds.recipient import Inspection

_DATA = "1.2.840.113549.1.7.1"  # any bytes (RFC 5652, section 4)
_RECIPIENT = ("issuer", "serial_number", "subject_key_identifier", "key_transport", "kind")


def add_to(commands: Any) -> None:
    """Add the command."""
    inspect = add_command(commands, "inspect", _run, "tell of an export what needs no key")
    inspect.add_argument("file", metavar="FILE", help="any file of the export: a path or URL")
    inspect.add_argument("--json", action="store_true", help="print one JSON object, not a text")


def _run(options: argparse.Namespace) -> None:
    with stoppable():
        found = recipient.inspect_export(options.file)
    say(as_json(found.as_dict()) if options.json else "\n\n".join(_texts(found)))


def _texts(found: Inspection) -> Iterable[str]:
    from cdds.cli.tables import sheet, size, table

    parts = [part.as_dict() for part in found.parts]
    yield sheet(
        {
            "export": found.name,
            "size": size(found.size),
            "files": len(parts),
            "digests": found.digests or "none",
            "signature": found.signature or "none",
            "sealed": found.is_sealed,
            **(_message(parts) if found.is_sealed else {}),
        }
    )
    recipients = dict.fromkeys(
        tuple(one[name] for name in _RECIPIENT)
        for part in parts
        for one in part.get("recipients", ())
    )
    if recipients:
        yield table(
            ("issuer", "serial number", "key identifier", "key transport", "kind"), recipients
        )
    yield table(("file", "size"), ((part["name"], size(part["size"])) for part in parts))
    if found.entries is not None:
        rows = ((entry.name, size(entry.size), entry.method) for entry in found.entries)
        yield table(("entry", "size", "method"), rows)


def _message(parts: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return what the messages say of themselves; what differs between them, with commas."""
    parts = list(parts)
    names = ("form", "kind", "cipher", "authenticated", "content_type")
    words = {True: "yes", False: "no", _DATA: "data"}
    return {
        name.replace("_", " "): ", ".join(
            dict.fromkeys(words.get(part[name], part[name]) for part in parts)
        )
        for name in names
    }
