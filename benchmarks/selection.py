"""A source of many small interactions, every other one a chat, and documents to be filtered.

It makes its lines on the way, so neither a disk nor memory holds them, and each interaction has an
identifier of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

import orjson

from cdds.model import Dataset, Selection
from cdds.protocols import Lines

DOCUMENT_EVERY = 7  # an odd number, so that chats and calls have documents in turn

_LINES_AT_ONCE = 8192
_DOCUMENT = (
    b'{"ID":"%016d","MIMETYPE":"text/plain","THENAME":"note.txt","THESIZE":4,"CONTENT":"bm90ZQ==",'
    b'"ENTITYID":"%016d","ENTITYTYPEID":2}\n'
)
_INTERACTIONS = (
    b'{"IXNID":"%016d","MEDIATYPEID":"chat","SUBJECT":"A chat"}\n',
    b'{"IXNID":"%016d","MEDIATYPEID":"voice","SUBJECT":"A call"}\n',
)


class ChatsAndCalls:
    """So many chats, as many calls, and documents of both if wanted; it is its own snapshot."""

    def __init__(self, chats: int, *, documents: bool) -> None:
        self._interactions = range(2 * chats)
        self._documented = self._interactions[:: DOCUMENT_EVERY if documents else len(self)]
        self._has_documents = documents

    def __len__(self) -> int:
        return len(self._interactions)

    @property
    def chat_documents(self) -> int:
        """How many documents belong to chats."""
        return len(self._documented[::2]) if self._has_documents else 0

    def snapshot(
        self, dataset: Dataset, selection: Selection
    ) -> AbstractContextManager[ChatsAndCalls]:
        """Return itself, since it never changes."""
        del dataset, selection
        return nullcontext(self)

    def has(self, data_file: str) -> bool:
        """Return whether there is anything in a data file."""
        return data_file == "interaction" or self._has_documents

    def records(self, data_file: str) -> Iterator[Mapping[str, Any]]:
        """Yield the records one by one; the exporter takes `lines` instead."""
        for lines in self.lines(data_file):
            yield from map(orjson.loads, lines.data.splitlines())

    def lines(self, data_file: str) -> Iterator[Lines]:
        """Yield the lines of a data file, about half a megabyte at a time."""
        if not self.has(data_file):
            return
        made = iter(self._interaction_lines() if data_file == "interaction" else self._documents())
        first, size = 1, 0
        while some := list(islice(made, _LINES_AT_ONCE)):
            data = b"".join(some)
            size += len(data)
            yield Lines(data, first, len(some), data_file, size)
            first += len(some)

    def _interaction_lines(self) -> Iterable[bytes]:
        return (_INTERACTIONS[number % 2] % number for number in self._interactions)

    def _documents(self) -> Iterable[bytes]:
        return (_DOCUMENT % (number, number) for number in self._documented)
