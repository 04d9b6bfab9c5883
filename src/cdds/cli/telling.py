"""What reaches the terminal: results on standard output, everything else on standard error.

Place: below the commands. An error is one line without a traceback, and without content: the
message of an error that is not this library's own is never shown.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from cdds.errors import CddsError
from cdds.location import printable


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether somebody watches; a stream that was closed before the start is None."""
    return stream is not None and stream.isatty()


def say(text: str) -> None:
    """Print to standard output; who stops reading early has seen enough.

    Raises:
        CddsError: standard output cannot be written.
    """
    _is_read(lambda: print(text, flush=True))


def pour(pieces: Iterable[bytes]) -> None:
    """Write data to standard output as they come; who stops reading early has seen enough.

    Raises:
        CddsError: standard output cannot be written; an error of `pieces` passes through.
    """
    if sys.stdout is None:
        raise CddsError("standard output cannot be written: it is closed")
    # Past the buffer: what it held when the work is stopped, Python would wait to write at its end.
    file = sys.stdout.fileno()
    for piece in pieces:
        if not _is_read(partial(_write_whole, file, piece)):
            return


def _is_read(write: Callable[[], object]) -> bool:
    """Write to standard output, and tell whether somebody still reads it."""
    try:
        write()
    except OSError as error:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise CddsError(f"standard output cannot be written: {error.strerror}") from error
        return False
    return True


def say_result(text: str, done: str) -> None:
    """Print the result of work that is done, whether or not it can be printed.

    Args:
        text: the result.
        done: what is done, for the message that it could not be printed.

    Raises:
        CddsError: standard output cannot be written.
    """
    try:
        say(text)
    except CddsError as error:
        raise CddsError(f"{done}, but {error}") from error


def as_json(value: dict[str, Any]) -> str:
    """Return one JSON object."""
    return json.dumps(value)


def tell(text: str) -> None:
    """Print a message to standard error, where there may be nobody any more."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print a warning to standard error, in one line."""
    tell(f"cdds: warning: {_one_line(text)}")


def in_words(error: Exception) -> str:
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
    return _one_line(text)


def _write_whole(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _one_line(text: str) -> str:
    """Return a text in one line that no terminal takes for orders."""
    return printable(" ".join(text.split()))


class _Teller(logging.Handler):
    """Tells what the library logs as a warning, such as a file that it could not remove."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


@contextmanager
def telling_warnings() -> Iterator[None]:
    """Tell what the library warns of, while the context is open."""
    log, teller = logging.getLogger("cdds"), _Teller(logging.WARNING)
    log.addHandler(teller)
    try:
        yield
    finally:
        log.removeHandler(teller)
