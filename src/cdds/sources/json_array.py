"""JSON arrays of records, of any size, streamed by ijson.

Place: for inputs that are one large array. The records are built here from ijson's events, with
a limit on depth and size: ijson's own builder recurses and exhausts the memory on deep nesting.
Numbers keep their exact value: integers of any size, decimals as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any

from cdds.errors import RecordError, SourceError
from cdds.model import Dataset, Selection
from cdds.protocols import Located
from cdds.reject import Reject
from cdds.sources.files import Location, OpenFile, input_files
from cdds.sources.memory import refuse_unknown

MAX_DEPTH = 200
MAX_RECORD_SIZE = 64 * 1024 * 1024
"""The most bytes of names and values in one record."""

_TOO_MANY_DIGITS = re.compile(rb"[0-9]{4301}")
_ANY_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # much faster than to look at them closely
# An escape begins after an even number of backslashes; those of a pair are taken together.
_SURROGATES = re.compile(
    rb"(?<!\\)(?:\\\\)*"
    rb"(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F]))"
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_END_OF_LINE = b"\n"
_PAIR = 12  # the bytes of two escapes
_LOOK_BACK = 4300


class JsonArray:
    """Files that each hold one JSON array of records, for each data file by its name.

    The files may be compressed or remote, as with `JsonLines`.

    >>> JsonArray(contact="contacts.json", contactattribute="attributes.json.gz")
    """

    def __init__(self, **inputs: Location | Sequence[Location]) -> None:
        self._inputs = {name: input_files(given) for name, given in inputs.items()}

    def __repr__(self) -> str:
        return f"JsonArray({', '.join(self._inputs)})"

    def snapshot(self, dataset: Dataset, selection: Selection) -> AbstractContextManager[JsonArray]:
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

    def has(self, data_file: str) -> bool:
        """Return whether there are files for a data file."""
        return bool(self._inputs.get(data_file))

    def records(self, data_file: str) -> Iterator[Mapping[str, Any]]:
        """Yield the records of a data file, one at a time; raises as `located` does."""
        return (record for _, _, record in self.located(data_file))

    def located(self, data_file: str) -> Iterator[Located]:
        """Yield the records of a data file, each with its file and its number there.

        Raises:
            SourceError: a file cannot be read, or is no JSON array.
            RecordError: a record is nested too deeply or too large.
        """
        for file in self._inputs.get(data_file, ()):
            with file.open() as opened:
                elements = _elements(opened, data_file)
                for number, record in enumerate(elements, start=1):
                    yield file.name, number, record
                opened.check_whole()


def _elements(file: OpenFile, data_file: str) -> Iterator[Any]:
    import ijson  # loads a C library, for this source alone

    number = 0
    guarded = _Guarded(file.content, file.name)
    try:
        events = _watched(ijson.basic_parse(guarded), guarded)
        if next(events, (None, None))[0] != "start_array":
            raise SourceError(f"{file.name} is no JSON array")
        for event, value in events:
            if event == "end_array":
                break
            number += 1
            yield _build(event, value, events, Reject(data_file, file.name, number, ""))
        for _ in events:  # reads to the end, so that trailing garbage is found
            raise SourceError(f"{file.name} goes on after its JSON array")
    except (ijson.JSONError, UnicodeDecodeError, ArithmeticError):  # their texts quote the input
        where = f"after record {number} of {file.name}"
        raise SourceError(f"malformed JSON {where}: it is no JSON, or is cut off") from None


def _watched(events: Iterator[tuple[str, Any]], guarded: _Guarded) -> Iterator[tuple[str, Any]]:
    """Pass events on, and tell the guard that the parser gets on."""
    for event in events:
        guarded.since_event = 0
        yield event


class _Guarded:
    """Refuses what the C parser behind ijson gets wrong, before it sees it.

    It skips a byte order mark, which the parser does not know. The parser gathers a text of any
    size, in quadratic time, so what it is fed without an event is bounded. It replaces lone
    surrogates by question marks, and crashes on integers that Python refuses to read for their
    length. So many digits within a text are refused too, which is rare and safe. It passes over a
    text that begins after the array and has no end; so a line end is added, which no text holds.
    """

    def __init__(self, content: IO[bytes], name: str) -> None:
        self._content = content
        self._name = name
        self._given = b""  # the end of what was handed out
        self._held = b""  # what may be half a pair
        self._at = 0
        self.since_event = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes.

        Raises:
            SourceError: they hold a lone surrogate, or too many digits in a row.
        """
        while data := self._content.read(size):
            if not self._at:
                data = data.removeprefix(_BYTE_ORDER_MARK)
            self._at += len(data)
            self.since_event += len(data)
            if self.since_event > MAX_RECORD_SIZE + size:
                raise self._refused(f"a value is larger than {MAX_RECORD_SIZE} bytes")
            if safe := self._judge(self._held + data, _PAIR):
                return safe
        return self._judge(self._held, 0) + _END_OF_LINE if self._held else b""

    def _judge(self, data: bytes, held: int) -> bytes:
        """Return what is safe, and hold back so many bytes at the end for the next time."""
        text = self._given + data
        start, end = len(self._given), max(len(self._given), len(text) - held)
        if _TOO_MANY_DIGITS.search(text):
            raise self._refused("more than 4,300 digits in a row; give it as JSON Lines")
        if _ANY_SURROGATE.search(text) and any(
            start <= match.start("lone") < end for match in _SURROGATES.finditer(text)
        ):
            raise self._refused("a lone surrogate; give it as JSON Lines")
        self._given, self._held = _end(text[:end]), text[end:]
        return text[start:end]

    def _refused(self, fault: str) -> SourceError:
        return SourceError(f"{self._name}, before byte {self._at:,}: {fault}")


def _end(text: bytes) -> bytes:
    """Return the last bytes, from where an even number of backslashes stands before them."""
    start = max(0, len(text) - _LOOK_BACK)
    backslashes = start - len(text[:start].rstrip(b"\\"))
    return text[start - backslashes % 2 :]


def _build(event: str, value: Any, events: Iterator[tuple[str, Any]], at: Reject) -> Any:
    """Build the value that begins with an event, taking the events that belong to it."""
    if event not in {"start_map", "start_array"}:
        return value
    root: Any = {} if event == "start_map" else []
    open_values = [root]
    names: list[str] = [""]
    size = 0
    while open_values:
        event, value = next(events)
        size += len(value) if isinstance(value, str) else 8
        if size > MAX_RECORD_SIZE:
            raise _refused(at, f"it is larger than {MAX_RECORD_SIZE} bytes")
        if event in {"end_map", "end_array"}:
            open_values.pop()
            names.pop()
        elif event == "map_key":
            names[-1] = value
        else:
            child = {} if event == "start_map" else [] if event == "start_array" else value
            if not _put(open_values[-1], names[-1], child):
                raise _refused(at, "a member's name comes twice in one object")
            if event in {"start_map", "start_array"}:
                if len(open_values) >= MAX_DEPTH:
                    raise _refused(at, f"it is nested deeper than {MAX_DEPTH} levels")
                open_values.append(child)
                names.append("")
    return root


def _put(container: Any, name: str, value: Any) -> bool:
    """Add a value to what is open; return False where the name is taken."""
    if isinstance(container, list):
        container.append(value)
        return True
    if name in container:
        return False
    container[name] = value
    return True


def _refused(at: Reject, rule: str) -> RecordError:
    return RecordError(Reject(at.data_file, at.origin, at.position, rule))
