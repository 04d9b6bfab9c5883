"""JSON Lines in files and object stores, read as the lines they are.

Place: the fast source. It finds line ends and nothing else: what the lines hold is the gate's
business. A line longer than the limit is refused before it fills the memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal, InvalidOperation
from typing import IO, Any, NoReturn

from cdds.errors import RecordError, SourceError
from cdds.model import Dataset, Selection, parse_size
from cdds.protocols import Lines
from cdds.reject import Reject
from cdds.sources.files import Location, OpenFile, input_files
from cdds.sources.memory import refuse_unknown

READ_SIZE = 1024 * 1024
MAX_LINE_SIZE = 64 * 1024 * 1024
_COUNT_SIZE = 64 * 1024
_START = 4096
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonLines:
    """Files of JSON Lines, for each data file by its name: a path or URL, or several.

    Files that end in ``.gz``, ``.bz2`` or ``.xz`` are decompressed on the way; any fsspec URL can
    be read. Empty lines are no records; a byte order mark is left out; the last
    line need not have an end.

    Args:
        max_line_size: the longest line that is read, in bytes or as ``"64 MiB"``.
        inputs: the files of each data file.

    >>> JsonLines(interaction=["2025-01.jsonl", "2025-02.jsonl.gz"], document="s3://b/docs.jsonl")
    """

    def __init__(
        self,
        *,
        max_line_size: str | int = MAX_LINE_SIZE,
        **inputs: Location | Sequence[Location],
    ) -> None:
        self._max_line_size = parse_size(max_line_size)
        self._inputs = {name: input_files(given) for name, given in inputs.items()}

    def __repr__(self) -> str:
        return f"JsonLines({', '.join(self._inputs)})"

    def snapshot(self, dataset: Dataset, selection: Selection) -> AbstractContextManager[JsonLines]:
        """Return the files themselves, which must not change meanwhile.

        Raises:
            SourceError: a local file cannot be opened, or the dataset has no such data file.
        """
        del selection  # the exporter selects
        refuse_unknown(self._inputs, dataset)
        for files in self._inputs.values():
            for file in files:
                file.check()
        return nullcontext(self)

    def size(self) -> int | None:
        """Return the size in bytes of all files as they are stored, or None if one is remote."""
        sizes = [file.size for files in self._inputs.values() for file in files]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def has(self, data_file: str) -> bool:
        """Return whether there are files for a data file."""
        return bool(self._inputs.get(data_file))

    def records(self, data_file: str) -> Iterator[dict[str, Any]]:
        """Yield the records one by one, numbers exactly; the exporter takes `lines` instead.

        Raises:
            SourceError: a file cannot be read.
            RecordError: a line is too long or no JSON.
        """
        for lines in self.lines(data_file):
            for number, line in enumerate(lines.data.split(b"\n"), start=lines.first):
                if line.strip():
                    yield _parse(line, Reject(data_file, lines.origin, number, "it is not JSON"))

    def lines(self, data_file: str) -> Iterator[Lines]:
        """Yield the lines of a data file, about 1 MiB at a time.

        Raises:
            SourceError: a file cannot be read.
            RecordError: a line is too long.
        """
        for file in self._inputs.get(data_file, ()):
            with file.open() as opened:
                yield from self._lines(data_file, opened)
                opened.check_whole()

    def _lines(self, data_file: str, file: OpenFile) -> Iterator[Lines]:
        first, is_blank = 1, True
        for data in _whole_lines(file.content, self._max_line_size):
            if is_blank and data and (start := data[:_START].lstrip()):
                is_blank = False
                _refuse_array(start, file.name)
            if data is None:
                rule = f"the line is longer than {self._max_line_size} bytes"
                raise RecordError(Reject(data_file, file.name, first, rule))
            count = _count_lines(data)
            yield Lines(data, first, count, file.name, file.at)
            first += count


def _refuse_array(start: bytes, name: str) -> None:
    """Refuse what begins as an array, of which all records would be one invalid line."""
    if start.startswith(b"["):
        raise SourceError(f"{name} is a JSON array, not JSON Lines; give it as one")


def _whole_lines(content: IO[bytes], max_line_size: int) -> Iterator[bytes | None]:
    """Yield the content in pieces that end with a line end; None for a line that is too long."""
    # Reused, so that nothing but the pieces takes memory; and no line within it is too long.
    buffer = bytearray(max(1, min(READ_SIZE, max_line_size)))
    started: list[bytes | memoryview] = []
    size = 0
    skipped = _BYTE_ORDER_MARK
    while count := _fill(content, buffer):
        start = len(skipped) if buffer.startswith(skipped) else 0
        skipped = b""
        end = buffer.rfind(b"\n", start, count) + 1
        head = (buffer.find(b"\n", start, count) if end else count) - start
        if size + head > max_line_size:
            yield None
        if end:
            yield b"".join([*started, memoryview(buffer)[start:end]])
            started, size, start = [], 0, end
        started.append(bytes(memoryview(buffer)[start:count]))
        size += count - start
    if size:
        yield b"".join([*started, b"\n"])


def _parse(line: bytes, reject: Reject) -> Any:
    try:
        # Given bytes, it would guess at other encodings.
        return json.loads(line.decode(), parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, InvalidOperation, RecursionError):
        raise RecordError(reject) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _fill(content: IO[bytes], buffer: bytearray) -> int:
    """Read until the buffer is full or the content ends, for pipes give what they have."""
    view = memoryview(buffer)
    count = 0
    while count < len(buffer) and (
        more := content.readinto(view[count:])  # type: ignore[attr-defined]
    ):
        count += more
    return count


def _count_lines(data: bytes) -> int:
    """Return the number of line feeds; faster than `bytes.count`, which looks at each byte."""
    pieces = (data[start : start + _COUNT_SIZE] for start in range(0, len(data), _COUNT_SIZE))
    return sum(len(piece) - len(piece.replace(b"\n", b"")) for piece in pieces)
