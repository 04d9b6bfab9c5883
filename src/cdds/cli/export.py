"""`cdds export`: the main job in one command.

Place: a command, over `cdds.export`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cdds  # its names are loaded when they are used
from cdds.cli.dry_run import say_estimate
from cdds.cli.stopping import stoppable
from cdds.cli.telling import as_json, is_terminal, say_result, warn
from cdds.cli.transforms import add_options, transforms_of
from cdds.cli.words import Once, add_command, moment, size, span
from cdds.errors import JobError
from cdds.secret import holds_password, password_of_file

if TYPE_CHECKING:
    import argparse

    from cdds.crypto import Signer
    from cdds.model import Dataset, ExportResult
    from cdds.protocols import Source

_DATABASES = ("sql", "ucs")
_LIMITS = "--rows-per-second and --statement-timeout"


def add_to(commands: Any) -> None:
    """Add the command."""
    export = add_command(commands, "export", _run, "export records into sealed artifacts")
    export.description = "Export records into sealed artifacts, and print the artifacts' names."
    ends = export.add_argument_group("from where, for whom, to where")
    _add_origin(ends)
    _add_limits(ends)
    _add_ends(ends)
    _add_selection(export.add_argument_group("which records"))
    add_options(export.add_argument_group("what is changed in them"))
    _add_form(export.add_argument_group("how"))
    _add_output(export.add_argument_group("what is shown"))
    _add_signer(export.add_argument_group("where it comes from"))


def _add_origin(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dataset", required=True, type=str.casefold, choices=("interaction", "contact")
    )
    origin = group.add_mutually_exclusive_group(required=True)
    origin.add_argument(
        "--records",
        metavar="FILE",
        action=Once,
        help="interactions or contacts: JSON Lines, or a JSON array in a .json file; a path or "
        "URL, compressed or not",
    )
    origin.add_argument(
        "--source",
        metavar="URL",
        action=Once,
        help="a UCS database, as ucs+sqlite:///FILE or ucs+postgresql://USER@HOST/NAME, or what a "
        "plugin opens by its URL; see cdds plugins",
    )
    group.add_argument(
        "--source-password-file",
        metavar="FILE",
        type=Path,
        action=Once,
        help="its first line is the password of --source",
    )
    group.add_argument(
        "--attachments",
        metavar="FILE",
        action=Once,
        help="beside --records: documents of the interactions, or attributes of the contacts",
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--rows-per-second",
        metavar="N",
        type=float,
        action=Once,
        help="the most rows that are read of a database in a second, 1 or more",
    )
    group.add_argument(
        "--statement-timeout",
        metavar="SPAN",
        type=span,
        action=Once,
        help="how long one statement of a database may take, of which an export makes many: 30s, "
        "10m (default: 5m)",
    )


def _add_ends(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--recipient",
        metavar="CERT",
        action="append",
        help="certificate in PEM or DER; may be repeated",
    )
    group.add_argument("--to", metavar="URL", action=Once, help="folder or URL")
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="tell what would be exported, and write nothing; needs neither --recipient nor --to",
    )
    group.add_argument(
        "--job-id", metavar="ID", action=Once, help="part of the data files' names; a new UUID"
    )


def _add_selection(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--media-type",
        metavar="M",
        nargs="+",
        action="extend",
        help="only these, such as chat and email; may be repeated",
    )
    group.add_argument(
        "--from",
        dest="start",
        metavar="T",
        type=moment,
        help="only from this moment on: ISO 8601, in UTC where it says no zone; a date alone is "
        "its midnight",
    )
    group.add_argument(
        "--until", dest="end", metavar="T", type=moment, help="only before this moment"
    )


def _add_form(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--split-size",
        metavar="SIZE",
        type=size,
        help="split the archive: '64 MiB', 10MB or bytes, before sealing adds about 35 %%",
    )
    group.add_argument(
        "--on-invalid",
        choices=("fail", "reject"),
        default="fail",
        help="what an invalid record does: fail the export (default), or be left out and listed",
    )
    group.add_argument(
        "--format",
        choices=("smime", "der", "pem"),
        default="smime",
        help="how messages are written (default: smime)",
    )
    group.add_argument(
        "--cipher",
        choices=("aes-256-cbc", "aes-128-cbc", "aes-256-gcm"),
        default="aes-256-cbc",
        help="what they are encrypted with; gcm also tells whether they were changed",
    )
    group.add_argument(
        "--key-transport",
        choices=("pkcs1v15", "oaep"),
        default="pkcs1v15",
        help="what their keys are encrypted with; old readers do not know oaep",
    )
    group.add_argument(
        "--ignore-case",
        action="store_true",
        help="take a field whose name differs only in case from one of the schema for that one",
    )
    group.add_argument("--no-validate", action="store_true", help="pass records on unread")
    group.add_argument("--level", choices=("fast", "small"), default="fast")


def _add_signer(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--signer-key",
        metavar="KEY",
        action=Once,
        help="sign the file of digests with this private key, in PEM or DER",
    )
    group.add_argument("--signer-cert", metavar="CERT", action=Once, help="and its certificate")
    group.add_argument(
        "--signer-password-file",
        metavar="FILE",
        type=Path,
        action=Once,
        help="its first line is the key's password",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--json", action="store_true", help="print one JSON object instead of names")
    group.add_argument("--no-progress", action="store_true", help="no progress bar")
    group.add_argument("-q", "--quiet", action="store_true", help="no warnings, no progress bar")


def _run(options: argparse.Namespace) -> None:
    if options.dry_run:
        _estimate(options)
        return
    missing = [name for name in ("recipient", "to") if getattr(options, name) is None]
    if missing:
        names = ", ".join(f"--{name}" for name in missing)
        options.usage_error(f"the following arguments are required: {names}")
    with stoppable() as stop:
        result = cdds.export(
            _source(options),
            to=options.to,
            recipients=options.recipient,
            **_asked_for(options),
            format=options.format,
            cipher=options.cipher,
            key_transport=options.key_transport,
            signer=_signer(options),
            progress=not (options.quiet or options.no_progress) and is_terminal(sys.stderr),
            cancel=stop,
        )
    if not options.quiet:
        for warning in result.warnings:
            warn(warning)
    text = as_json(_told(result)) if options.json else _names(result)
    say_result(text, f"the export is complete, see {result.digests}")


def _estimate(options: argparse.Namespace) -> None:
    with stoppable():
        found = cdds.estimate(_source(options), **_asked_for(options))
    say_estimate(found, options)


def _asked_for(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the options say of the records, as arguments of `cdds.export`."""
    dataset = cdds.datasets.find(options.dataset)
    is_bounded = options.start is not None or options.end is not None
    return {
        "dataset": dataset,
        "job_id": options.job_id,
        "media_types": options.media_type,
        "timeframe": cdds.Timeframe(options.start, options.end) if is_bounded else None,
        "split_size": options.split_size,
        "on_invalid": options.on_invalid,
        "validate": not options.no_validate,
        "level": options.level,
        "match_case": not options.ignore_case,
        "transforms": transforms_of(options, dataset),
    }


def _source(options: argparse.Namespace) -> Source:
    if options.source is not None:
        if options.attachments is not None:
            options.usage_error("--attachments goes with --records, not with --source")
        return _opened(options.source, options.source_password_file, _limits(options))
    if options.source_password_file is not None:
        options.usage_error("--source-password-file goes with --source")
    if _limits(options):
        options.usage_error(f"{_LIMITS} go with a database as --source")
    return _files(cdds.datasets.find(options.dataset), options.records, options.attachments)


def _limits(options: argparse.Namespace) -> dict[str, Any]:
    """Return how a database is spared, as options of its source."""
    given = {"rows_per_second": options.rows_per_second, "timeout": options.statement_timeout}
    return {name: value for name, value in given.items() if value is not None}


def _opened(url: str, password_file: Path | None, limits: dict[str, Any]) -> Source:
    if holds_password(url):
        raise JobError(
            "--source holds a password, and everybody on this machine can see arguments; "
            "give it as --source-password-file"
        )
    if limits and not _is_database(url):
        raise JobError(f"{_LIMITS} are for databases, such as ucs+postgresql://USER@HOST/NAME")
    if password_file is None:
        return cdds.sources.open_source(url, **limits)
    password = password_of_file(password_file).decode("utf-8", "surrogateescape")
    return cdds.sources.open_source(url, password=password, **limits)


def _is_database(url: str) -> bool:
    from cdds.plugins import addressed

    found = addressed(url)
    return found is not None and found[0] in _DATABASES


def _files(dataset: Dataset, records: str, attachments: str | None) -> Source:
    locations = (records, attachments)
    inputs = {
        file.name: location
        for file, location in zip(dataset.files, locations, strict=True)
        if location is not None
    }
    kinds = {_is_array(location) for location in inputs.values()} - {None}
    if len(kinds) > 1:
        raise JobError(
            "--records and --attachments must be of one kind: both JSON Lines, or both JSON arrays"
        )
    kind = cdds.sources.JsonArray if kinds == {True} else cdds.sources.JsonLines
    return kind(**inputs)


def _is_array(location: str) -> bool | None:
    """Tell whether a ``.json`` file, compressed or not, holds an array: some hold lines.

    An empty one may be either.
    """
    from cdds.sources.files import InputFile

    # Looking into a pipe would take away what is read.
    file = InputFile(location)
    if ".json" not in file.suffixes[-2:] or file.is_pipe:
        return False
    with file.open() as opened:
        start = opened.content.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    return start.startswith(b"[") if start else None


def _signer(options: argparse.Namespace) -> Signer | None:
    key, certificate, password_file = (
        options.signer_key,
        options.signer_cert,
        options.signer_password_file,
    )
    if key is None and certificate is None and password_file is None:
        return None
    if key is None or certificate is None:
        options.usage_error("--signer-key and --signer-cert go together")
    password = None if password_file is None else password_of_file(password_file)
    return cdds.Signer.load(key, certificate, password)


def _names(result: ExportResult) -> str:
    return "\n".join(artifact.name for artifact in result.artifacts)


def _told(result: ExportResult) -> dict[str, Any]:
    from attrs import asdict

    return {
        "run_id": result.run_id,
        "artifacts": [asdict(artifact) for artifact in result.artifacts],
        "digests": result.digests,
        **({"signature": result.signature} if result.signature else {}),
        "records": dict(result.records),
        "rejects": [asdict(reject) for reject in result.rejects],
        "unknown_fields": {name: dict(counts) for name, counts in result.unknown_fields.items()},
        "warnings": list(result.warnings),
    }
