"""The gate of one data file: lines in, the lines to export out.

Place: called by the archive's worker threads for about 1 MiB of lines at a time. In the usual
case a compiled decoder accepts them all and nothing is selected away: then they are passed on as
they stand, never joined anew. Otherwise they are judged one by one.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Container, Iterable
from itertools import compress
from typing import Any

import msgspec

from cdds.model import DataFile, Job
from cdds.protocols import Lines
from cdds.records.acceptor import Decoded, compile_acceptor, compile_projection
from cdds.records.criteria import Criteria, Fate, Getter
from cdds.records.keys import Key, KeySet
from cdds.records.refusal import Refusal
from cdds.records.tally import Tally
from cdds.records.verdict import Verdict, parse
from cdds.reject import Reject

_BLANK = b" \t\r\n"
_WANTED = Fate.WANTED
_MAX_KEY = 64
_WINDOW = 4 * 1024


class _NotAccepted(Exception):  # never leaves this module
    """The fast decoder cannot vouch for these lines."""


class Gate:
    """Selects and validates the lines of one data file.

    Args:
        file: the data file, its schema and keys.
        job: what is selected, and whether lines are validated.
        tally: where records and rejects are counted.
        order: the number of the data file in its dataset, for the order of rejects.
        parents: the keys of the selected parents, where the data file has parents.
        keys: where to put the keys of the selected records, where other records refer to them.
    """

    def __init__(
        self,
        file: DataFile,
        job: Job,
        tally: Tally,
        *,
        order: int = 0,
        parents: Container[object] | None = None,
        keys: KeySet | None = None,
    ) -> None:
        self._file = file
        self._tally = tally
        self._order = order
        self._keys = keys
        self._key = file.key if keys is not None else None
        self._criteria = Criteria(file, job.selection, parents)
        self._selects = bool(self._criteria.properties)
        wanted = tuple(filter(None, (*self._criteria.properties, self._key)))
        self._reads = job.validate or bool(wanted)
        self._verdict = Verdict(file.schema if job.validate else None)
        compiled = (
            compile_acceptor(file.schema, wanted) if job.validate else compile_projection(wanted)
        )
        self._decoder: msgspec.json.Decoder[Decoded] | None
        self._attributes: dict[str, str]
        self._decoder, self._attributes = compiled or (None, {})
        if self._decoder is None and job.validate:
            self._verdict.check_schema()

    def __call__(self, lines: Lines) -> bytes:
        """Return the lines to export, in their order; called on worker threads.

        Raises:
            RecordError: a record is invalid, and the job says that this fails it.
        """
        if not self._reads:
            return self._unread(lines)
        try:
            fates, keys = self._accept_all(lines.data)
        except _NotAccepted:
            return self._one_by_one(lines)
        self._count(fates, keys)
        wanted = fates.count(Fate.WANTED)
        if wanted == len(fates):
            return lines.data
        chosen = (fate is Fate.WANTED for fate in fates)
        return b"".join(compress(io.BytesIO(lines.data), chosen))

    def _unread(self, lines: Lines) -> bytes:
        split = io.BytesIO(lines.data).readlines()
        if any(map(bytes.isspace, split)):
            split = [line for line in split if line.strip(_BLANK)]
        self._tally.add(self._file.name, len(split))
        return lines.data if len(split) == lines.count else b"".join(split)

    def _accept_all(self, data: bytes) -> tuple[list[Fate], list[Any]]:
        """Return the fates of the records, and the keys of those wanted.

        Records are let go one by one, for a decoded one takes far more memory than its line. The
        decoder does not look into the text of members that it skips, so all must be UTF-8.

        Raises:
            _NotAccepted: a line is not one that the decoder accepts.
        """
        if self._decoder is None or not _is_utf8(data):
            raise _NotAccepted
        records = map(self._decoder.decode, io.BytesIO(data))
        keys: list[Any] = []
        try:
            if not self._selects and self._key is None:
                return [_WANTED for _ in records], keys
            fates = [self._fate(record, keys) for record in records]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refusal):
            raise _NotAccepted from None
        return fates, keys

    def _fate(self, record: Decoded, keys: list[Any]) -> Fate:
        get = self._getter(record)
        fate = self._criteria.fate(get) if self._selects else _WANTED
        if fate is _WANTED and self._key is not None:
            keys.append(get(self._key))
        return fate

    def _one_by_one(self, lines: Lines) -> bytes:
        chosen: list[bytes] = []
        fates: list[Fate] = []
        keys: list[Any] = []
        for number, line in enumerate(io.BytesIO(lines.data), start=lines.first):
            if not line.strip(_BLANK):
                continue
            record: dict[str, Any] = {}
            refusal: Refusal | None = None
            try:
                exported, fate = self._judge(line, record, keys)
            except Refusal as caught:
                refusal = caught.with_traceback(None)
            if refusal is not None:  # outside the handler: its context would hold the line
                self._reject(refusal, lines, number, record)
                continue
            fates.append(fate)
            if fate is Fate.WANTED:
                chosen.append(exported)
        self._count(fates, keys)
        return b"".join(chosen)

    def _judge(self, line: bytes, record: dict[str, Any], keys: list[Any]) -> tuple[bytes, Fate]:
        """Return a line as it is to be exported, and its fate; add its key if it is wanted.

        Where the verdict had to parse the line, `record` holds what it found.
        """
        try:
            (fate,), accepted_keys = self._accept_all(line)
        except _NotAccepted:
            record |= parse(line)
            exported = self._verdict.judge(line, record)
            fate = self._criteria.fate(record.get)
            accepted_keys = [record.get(self._key)] if self._key and fate is _WANTED else []
        else:
            exported = line
        keys += accepted_keys
        return exported, fate

    def _getter(self, record: Decoded) -> Getter:
        attributes = self._attributes
        return lambda name: getattr(record, attributes[name]) if name in attributes else None

    def _count(self, fates: list[Fate], keys: Iterable[Any]) -> None:
        if self._keys is not None:
            self._keys.update(key for key in keys if isinstance(key, Key))
        self._tally.add(
            self._file.name,
            fates.count(Fate.WANTED),
            fates.count(Fate.UNDATED),
            fates.count(Fate.UNMATCHED),
        )

    def _reject(self, refusal: Refusal, lines: Lines, number: int, record: dict[str, Any]) -> None:
        key = record.get(self._file.key) if self._file.key else None
        plausible = isinstance(key, str) and len(key) <= _MAX_KEY and key.isprintable()
        reject = Reject(
            self._file.name,
            lines.origin,
            number,
            refusal.rule,
            refusal.field,
            key if plausible else None,
        )
        self._tally.reject(reject, self._order)


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    # In windows that stay in the processor's cache: seven times as fast as at once, and the
    # allocator is not left with holes of a megabyte.
    decode = codecs.getincrementaldecoder("utf-8")().decode
    view = memoryview(data)
    try:
        for start in range(0, len(view), _WINDOW):
            decode(view[start : start + _WINDOW])
        decode(b"", True)  # nothing may be missing at the end
    except UnicodeDecodeError:
        return False
    return True
