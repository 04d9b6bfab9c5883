"""What a person sets for a job, as a value and as JSON.

Place: the ground of the catalog. A job and each of its runs hold one of these: the run keeps those
that it ran with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import attrs

from cdds import schedule
from cdds.errors import CatalogVersionError, JobError
from cdds.model import (
    Dataset,
    Job,
    Level,
    OnInvalid,
    Selection,
    SinceLastRun,
    Timeframe,
    checked_max_rejects,
    checked_split_size,
    one_of,
)
from cdds.schedule import Misfire, Once, Recurrence
from cdds.schedule.moments import is_whole
from cdds.wording import line, lines

MAX_MEDIA_TYPES = 100
MAX_RECIPIENTS = 20
MAX_INSTANCES = 16
MAX_RETRIES = 10

_SHORTEST_GRACE = timedelta(seconds=1)
_LONGEST_GRACE = timedelta(days=366)


def _title(value: str) -> str:
    return line(value, "the title of a job")


def _source(value: str) -> str:
    return line(value, "the source of a job")


def _dataset(value: str) -> str:
    return line(value, "the dataset of a job")


def _description(value: str) -> str:
    return lines(value, "the description of a job")


def _media_types(value: Iterable[str] | None) -> frozenset[str] | None:
    names = Selection(media_types=value).media_types
    if names is None:
        return None
    if len(names) > MAX_MEDIA_TYPES:
        raise JobError(f"{len(names)} media types are too many; at most {MAX_MEDIA_TYPES}")
    return frozenset(line(name, "a media type") for name in names)


def _recurrence(_: object, __: object, value: object) -> None:
    if not isinstance(value, Recurrence):
        raise JobError(
            "recurrence must be a Once, Hourly, Daily, Weekly, Monthly or RRule, such as "
            "cdds.Hourly(4)"
        )


def _timeframe(_: object, __: object, value: Timeframe | SinceLastRun | None) -> None:
    if value is not None and not isinstance(value, Timeframe | SinceLastRun):
        raise JobError("timeframe must be a cdds.Timeframe, or Timeframe.since_last_run()")


def _grace(_: object, __: object, value: object) -> None:
    if not isinstance(value, timedelta) or not _SHORTEST_GRACE <= value <= _LONGEST_GRACE:
        raise JobError("misfire_grace_time is a timedelta from 1 second to 366 days")


def _number(least: int, most: int) -> Any:
    def check(_: object, attribute: Any, value: object) -> None:
        if not is_whole(value, least, most):
            raise JobError(f"{attribute.name} is a whole number from {least} to {most}")

    return check


def _recipients(value: Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise JobError("recipients takes a list of certificates in PEM")
    recipients = tuple(lines(text, "a recipient's certificate", 100_000) for text in value)
    if len(recipients) > MAX_RECIPIENTS:
        raise JobError(f"{len(recipients)} recipients are too many; at most {MAX_RECIPIENTS}")
    return recipients


@attrs.frozen(kw_only=True)
class JobSettings:
    """What a person sets for a job.

    Attributes:
        title: 1 to 200 characters on one line.
        description: at most 10,000 characters.
        source: the name of one of the service's sources.
        dataset: the name of one of its datasets, which the guide calls the type.
        media_types: names to select, without regard to case; None for all.
        recurrence: how often it runs, and from when.
        timeframe: the span to select, also what has come since the last run; None for all data.
        split_size: the most bytes of one segment before it is sealed; None for one file.
        on_invalid: whether an invalid record fails a run or is left out and listed.
        max_rejects: how many records may be left out before a run fails.
        level: compress for speed or for size.
        misfire: what becomes of starts that were missed: ``"one"`` run for all of them, ``"each"``
            of them, or ``"none"``.
        misfire_grace_time: how long after its time a start still counts as on time.
        max_instances: how many runs of the job may be in progress at once.
        max_retries: how often a scheduled run is tried again that failed with an error that says
            it is worth it.
        recipients: certificates in PEM of those who can open the exports beside the owner.

    Raises:
        JobError: a value is out of its range.
    """

    title: str = attrs.field(converter=_title)
    source: str = attrs.field(converter=_source)
    dataset: str = attrs.field(converter=_dataset)
    description: str = attrs.field(default="", converter=_description)
    media_types: frozenset[str] | None = attrs.field(default=None, converter=_media_types)
    recurrence: Recurrence = attrs.field(factory=Once, validator=_recurrence)
    timeframe: Timeframe | SinceLastRun | None = attrs.field(default=None, validator=_timeframe)
    split_size: int | None = attrs.field(default=None, converter=checked_split_size)
    on_invalid: OnInvalid = attrs.field(default="fail", validator=one_of(OnInvalid))
    max_rejects: int = attrs.field(default=1000, validator=checked_max_rejects)
    level: Level = attrs.field(default="fast", validator=one_of(Level))
    misfire: Misfire = attrs.field(default="one", validator=one_of(Misfire))
    misfire_grace_time: timedelta = attrs.field(default=timedelta(minutes=1), validator=_grace)
    max_instances: int = attrs.field(default=1, validator=_number(1, MAX_INSTANCES))
    max_retries: int = attrs.field(default=3, validator=_number(0, MAX_RETRIES))
    recipients: tuple[str, ...] = attrs.field(default=(), converter=_recipients, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.is_incremental and self.max_instances > 1:
            raise JobError(
                "the windows of an incremental job meet only where one run follows the other; "
                "leave max_instances at 1"
            )

    @property
    def is_one_time(self) -> bool:
        """Whether the job runs only once."""
        return isinstance(self.recurrence, Once)

    @property
    def is_incremental(self) -> bool:
        """Whether each run takes up where the last one ended."""
        return isinstance(self.timeframe, SinceLastRun)

    def window(self, watermark: datetime | None, moment: datetime) -> Timeframe | None:
        """Return the span of a run that is due at a moment, if the job is incremental."""
        if isinstance(self.timeframe, SinceLastRun):
            return self.timeframe.window(watermark, moment)
        return None

    def is_series_of(self, other: JobSettings) -> bool:
        """Whether windows of the one go on from windows of the other, both being incremental."""
        if not isinstance(self.timeframe, SinceLastRun):
            return False
        if not isinstance(other.timeframe, SinceLastRun):
            return False
        return (self.source, self.dataset, self.timeframe.start) == (
            other.source,
            other.dataset,
            other.timeframe.start,
        )

    def job(self, dataset: Dataset, job_id: str, window: Timeframe | None = None) -> Job:
        """Return what an exporter takes, of an incremental job for a run with that window.

        Raises:
            JobError: the settings do not suit the dataset.
        """
        return Job(
            dataset=dataset,
            id=job_id,
            media_types=self.media_types,
            timeframe=self._span(window),
            split_size=self.split_size,
            on_invalid=self.on_invalid,
            max_rejects=self.max_rejects,
            level=self.level,
        )

    def _span(self, window: Timeframe | None) -> Timeframe | None:
        if isinstance(self.timeframe, SinceLastRun):
            return Timeframe() if window is None else window
        return self.timeframe

    def to_json(self) -> str:
        """Return the settings as JSON."""
        values = attrs.asdict(self, recurse=False)
        values["media_types"] = None if self.media_types is None else sorted(self.media_types)
        values["recurrence"] = schedule.to_json(self.recurrence)
        values["timeframe"] = _timeframe_to_json(self.timeframe)
        values["misfire_grace_time"] = self.misfire_grace_time.total_seconds()
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> JobSettings:
        """Return the settings that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        values["recurrence"] = schedule.from_json(values["recurrence"])
        values["timeframe"] = _timeframe_from_json(values["timeframe"])
        if "misfire_grace_time" in values:
            values["misfire_grace_time"] = timedelta(seconds=values["misfire_grace_time"])
        try:
            return cls(**values)
        except TypeError:
            raise CatalogVersionError(
                "the catalog holds settings that this library does not know; upgrade cdds-sdk"
            ) from None


def changed(settings: JobSettings, changes: dict[str, Any]) -> JobSettings:
    """Return the settings with some changed.

    Raises:
        JobError: there is no such setting, or a value is out of its range.
    """
    unknown = sorted(changes.keys() - {field.name for field in attrs.fields(JobSettings)})
    if unknown:
        raise JobError(f"a job has no setting called {unknown[0][:40]!r}")
    return attrs.evolve(settings, **changes)


def _timeframe_to_json(value: Timeframe | SinceLastRun | None) -> Any:
    if isinstance(value, SinceLastRun):
        return {"lag": value.lag.total_seconds(), "start": _text(value.start)}
    return None if value is None else [_text(value.start), _text(value.end)]


def _timeframe_from_json(value: Any) -> Timeframe | SinceLastRun | None:
    if isinstance(value, dict):
        return SinceLastRun(timedelta(seconds=value["lag"]), _moment(value["start"]))
    return None if value is None else Timeframe(*map(_moment, value))


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
