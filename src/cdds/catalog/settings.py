"""What a person sets for a job, as a value and as JSON.

Place: the ground of the catalog. A job and each of its runs hold one of these: the run keeps those
that it ran with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import attrs

from cdds import schedule
from cdds.errors import JobError
from cdds.model import (
    Dataset,
    Job,
    Level,
    OnInvalid,
    Selection,
    Timeframe,
    checked_max_rejects,
    checked_split_size,
    one_of,
)
from cdds.schedule import Once, Recurrence
from cdds.wording import line, lines

MAX_MEDIA_TYPES = 100
MAX_RECIPIENTS = 20


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


def _timeframe(_: object, __: object, value: Timeframe | None) -> None:
    if value is not None and not isinstance(value, Timeframe):
        raise JobError("timeframe must be a cdds.Timeframe")


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
        timeframe: the span to select; None for all data.
        split_size: the most bytes of one segment before it is sealed; None for one file.
        on_invalid: whether an invalid record fails a run or is left out and listed.
        max_rejects: how many records may be left out before a run fails.
        level: compress for speed or for size.
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
    timeframe: Timeframe | None = attrs.field(default=None, validator=_timeframe)
    split_size: int | None = attrs.field(default=None, converter=checked_split_size)
    on_invalid: OnInvalid = attrs.field(default="fail", validator=one_of(OnInvalid))
    max_rejects: int = attrs.field(default=1000, validator=checked_max_rejects)
    level: Level = attrs.field(default="fast", validator=one_of(Level))
    recipients: tuple[str, ...] = attrs.field(default=(), converter=_recipients, repr=False)

    @property
    def is_one_time(self) -> bool:
        """Whether the job runs only once."""
        return isinstance(self.recurrence, Once)

    def job(self, dataset: Dataset, job_id: str) -> Job:
        """Return what an exporter takes.

        Raises:
            JobError: the settings do not suit the dataset.
        """
        return Job(
            dataset=dataset,
            id=job_id,
            media_types=self.media_types,
            timeframe=self.timeframe,
            split_size=self.split_size,
            on_invalid=self.on_invalid,
            max_rejects=self.max_rejects,
            level=self.level,
        )

    def to_json(self) -> str:
        """Return the settings as JSON."""
        values = attrs.asdict(self, recurse=False)
        values["media_types"] = None if self.media_types is None else sorted(self.media_types)
        values["recurrence"] = schedule.to_json(self.recurrence)
        if self.timeframe is not None:
            values["timeframe"] = [_text(self.timeframe.start), _text(self.timeframe.end)]
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> JobSettings:
        """Return the settings that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        values["recurrence"] = schedule.from_json(values["recurrence"])
        if values["timeframe"] is not None:
            values["timeframe"] = Timeframe(*map(_moment, values["timeframe"]))
        return cls(**values)


def changed(settings: JobSettings, changes: dict[str, Any]) -> JobSettings:
    """Return the settings with some changed.

    Raises:
        JobError: there is no such setting, or a value is out of its range.
    """
    unknown = sorted(changes.keys() - {field.name for field in attrs.fields(JobSettings)})
    if unknown:
        raise JobError(f"a job has no setting called {unknown[0][:40]!r}")
    return attrs.evolve(settings, **changes)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
