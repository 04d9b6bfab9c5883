"""The command line: `cdds export` and `cdds demo`, also as `python -m cdds`.

Place: at the very top, over `cdds.export`. It turns words into arguments and results into lines,
and has no logic of exporting. What is loaded for an export is loaded once the words make sense.

Its names, output and exit codes are a contract:

    stdout   the artifacts' names, one a line, or one JSON object; nothing else
    stderr   warnings, the progress bar and errors, each error in one line
    0        done, also when nothing was selected
    1        the work was refused or failed, and nothing is left of it; only where standard output
             cannot be written the export is there all the same, as the message says
    2        wrong usage: an unknown or missing option, or a value that cannot be read as its kind
    130      stopped by Ctrl-C (143 by SIGTERM, 129 by SIGHUP), and nothing is left of it

Whether a value makes sense (a split size within its limits, a certificate that suits) is judged by
the library below, so it ends with 1, not with 2. A signal that comes while the artifacts are made
final may come too late: then the export is all there and ends with 0. No traceback ever reaches a
user.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
import traceback
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import cdds  # its names are loaded when they are used
from cdds._version import __version__
from cdds.errors import Cancelled, CddsError, JobError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cdds.crypto import Signer
    from cdds.model import Dataset, ExportResult
    from cdds.protocols import Source

_DEMO_FOLDER = "cdds-demo"

# --- the words ------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; the words are those of the process when left out.

    Raises:
        SystemExit: after ``--help`` and ``--version``, and with 2 for wrong usage.
    """
    try:
        options = _parser().parse_args(argv)
        with _telling_warnings():
            options.run(options)
    except KeyboardInterrupt as stop:
        _tell("cdds: stopped")
        return stop.args[0] if stop.args else 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001  # no traceback for a user
        _tell(f"cdds: error: {_in_words(error)}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cdds",
        description="Export records: validated, zipped, split and sealed for a certificate.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"cdds {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    export = commands.add_parser(
        "export",
        help="export records into sealed artifacts",
        description="Export records into sealed artifacts, and print the artifacts' names.",
        allow_abbrev=False,
    )
    _add_ends(export.add_argument_group("from where, for whom, to where"))
    _add_selection(export.add_argument_group("which records"))
    _add_form(export.add_argument_group("how"))
    _add_output(export.add_argument_group("what is shown"))
    _add_signer(export.add_argument_group("where it comes from"))
    export.set_defaults(run=_export, usage_error=export.error)
    demo = commands.add_parser(
        "demo",
        help="make a sample, export it and open it",
        description="Make a sample and a key, export the sample, open it, and tell how.",
        allow_abbrev=False,
    )
    demo.add_argument("folder", nargs="?", metavar="DIR", type=Path, default=Path(_DEMO_FOLDER))
    demo.set_defaults(run=_demo)
    return parser


def _add_ends(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dataset", required=True, type=str.casefold, choices=("interaction", "contact")
    )
    group.add_argument(
        "--records",
        required=True,
        metavar="FILE",
        action=_Once,
        help="interactions or contacts: JSON Lines, or a JSON array in a .json file; a path or "
        "URL, compressed or not",
    )
    group.add_argument(
        "--attachments",
        metavar="FILE",
        action=_Once,
        help="documents of the interactions, or attributes of the contacts",
    )
    group.add_argument(
        "--recipient",
        required=True,
        metavar="CERT",
        action="append",
        help="certificate in PEM or DER; may be repeated",
    )
    group.add_argument("--to", required=True, metavar="URL", action=_Once, help="folder or URL")
    group.add_argument(
        "--job-id", metavar="ID", action=_Once, help="part of the data files' names; a new UUID"
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
        type=_moment,
        help="only from this moment on: ISO 8601, in UTC where it says no zone; a date alone is "
        "its midnight",
    )
    group.add_argument(
        "--until", dest="end", metavar="T", type=_moment, help="only before this moment"
    )


def _add_form(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--split-size",
        metavar="SIZE",
        type=_size,
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
    group.add_argument("--no-validate", action="store_true", help="pass records on unread")
    group.add_argument("--level", choices=("fast", "small"), default="fast")


def _add_signer(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--signer-key",
        metavar="KEY",
        action=_Once,
        help="sign the file of digests with this private key, in PEM or DER",
    )
    group.add_argument("--signer-cert", metavar="CERT", action=_Once, help="and its certificate")
    group.add_argument(
        "--signer-password-file",
        metavar="FILE",
        type=Path,
        action=_Once,
        help="its first line is the key's password",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--json", action="store_true", help="print one JSON object instead of names")
    group.add_argument("--no-progress", action="store_true", help="no progress bar")
    group.add_argument("-q", "--quiet", action="store_true", help="no warnings, no progress bar")


class _Once(argparse.Action):
    """An option with one value: a second one is refused instead of silently preferred."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is given twice")
        setattr(namespace, self.dest, values)


def _size(text: str) -> int:
    from cdds.model import parse_size  # what need not be loaded is not

    try:
        return parse_size(text)
    except JobError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _moment(text: str) -> datetime:
    # `datetime.fromisoformat` takes any character between date and time, and so reads the zone in
    # 2025-01-01-10:00 as the time of day.
    day, separator, rest = text.replace(" ", "T", 1).partition("T")
    try:
        clock = time.fromisoformat(rest) if separator else time()
        moment = datetime.combine(date.fromisoformat(day), clock)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time in ISO 8601, such as 2025-01-31 or 2025-01-31T08:00:00Z"
        ) from None


# --- the commands ---------------------------------------------------------------------------------


def _export(options: argparse.Namespace) -> None:
    dataset = cdds.datasets.find(options.dataset)
    is_bounded = options.start is not None or options.end is not None
    with _stoppable() as stop:
        result = cdds.export(
            _source(dataset, options.records, options.attachments),
            dataset=dataset,
            to=options.to,
            recipients=options.recipient,
            media_types=options.media_type,
            timeframe=cdds.Timeframe(options.start, options.end) if is_bounded else None,
            split_size=options.split_size,
            on_invalid=options.on_invalid,
            validate=not options.no_validate,
            level=options.level,
            format=options.format,
            cipher=options.cipher,
            key_transport=options.key_transport,
            signer=_signer(options),
            job_id=options.job_id,
            progress=not (options.quiet or options.no_progress) and _is_terminal(sys.stderr),
            cancel=stop,
        )
    if not options.quiet:
        for warning in result.warnings:
            _tell(f"cdds: warning: {warning}")
    try:
        _say(_as_json(result) if options.json else _names(result))
    except OSError as error:
        raise CddsError(
            f"the export is complete, see {result.digests}, but standard output cannot be "
            f"written: {error.strerror}"
        ) from error


def _demo(options: argparse.Namespace) -> None:
    from cdds import demo

    with _stoppable() as stop:
        demo.run(options.folder, say=_say, cancel=stop)


# --- the input ------------------------------------------------------------------------------------


def _source(dataset: Dataset, records: str, attachments: str | None) -> Source:
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
    password = password_file.read_bytes().splitlines()[:1] if password_file else []
    return cdds.Signer.load(key, certificate, *password)


# --- the output -----------------------------------------------------------------------------------


def _names(result: ExportResult) -> str:
    return "\n".join(artifact.name for artifact in result.artifacts)


def _as_json(result: ExportResult) -> str:
    from attrs import asdict

    return json.dumps(
        {
            "run_id": result.run_id,
            "artifacts": [asdict(artifact) for artifact in result.artifacts],
            "digests": result.digests,
            **({"signature": result.signature} if result.signature else {}),
            "records": dict(result.records),
            "rejects": [asdict(reject) for reject in result.rejects],
            "warnings": list(result.warnings),
        }
    )


def _is_terminal(stream: TextIO | None) -> bool:
    """Tell whether somebody watches; a stream that was closed before the start is None."""
    return stream is not None and stream.isatty()


def _say(text: str) -> None:
    """Print to standard output; who stops reading early has seen enough."""
    try:
        print(text, flush=True)
    except OSError as error:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def _tell(text: str) -> None:
    """Print a message to standard error, where there may be nobody any more."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)


def _in_words(error: Exception) -> str:
    """Describe an error in one line."""
    match error:
        case CddsError():
            text = str(error).replace("on_invalid='reject'", "--on-invalid reject")
        case OSError(filename=str(name), strerror=str(reason)):
            text = f"{name}: {reason}"
        case _:  # its message might quote a record
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            text = f"cdds has met an error of its own ({where}); please report it"
    return " ".join(text.split())


class _Teller(logging.Handler):
    """Tells what the library logs as a warning, such as a file that it could not remove."""

    def emit(self, record: logging.LogRecord) -> None:
        _tell(f"cdds: warning: {' '.join(record.getMessage().split())}")


@contextmanager
def _telling_warnings() -> Iterator[None]:
    log, teller = logging.getLogger("cdds"), _Teller(logging.WARNING)
    log.addHandler(teller)
    try:
        yield
    finally:
        log.removeHandler(teller)


# --- stopping -------------------------------------------------------------------------------------

_GRACE = 0.5
"""How many seconds an export has to notice that it shall stop."""


class _Stop:
    """A cancel token that signals set.

    An exception raised by a signal may strike anywhere, also between the making of a file and the
    note that it was made. So an export is asked to stop, and does so between two chunks. Only when
    it does not look, since its input or the network keeps it waiting, is it interrupted there.
    Once it is stopping, no further signal disturbs its cleaning up.
    """

    def __init__(self) -> None:
        self._signal = 0
        self._is_seen = False

    @property
    def exit_code(self) -> int:
        return 128 + (self._signal or signal.SIGINT)

    def is_set(self) -> bool:
        self._is_seen = self._signal != 0
        return self._is_seen

    def ask(self, number: int, _: object) -> None:
        if not self._signal:
            self._signal = number
            signal.setitimer(signal.ITIMER_REAL, _GRACE)

    def insist(self, *_: object) -> None:
        if not self._is_seen:
            raise KeyboardInterrupt


@contextmanager
def _stoppable() -> Iterator[_Stop]:
    """Heed signals while the work is done, and put back what heeded them before.

    Raises:
        KeyboardInterrupt: the work was stopped; its argument is the exit code.
    """
    stop = _Stop()
    previous = _install(stop)
    try:
        yield stop
    except (Cancelled, KeyboardInterrupt):
        raise KeyboardInterrupt(stop.exit_code) from None
    finally:
        if previous:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _install(stop: _Stop) -> dict[int, Any]:
    """Let signals reach `stop`, where the system and the thread allow it; return the handlers."""
    is_main = threading.current_thread() is threading.main_thread()
    if not (is_main and hasattr(signal, "setitimer")):
        return {}
    asking = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # What is ignored stays ignored, as nohup and the shell's background jobs want it.
    heeded = [number for number in asking if signal.getsignal(number) is not signal.SIG_IGN]
    previous: dict[int, Any] = {signal.SIGALRM: signal.signal(signal.SIGALRM, stop.insist)}
    return previous | {number: signal.signal(number, stop.ask) for number in heeded}
