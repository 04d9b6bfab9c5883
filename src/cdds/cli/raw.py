"""`cdds decrypt --raw`: the content of one message as it is, with nothing known of what it is.

Place: a part of the command `decrypt`, over `cdds.Envelope.decrypt`. A file gets its name when the
content has come to its end without an error; standard output has it as it comes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import cdds  # its names are loaded when they are used
from cdds.cli.opening import keys_of
from cdds.cli.stopping import stoppable
from cdds.cli.telling import pour, warn
from cdds.errors import JobError

if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractContextManager

    from cdds.crypto.recognition import MessageSource

STANDARD_STREAM = "-"
"""What stands for standard input, and for standard output."""

_UNPROVEN = (
    "nothing authenticates this message, so its content may have been changed, and a wrong key may "
    "give garbage without an error; use it only where it proves itself, as an archive does"
)


def write_content(options: argparse.Namespace) -> None:
    """Write the content of the one message that the words mean to where they say.

    Raises:
        CddsError: it cannot be read, decrypted or written; then no file is left.
        OSError: the file with the password cannot be read.
    """
    with stoppable() as stop, _message(options.files[0]) as message:
        content = cdds.Envelope.decrypt(message, **keys_of(options))
        pieces = stop.between(content.iter_unverified())
        if options.raw == STANDARD_STREAM:
            pour(pieces)
        else:
            _save(pieces, Path(options.raw))
    if not content.header.is_authenticated:
        warn(_UNPROVEN)


def _message(location: str) -> AbstractContextManager[MessageSource]:
    return _standard_input() if location == STANDARD_STREAM else _file(location)


def _standard_input() -> AbstractContextManager[MessageSource]:
    if sys.stdin is None:
        raise JobError("standard input is closed; name the file of a message")
    return nullcontext(sys.stdin.buffer)


@contextmanager
def _file(location: str) -> Iterator[MessageSource]:
    from cdds.crypto.recognition import READ_SIZE
    from cdds.recipient.locating import located

    folder, name = located(location, {})
    file = folder.entry(name).open(True)
    try:
        yield file.pieces(READ_SIZE)
    finally:
        file.close()


def _save(pieces: Iterator[bytes], path: Path) -> None:
    from cdds.recipient.extraction import Extraction

    with Extraction(path.parent, [path.name]) as extraction:
        extraction.write(path.name, pieces)
