"""The gate of one data file: lines in, the lines to export out.

Place: called by the archive's worker threads for about 1 MiB of lines at a time. In the usual
case a compiled decoder accepts them all and nothing is selected away: then they are passed on as
they stand, never joined anew. Otherwise they are judged one by one.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import compress
from typing import Any, TypeAlias

import attrs
import msgspec

from cdds.members import members_of, names_of
from cdds.model import DataFile, Job
from cdds.protocols import Lines
from cdds.records.acceptor import Decoded, compile_acceptor, compile_projection
from cdds.records.criteria import Criteria, Fate, Getter
from cdds.records.drift import Spelling, tells_fields
from cdds.records.keys import Key, KeySet, TellKey, plausible_key
from cdds.records.tally import Tally
from cdds.records.verdict import Verdict, parse
from cdds.refusal import Refusal
from cdds.reject import Reject

_BLANK = b" \t\r\n"
_WANTED = Fate.WANTED
_WINDOW = 4 * 1024

Change: TypeAlias = Callable[[bytes], bytes]
"""Returns a line changed, or raises a `Refusal`."""


class _NotAccepted(Exception):  # never leaves this module
    """The fast decoder cannot vouch for these lines."""


@attrs.frozen
class _Fast:
    """A compiled decoder, and the attribute of what it decodes that holds each property."""

    decoder: msgspec.json.Decoder[Decoded]
    attributes: dict[str, str]

    def getter(self, record: Decoded) -> Getter:
        attributes = self.attributes
        return lambda name: getattr(record, attributes[name]) if name in attributes else None


@attrs.frozen
class _Judged:
    """A valid record: the line to export, what becomes of it, its key, its unknown fields.

    Of these, `left` are those that are in the line to export.
    """

    line: bytes
    fate: Fate
    key: Any
    unknown: Sequence[str] = ()
    left: Sequence[str] = ()


class Gate:
    """Selects and validates the lines of one data file, and has them changed.

    Args:
        file: the data file, its schema and keys.
        job: what is selected, and whether lines are validated.
        tally: where records and rejects are counted.
        order: the number of the data file in its dataset, for the order of rejects.
        parents: the keys of the selected parents, where the data file has parents.
        keys: where to put the keys of the selected records, where other records refer to them.
        change: returns what is to be exported of a selected line.
        tell_key: returns the key by which a reject is told; as it stands when left out.
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
        change: Change | None = None,
        tell_key: TellKey | None = None,
    ) -> None:
        self._file = file
        self._tally = tally
        self._order = order
        self._keys = keys
        self._change = change
        self._tell_key = tell_key or partial(plausible_key, file)
        self._key = file.key if keys is not None else None
        self._criteria = Criteria(file, job.selection, parents)
        self._selects = bool(self._criteria.properties)
        self._known = dict.fromkeys(
            file.known_names
        )  # in the order that records are likely to have
        self._counts = job.validate and tells_fields(file)
        self._spelling = None if job.match_case else Spelling(self._known)
        wanted = tuple(filter(None, (*self._criteria.properties, self._key)))
        self._reads = job.validate or bool(wanted or change or self._spelling)
        self._verdict = Verdict(file.schema if job.validate else None)
        self._open = _fast(
            compile_acceptor(file.schema, self._known)
            if job.validate
            else compile_projection(wanted)
        )
        self._strict = self._compile_strict(job, wanted)
        self._drifts = False
        if self._open is None and job.validate:
            self._verdict.check_schema()

    def _compile_strict(self, job: Job, wanted: Iterable[str]) -> _Fast | None:
        """Return what accepts only records without unknown fields, where those matter."""
        if not self._counts and self._spelling is None:
            return None
        return _fast(
            compile_acceptor(self._file.schema, self._known, strict=True)
            if job.validate
            else compile_projection(wanted, self._known)
        )

    def __call__(self, lines: Lines) -> bytes:
        """Return the lines to export, in their order; called on worker threads.

        Raises:
            RecordError: a record is invalid, and the job says that this fails it.
        """
        if not self._reads:
            return self._unread(lines)
        try:
            fast, fates, keys = self._accept_all(lines.data)
        except _NotAccepted:
            return self._one_by_one(lines)
        if self._change is None:
            exported = self._chosen(lines, fates)
        else:
            exported = self._all_changed(lines, fates, keys, self._change)
        self._count(fates, keys)
        if self._counts and fast is not self._strict:
            self._note_drift(lines.data, fates, exported)
        return exported

    def _chosen(self, lines: Lines, fates: list[Fate]) -> bytes:
        wanted = fates.count(Fate.WANTED)
        if wanted == len(fates):
            return lines.data
        return b"".join(compress(io.BytesIO(lines.data), _are_wanted(fates)))

    def _all_changed(
        self, lines: Lines, fates: list[Fate], keys: list[Any], change: Change
    ) -> bytes:
        """Return the wanted lines changed; one that cannot be is rejected, its fate and key too."""
        chosen: list[bytes] = []
        for number, line in enumerate(io.BytesIO(lines.data)):
            if fates[number] is not _WANTED:
                continue
            refusal: Refusal | None = None
            try:
                chosen.append(change(line))
            except Refusal as caught:
                refusal = caught.with_traceback(None)
            if refusal is not None:  # outside the handler: its context would hold the line
                self._reject(refusal, lines, lines.first + number, _read(line))
                fates[number] = Fate.REJECTED
                del keys[len(chosen) : len(chosen) + 1]
        return b"".join(chosen)

    def _unread(self, lines: Lines) -> bytes:
        split = io.BytesIO(lines.data).readlines()
        if any(map(bytes.isspace, split)):
            split = [line for line in split if line.strip(_BLANK)]
        self._tally.add(self._file.name, len(split))
        return lines.data if len(split) == lines.count else b"".join(split)

    def _accept_all(self, data: bytes) -> tuple[_Fast | None, list[Fate], list[Any]]:
        """Return what accepted the records, their fates, and the keys of those wanted.

        Lines without unknown fields are read once. Where the lines before had some, these are
        expected to have some too: then they are read once, and once more for the names.

        Raises:
            _NotAccepted: a line is not one that the decoder accepts.
        """
        if not _is_utf8(data):  # the decoder does not look into the text of members that it skips
            raise _NotAccepted
        if self._strict is not None and not self._drifts:
            with suppress(_NotAccepted):
                return self._strict, *self._decode(self._strict, data)
        if self._spelling is not None:
            raise _NotAccepted
        return self._open, *self._decode(self._open, data)

    def _note_drift(self, data: bytes, fates: list[Fate], exported: bytes) -> None:
        lines = compress(io.BytesIO(data), _are_wanted(fates))
        unknown: list[str] = []
        left: list[str] = []
        for line, changed in zip(lines, io.BytesIO(exported), strict=True):
            names = self._unknown(names_of(line))
            unknown += names
            left += _left(names, line, changed)
        self._drifts = bool(unknown)
        self._tally.drift(self._file.name, unknown, left)

    def _decode(self, fast: _Fast | None, data: bytes) -> tuple[list[Fate], list[Any]]:
        """Return the fates of the records, and the keys of those wanted.

        Records are let go one by one, for a decoded one takes far more memory than its line.

        Raises:
            _NotAccepted: a line is not one that the decoder accepts.
        """
        if fast is None:
            raise _NotAccepted
        records = map(fast.decoder.decode, io.BytesIO(data))
        keys: list[Any] = []
        try:
            if not self._selects and self._key is None:
                return [_WANTED for _ in records], keys
            fates = [self._fate(fast.getter(record), keys) for record in records]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refusal):
            raise _NotAccepted from None
        return fates, keys

    def _fate(self, get: Getter, keys: list[Any]) -> Fate:
        fate = self._criteria.fate(get) if self._selects else _WANTED
        if fate is _WANTED and self._key is not None:
            keys.append(get(self._key))
        return fate

    def _one_by_one(self, lines: Lines) -> bytes:
        chosen: list[bytes] = []
        fates: list[Fate] = []
        keys: list[Any] = []
        unknown: list[str] = []
        left: list[str] = []
        for number, line in enumerate(io.BytesIO(lines.data), start=lines.first):
            if not line.strip(_BLANK):
                continue
            record: dict[str, Any] = {}
            judged = self._try(line, record)
            if isinstance(judged, Refusal):  # outside the handler: its context would hold the line
                self._reject(judged, lines, number, record)
                continue
            fates.append(judged.fate)
            if judged.fate is Fate.WANTED:
                chosen.append(judged.line)
                keys.append(judged.key)
                unknown += judged.unknown
                left += judged.left
        self._count(fates, keys)
        self._tally.drift(self._file.name, unknown, left)
        return b"".join(chosen)

    def _try(self, line: bytes, record: dict[str, Any]) -> _Judged | Refusal:
        """Return what is said of a line, changed if it is wanted, or why it is refused."""
        try:
            judged = self._judge(line, record)
            if self._change is None or judged.fate is not _WANTED:
                return attrs.evolve(judged, left=judged.unknown) if judged.unknown else judged
            line = judged.line
            changed = self._change(line)
            return attrs.evolve(judged, line=changed, left=_left(judged.unknown, line, changed))
        except Refusal as caught:
            record |= record or _read(line)
            return caught.with_traceback(None)

    def _judge(self, line: bytes, record: dict[str, Any]) -> _Judged:
        """Return what is said of a valid line.

        Where the verdict had to parse the line, `record` holds what it found.

        Raises:
            Refusal: it is not valid.
        """
        is_utf8 = _is_utf8(line)
        if is_utf8 and self._strict is not None:
            with suppress(_NotAccepted):
                return self._accepted(self._strict, line)
        if self._spelling is not None:
            line = _corrected(line, self._spelling, record)
        if is_utf8:
            with suppress(_NotAccepted):
                judged = self._accepted(self._open, line)
                names = self._unknown(names_of(line)) if self._counts else ()
                return attrs.evolve(judged, unknown=names)
        record |= parse(line)
        exported = self._verdict.judge(line, record)
        fate = self._criteria.fate(record.get)
        key = record.get(self._key) if self._key else None
        return _Judged(exported, fate, key, self._unknown(record) if self._counts else ())

    def _accepted(self, fast: _Fast | None, line: bytes) -> _Judged:
        (fate,), keys = self._decode(fast, line)
        return _Judged(line, fate, *keys or [None])

    def _unknown(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self._known]

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
        reject = Reject(
            self._file.name,
            lines.origin,
            number,
            refusal.rule,
            refusal.field,
            self._tell_key(record),
        )
        self._tally.reject(reject, self._order)


def _corrected(line: bytes, spelling: Spelling, record: dict[str, Any]) -> bytes:
    refusal: Refusal | None = None
    try:
        return spelling.corrected(line)
    except Refusal as caught:
        refusal = caught.with_traceback(None)
    record |= parse(line)  # whose words tell better what is wrong with a line that is no JSON
    raise refusal


def _left(names: Sequence[str], line: bytes, changed: bytes) -> Sequence[str]:
    """Return the names of a line's members that it still has now that it is changed."""
    if not names or changed == line:
        return names
    members: Collection[str] = ()
    with suppress(Refusal):  # a function may have returned what cannot be opened again
        members = members_of(changed)
    return [name for name in names if name in members]


def _are_wanted(fates: Iterable[Fate]) -> Iterator[bool]:
    return (fate is _WANTED for fate in fates)


def _fast(
    compiled: tuple[msgspec.json.Decoder[Decoded], dict[str, str]] | None,
) -> _Fast | None:
    return None if compiled is None else _Fast(*compiled)


def _read(line: bytes) -> dict[str, Any]:
    """Return the record of a line as far as it can be read, for its key."""
    with suppress(Refusal):
        return parse(line)
    return {}


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
