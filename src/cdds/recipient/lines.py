"""Cuts the data of an entry at line ends, whatever the pieces that they come in.

Place: between an archive, which yields pieces of any size, and what reads records. It looks for
line feeds and at nothing else, and refuses a line before it fills the memory. What is wrong with
lines is told only behind what is wrong with the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from cdds.errors import ArchiveError, RecordError
from cdds.refusal import Refusal

_Found = TypeVar("_Found")

CHUNK_SIZE = 2 * 1024 * 1024
MAX_LINE_SIZE = 64 * 1024 * 1024


def whole_lines(
    pieces: Iterable[bytes], *, size: int = CHUNK_SIZE, max_line_size: int = MAX_LINE_SIZE
) -> Iterator[bytes]:
    """Yield the same bytes in chunks of whole lines; only the last one may lack its end.

    Args:
        pieces: the data, in pieces of any size.
        size: how many bytes a chunk has at least, but for the last; it has at most twice as many
            and one line more.
        max_line_size: the longest line that is taken, in bytes and with its end.

    Raises:
        Refusal: a line is longer; all lines before it have been yielded.
    """
    whole: list[bytes] = []
    started: list[bytes] = []
    whole_size = started_size = 0
    for window in _windows(pieces, min(size, max_line_size)):
        end = window.rfind(b"\n") + 1
        first = window.find(b"\n") + 1 if end else len(window)
        if started_size + first > max_line_size:
            if whole:
                yield b"".join(whole)
            raise Refusal(f"the line is longer than {max_line_size} bytes")
        if end:
            whole += (*started, window[:end])
            whole_size += started_size + end
            started, started_size = [], 0
        started.append(window[end:])
        started_size += len(window) - end
        if whole_size >= size:
            yield b"".join(whole)
            whole, whole_size = [], 0
    if whole_size or started_size:
        yield b"".join((*whole, *started))


def faults_last(found: Iterator[_Found], pieces: Iterable[bytes]) -> Iterator[_Found]:
    """Yield what is found in data, and tell what is wrong with it when the data are at their end.

    An error of `pieces` goes before: without a proof the data may not be what the sender sealed,
    and what is said of them would tell whoever has changed them what has become of it.
    """
    fault: ArchiveError | RecordError | None = None
    try:
        yield from found
    except (ArchiveError, RecordError) as error:
        fault = error
    if fault is not None:  # outside the handler: an error of the data would have it as its context
        for _ in pieces:
            pass
        raise fault


def _windows(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield pieces of at most so many bytes: no line that lies within one can be too long."""
    for piece in pieces:
        if len(piece) <= size:
            yield piece
        else:
            yield from (piece[start : start + size] for start in range(0, len(piece), size))
