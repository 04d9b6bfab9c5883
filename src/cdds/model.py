"""The values that travel through the library: small, frozen, valid from birth, picklable.

Place: near the ground, below everything that does work. A value is changed by `attrs.evolve`,
which checks it again. This module opens nothing and knows no format; only `last` asks a clock.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, get_args, runtime_checkable

import attrs

from cdds.errors import JobError
from cdds.json_schema import properties_of
from cdds.reject import Reject

Level: TypeAlias = Literal["fast", "small"]
"""How hard to compress: for speed (the default) or for size."""

OnInvalid: TypeAlias = Literal["fail", "reject"]
"""What an invalid record does: it fails the run, or is left out and listed in the manifest."""

MIN_SPLIT_SIZE = 64 * 1024
MAX_SPLIT_SIZE = 4 * 1024**3 - 1
"""The segment sizes of a split archive, in bytes (PKWARE APPNOTE 6.3.10, section 8.3.1)."""

_JOB_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?b)?", re.IGNORECASE | re.ASCII)
_LONGEST_SIZE = 40
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_UNITS = {"b": 1} | {
    f"{letter}{suffix}": base**power
    for suffix, base in (("b", 1000), ("ib", 1024))
    for power, letter in enumerate("kmgt", start=1)
}


def parse_size(text: str | int) -> int:
    """Return a size in bytes: ``"10MB"`` is decimal, ``"64 MiB"`` binary, ``4096`` plain bytes.

    Raises:
        JobError: it is not a size, or not a whole number of bytes.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if not isinstance(text, str):
        raise JobError("that is not a size; write it like 10MB, '64 MiB' or 4096")
    match = _SIZE.fullmatch(text.strip()) if len(text) <= _LONGEST_SIZE else None
    if match is None:
        shown = text[:_LONGEST_SIZE]
        raise JobError(f"{shown!r} is not a size; write it like 10MB, '64 MiB' or 4096")
    size = Fraction(match[1]) * _UNITS[(match[2] or "b").lower()]
    if size.denominator != 1:
        raise JobError(f"{text!r} is not a whole number of bytes")
    return int(size)


def checked_split_size(value: str | int | None) -> int | None:
    """Return a split size in bytes.

    Raises:
        JobError: it is no size, or outside the limits of the ZIP format.
    """
    if value is None:
        return None
    size = parse_size(value)
    if not MIN_SPLIT_SIZE <= size <= MAX_SPLIT_SIZE:
        raise JobError(
            "this split size is outside the ZIP format's limits: "
            f"choose between 64 KiB ({MIN_SPLIT_SIZE}) and 4 GiB - 1 ({MAX_SPLIT_SIZE})"
        )
    return size


def _utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise JobError("a time frame takes aware datetimes: give the value a tzinfo, such as UTC")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise JobError("a time frame must lie within the years 1 to 9999 in UTC") from None


@attrs.frozen
class Timeframe:
    """A half-open span of time, ``start <= moment < end``, in UTC; None leaves a side open.

    >>> Timeframe.between(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC))
    ... # every moment of January

    Raises:
        JobError: a datetime without a zone, or an end before the start.
    """

    start: datetime | None = attrs.field(default=None, converter=_utc)
    end: datetime | None = attrs.field(default=None, converter=_utc)

    def __attrs_post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.end < self.start:
            raise JobError(
                f"the time frame ends ({self.end.isoformat()}) before it starts "
                f"({self.start.isoformat()})"
            )

    @classmethod
    def between(cls, start: datetime, end: datetime) -> Timeframe:
        """Return the span from `start` (included) to `end` (excluded), both aware datetimes."""
        return cls(start, end)

    @classmethod
    def last(cls, *, days: float, until: datetime | None = None) -> Timeframe:
        """Return the span of the last days.

        Args:
            days: how many, each of 24 hours.
            until: its end, an aware datetime; the present moment when left out.

        Raises:
            JobError: it is no number of days, or begins before the year 1.
        """
        end = datetime.now(UTC) if until is None else until
        try:
            return cls(end - timedelta(days=days), end)
        except (TypeError, ValueError, OverflowError):
            raise JobError("days is a number of days, 0 or more, back to the year 1") from None

    @classmethod
    def since_last_run(
        cls, lag: timedelta = timedelta(minutes=5), start: datetime | None = None
    ) -> SinceLastRun:
        """Return the span of an incremental job: what has come since its last finished run.

        Args:
            lag: how long before its start the window of a run ends.
            start: where the window of the first run begins; None takes all that is older.

        Raises:
            JobError: the lag is negative or longer than a year, or the start has no zone.
        """
        return SinceLastRun(lag, start)

    def __contains__(self, moment: datetime) -> bool:
        return (self.start is None or self.start <= moment) and (
            self.end is None or moment < self.end
        )


_LONGEST_LAG = timedelta(days=366)


def _lag(_: object, __: object, value: object) -> None:
    if not isinstance(value, timedelta) or not timedelta() <= value <= _LONGEST_LAG:
        raise JobError("the lag of an incremental job is a timedelta from 0 to 366 days")


@attrs.frozen
class SinceLastRun:
    """The span of an incremental job: windows that are half-open and meet exactly.

    The window of a run begins where that of the last finished run ended, and ends `lag` before the
    moment that the run is due at. A run that fails, is missed or is cancelled moves nothing: the
    next one takes up its span. A record that becomes visible later than `lag` after its own
    timestamp, because its transaction took longer to commit, is not seen: choose a lag longer than
    the longest transaction of the source.

    Attributes:
        lag: how long before its start the window of a run ends.
        start: where the window of the first run begins; None takes all that is older.

    Raises:
        JobError: the lag is negative or longer than a year, or the start has no zone.
    """

    lag: timedelta = attrs.field(default=timedelta(minutes=5), validator=_lag)
    start: datetime | None = attrs.field(default=None, converter=_utc)

    def window(self, watermark: datetime | None, moment: datetime) -> Timeframe:
        """Return the window of a run that is due at a moment.

        Args:
            watermark: where the window of the last finished run ended; None before the first.
            moment: when the run is due.
        """
        start = self.start if watermark is None else watermark
        end = moment - min(self.lag, moment - _EARLIEST)
        return Timeframe(start, end if start is None else max(start, end))


_SHORTEST_STEP = timedelta(minutes=1)
_MOST_WINDOWS = 1000


def cut(span: Timeframe, step: timedelta) -> tuple[Timeframe, ...]:
    """Return the windows of a span, each as long as `step`, but for the last which may be shorter.

    They are half-open and meet exactly.

    Raises:
        JobError: the span is open or empty, the step is shorter than a minute, or there would be
            more than 1,000 windows.
    """
    if span.start is None or span.end is None or span.start >= span.end:
        raise JobError("a span to be cut into windows has a start, and an end after it")
    if not isinstance(step, timedelta) or step < _SHORTEST_STEP:
        raise JobError("the step between windows is a timedelta of a minute or more")
    count = -((span.start - span.end) // step)
    if count > _MOST_WINDOWS:
        raise JobError(f"{count} windows are too many; at most {_MOST_WINDOWS}: take longer steps")
    borders = [span.start + number * step for number in range(count)]
    return tuple(map(Timeframe, borders, (*borders[1:], span.end)))


def _media_types(value: Iterable[str] | None) -> frozenset[str] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise JobError("media_types takes a list of names, such as ['chat', 'email']")
    names = list(value)
    if not names:
        raise JobError("media_types is empty, so nothing could be selected; leave it out for all")
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise JobError("media_types holds a value that is no name")
    return frozenset(name.strip().casefold() for name in names)


@attrs.frozen
class Selection:
    """Which records are wanted: a time frame and media types; None takes all.

    Media types are compared without regard to case.
    """

    timeframe: Timeframe | None = None
    media_types: frozenset[str] | None = attrs.field(default=None, converter=_media_types)

    @classmethod
    def all(cls, media_types: Iterable[str] | None = None) -> Selection:
        """Return what selects all records, also those without a timestamp."""
        return cls(None, media_types)

    @classmethod
    def between(
        cls, start: datetime, end: datetime, media_types: Iterable[str] | None = None
    ) -> Selection:
        """Return what selects a span, see `Timeframe.between`."""
        return cls(Timeframe.between(start, end), media_types)

    @classmethod
    def last(cls, *, days: float, media_types: Iterable[str] | None = None) -> Selection:
        """Return what selects the last days, see `Timeframe.last`."""
        return cls(Timeframe.last(days=days), media_types)


def _strings(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _schema(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema as JSON has it, for it will stand in archives."""
    if not isinstance(value, Mapping):
        raise JobError("a data file's schema must be a mapping")
    try:
        schema: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise JobError(f"a data file's schema holds what JSON does not have: {error}") from None
    return schema


@attrs.frozen(kw_only=True)
class DataFile:
    """One data file of a dataset: the records of one kind, one a line.

    Attributes:
        name: what sources and results call it, such as ``interaction``; its schema stands in the
            archive as ``schema/<name>.json``.
        label: how its file in the archive begins: ``<label>-<job id>.json``.
        schema: a JSON Schema, draft 7, that each record must fit.
        key: the property that identifies a record.
        timestamps: the properties that a time frame looks at; the first that is there counts.
        media_type: the property that media types are compared with.
        parent: the name of an earlier data file of the dataset that these records belong to:
            only records of selected parents are exported.
        parent_key: the property that holds the parent's key.
    """

    name: str
    label: str
    schema: Mapping[str, Any] = attrs.field(repr=False, converter=_schema)
    key: str | None = None
    timestamps: tuple[str, ...] = attrs.field(default=(), converter=_strings)
    media_type: str | None = None
    parent: str | None = None
    parent_key: str | None = None

    def __attrs_post_init__(self) -> None:
        for part in (self.name, self.label):
            if not _JOB_ID.fullmatch(part):
                raise JobError(f"{part!r} cannot stand in a file name: use letters, digits, . _ -")
        if (self.parent is None) != (self.parent_key is None):
            raise JobError(f"data file {self.name!r}: parent and parent_key go together")

    @property
    def properties(self) -> Mapping[str, Any]:
        """The properties that the schema names, with what it says of them."""
        return properties_of(self.schema)

    @property
    def known_names(self) -> tuple[str, ...]:
        """The schema's properties, and then what the data file itself names, such as its key."""
        named = (self.key, self.media_type, self.parent_key, *self.timestamps)
        return tuple(dict.fromkeys((*self.properties, *filter(None, named))))


def _files(value: Iterable[DataFile]) -> tuple[DataFile, ...]:
    return tuple(value)


def _unique_files(_: object, __: object, files: tuple[DataFile, ...]) -> None:
    seen: dict[str, DataFile] = {}
    for file in files:
        if file.name in seen or file.label in {other.label for other in seen.values()}:
            raise JobError(f"two data files share the name or label of {file.name!r}")
        if file.parent is not None and (file.parent not in seen or seen[file.parent].key is None):
            raise JobError(
                f"data file {file.name!r}: its parent {file.parent!r} must come before it "
                "and have a key"
            )
        seen[file.name] = file
    if not files:
        raise JobError("a dataset needs at least one data file")


@attrs.frozen
class Dataset:
    """An entity type: the data files that one export of it holds, parents first.

    Raises:
        JobError: names repeat, or a parent is missing or comes later.
    """

    name: str
    files: tuple[DataFile, ...] = attrs.field(converter=_files, validator=_unique_files)

    @property
    def has_media_types(self) -> bool:
        """Whether media types can be selected in it."""
        return any(file.media_type for file in self.files)

    @property
    def has_timestamps(self) -> bool:
        """Whether a time frame can be applied to it."""
        return any(file.timestamps for file in self.files)


@runtime_checkable
class Transform(Protocol):
    """A change to the records of a data file, as a frozen value: `cdds.transforms` has them all.

    Attributes:
        is_hosts_own: whether it calls a function of the host, so that what it makes of a record is
            held against the schema.
    """

    is_hosts_own: ClassVar[bool]

    def describe(self) -> str:
        """Return what it does, in words."""
        ...

    def listing(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        ...

    def schema_after(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the schema of the records after it, given that of the records before.

        Raises:
            JobError: it does not suit them.
        """
        ...

    def changes(self, write: Callable[[Any], bytes]) -> Callable[[dict[str, Any]], bool]:
        """Return the function that changes an opened record and tells whether it did.

        Args:
            write: returns the exact JSON of a value.
        """
        ...


def _transforms(value: Any) -> dict[str, tuple[Transform, ...]]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise JobError("transforms is a mapping of names of data files to lists of transforms")
    given = {
        name: tuple(transforms) if isinstance(transforms, Iterable) else (transforms,)
        for name, transforms in value.items()
    }
    for transforms in given.values():
        # A class has the methods of its values, too.
        if not all(isinstance(one, Transform) and not isinstance(one, type) for one in transforms):
            raise JobError("transforms holds what is none of cdds.transforms, such as Drop")
    return given


def _job_id(_: object, __: object, value: str) -> None:
    if not (isinstance(value, str) and _JOB_ID.fullmatch(value)):
        raise JobError("a job id is 1 to 64 of letters, digits, '.', '_' and '-'")


def one_of(literal: Any) -> Any:
    """Return a validator of attrs that refuses what is not in a `Literal` with a JobError."""
    choices = get_args(literal)

    def check(_: object, attribute: Any, value: object) -> None:
        if value not in choices:
            raise JobError(f"{attribute.name} must be one of {', '.join(choices)}")

    return check


def checked_max_rejects(_: object, __: object, value: object) -> None:
    """Refuse, as a validator of attrs, what cannot be a number of rejects with a JobError."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise JobError("max_rejects must be a whole number, 0 or more, below 2**63")


@attrs.frozen(kw_only=True)
class Job:
    """What to export: everything that describes an export but where from, where to, for whom.

    Attributes:
        dataset: the entity type.
        id: 1 to 64 of letters, digits, ``.``, ``_``, ``-``; part of the data files' names.
        media_types: names to select, without regard to case; None for all.
        timeframe: the span to select; None for all, also records without a timestamp.
        split_size: the most bytes of one ZIP segment, before sealing adds about 35 % to it;
            an int or a text such as ``"100 MB"``; None for one file.
        on_invalid: whether an invalid record fails the run or is left out and listed.
        max_rejects: how many records may be left out before the run fails; it fails too for some
            60,000, which is what a manifest can list.
        validate: False passes lines on unread, as far as the selection allows it.
        level: compress for speed or for size.
        match_case: False takes a field whose name differs only in case from a property of the
            schema for that property, and exports it under the schema's spelling.
        transforms: for each data file, by its name, the transforms of its records, in order.

    Raises:
        JobError: a value is out of its range, or does not suit the dataset.
    """

    dataset: Dataset
    id: str = attrs.field(factory=lambda: str(uuid.uuid4()), validator=_job_id)
    media_types: frozenset[str] | None = attrs.field(default=None, converter=_media_types)
    timeframe: Timeframe | None = None
    split_size: int | None = attrs.field(default=None, converter=checked_split_size)
    on_invalid: OnInvalid = attrs.field(default="fail", validator=one_of(OnInvalid))
    max_rejects: int = attrs.field(default=1000, validator=checked_max_rejects)
    validate: bool = True
    level: Level = attrs.field(default="fast", validator=one_of(Level))
    match_case: bool = True
    transforms: Mapping[str, tuple[Transform, ...]] = attrs.field(
        default=None, converter=_transforms
    )

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.dataset, Dataset):
            raise JobError("dataset must be a cdds.Dataset, such as cdds.datasets.INTERACTION")
        if self.timeframe is not None and not isinstance(self.timeframe, Timeframe):
            raise JobError("timeframe must be a cdds.Timeframe")
        if self.media_types is not None and not self.dataset.has_media_types:
            raise JobError(f"dataset {self.dataset.name} has no media types to select")
        if self.timeframe is not None and not self.dataset.has_timestamps:
            raise JobError(f"dataset {self.dataset.name} has no timestamps to select by")
        self._check_transforms()

    def _check_transforms(self) -> None:
        unknown = set(self.transforms) - {file.name for file in self.dataset.files}
        if unknown:
            names = ", ".join(file.name for file in self.dataset.files)
            raise JobError(
                f"transforms: dataset {self.dataset.name} has no data file "
                f"{min(map(str, unknown))}; it has {names}"
            )
        for file in self.dataset.files:
            self.schema_of(file)

    def schema_of(self, file: DataFile) -> Mapping[str, Any]:
        """Return the schema of the records of a data file as they are exported.

        Raises:
            JobError: a transform does not suit them.
        """
        schema = file.schema
        for transform in self.transforms.get(file.name, ()):
            schema = transform.schema_after(schema)
        return schema

    @property
    def selection(self) -> Selection:
        """Which records the job wants."""
        return Selection(self.timeframe, self.media_types)


@attrs.frozen
class Artifact:
    """One sealed file in the sink: its name, its size in bytes, its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@attrs.frozen(kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        records: records exported so far.
        bytes_read: bytes taken from the source, as they are stored there.
        bytes_total: the size of the source in bytes, where it is known in advance; when done, what
            was read.
        bytes_written: bytes of artifacts written so far.
        done: whether the export is complete and final.
    """

    records: int
    bytes_read: int
    bytes_total: int | None
    bytes_written: int
    done: bool = False


@attrs.frozen(kw_only=True)
class ExportResult:
    """What an export left in the sink.

    Attributes:
        run_id: the run, a UUID; part of every artifact's name.
        artifacts: the sealed files in their order.
        digests: the name of the ``.sha256`` file, the commit mark of the set.
        signature: the name of that file's detached signature; None without a signer.
        records: how many records each data file holds, by its name.
        rejects: the invalid records that were left out, by data file and position.
        undated: how many records a time frame left out because they have no timestamp.
        unmatched: how many documents or attributes were left out because they belong to no
            selected record.
        unknown_fields: for each data file, by its name, the fields of its exported records that
            the schema does not know, and how many records have each; the first 100 names in
            alphabetical order, and under ``*`` how often there are others, or names that are
            long or not printable. Empty where records are not validated. They are those that the
            source gave: the manifest tells only of those that no transform took away.
        warnings: what a person should know, in sentences.
    """

    run_id: str
    artifacts: tuple[Artifact, ...]
    digests: str
    signature: str | None = None
    records: Mapping[str, int]
    rejects: tuple[Reject, ...] = ()
    undated: int = 0
    unmatched: int = 0
    unknown_fields: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict)
    warnings: tuple[str, ...] = ()
