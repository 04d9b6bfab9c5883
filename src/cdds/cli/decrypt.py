"""`cdds decrypt`: the files of an export, proven, or the content of one message as it is.

Place: a command, over `cdds.Export.extract` and `to_zip`; the content as it is comes from `raw`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdds.cli.opening import add_demand, add_opening_options, opened_export
from cdds.cli.raw import STANDARD_STREAM, write_content
from cdds.cli.stopping import stoppable
from cdds.cli.telling import as_json, say_result
from cdds.cli.words import Once, add_command
from cdds.location import printable

if TYPE_CHECKING:
    import argparse

    from cdds.cli.stopping import Stop
    from cdds.recipient import Export


def add_to(commands: Any) -> None:
    """Add the command."""
    decrypt = add_command(commands, "decrypt", _run, "extract the files of an export")
    decrypt.description = (
        "Extract the files of an export, or all of it as one ZIP file, and print their paths. They "
        "get their names when all of them are proven; no file is ever overwritten."
    )
    add_demand(add_opening_options(decrypt))
    group = decrypt.add_argument_group("where to")
    group.add_argument(
        "--to", metavar="DIR", type=Path, action=Once, help="folder (default: the current one)"
    )
    group.add_argument(
        "--zip",
        action="store_true",
        help="instead of its files: write the whole archive into the folder, as one plain ZIP file",
    )
    group.add_argument(
        "--raw",
        metavar="OUT",
        action=Once,
        help="instead of all that: write the content of one message, of any sender, into this file "
        "as it is; FILE may be - for standard input. With - as OUT it streams to standard output "
        "as it comes: what came before an error, or from a message that nothing authenticates, "
        "may be anything",
    )
    group.add_argument("--json", action="store_true", help="print one JSON object, not paths")


def _run(options: argparse.Namespace) -> None:
    if options.raw is None:
        _extract(options)
        return
    for option in ("to", "zip", "json", "signer", "require_authenticated"):
        if getattr(options, option):
            options.usage_error(f"--raw does not go with --{option.replace('_', '-')}")
    if len(options.files) > 1:
        options.usage_error("--raw takes one FILE, for it is one message")
    if not options.keys:
        options.usage_error("--raw takes a --key, for it is an encrypted message")
    write_content(options)


def _extract(options: argparse.Namespace) -> None:
    if STANDARD_STREAM in options.files:
        options.usage_error("FILE can be - with --raw alone; an export is found by its files")
    folder = options.to or Path()
    with stoppable() as stop, opened_export(options) as export:
        if options.zip:
            paths = _zipped(export, folder, stop)
        else:
            paths = export.extract(folder, cancel=stop)
    told = [{"name": str(path.relative_to(folder)), "path": str(path)} for path in paths]
    names = "\n".join(printable(str(path)) for path in paths)
    text = as_json({"extracted": told}) if options.json else names
    say_result(text, f"the files are in {printable(str(folder))}")


def _zipped(export: Export, folder: Path, stop: Stop) -> tuple[Path, ...]:
    # What a URL has behind its last slash may hold further ones, escaped.
    path = folder / Path(f"{export.files.stem}.zip").name
    export.to_zip(path, cancel=stop)
    return (path,)
