"""Decides which decoded records are wanted: by time frame, media type and parent.

Place: used by the gate for every record when anything is selected away. It sees decoded records
through a function that gets a property, so it works for fast and slow decoding alike.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Container
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from cdds.model import DataFile, Selection, Timeframe
from cdds.refusal import Refusal
from cdds.timestamps import parse_timestamp

_NO_TIMESTAMP = "it is no ISO 8601 date and time, so it cannot be selected by"

Getter: TypeAlias = Callable[[str], Any]
"""Returns a property of the record at hand; None or UNSET when it is not there."""


def timestamp(text: Any, field: str) -> datetime:
    """Return the moment that an ISO 8601 text means; one without a zone is UTC.

    Raises:
        Refusal: it is no ISO 8601 date and time.
    """
    if not isinstance(text, str):
        raise Refusal(_NO_TIMESTAMP, field)
    try:
        return parse_timestamp(text)
    except ValueError:
        raise Refusal(_NO_TIMESTAMP, field) from None
    except OverflowError:
        raise Refusal("it is outside the years 1 to 9999", field) from None


class Fate(enum.Enum):
    """What becomes of a valid record; one may still be rejected that cannot be changed."""

    WANTED = enum.auto()
    REJECTED = enum.auto()
    NOT_SELECTED = enum.auto()
    UNDATED = enum.auto()
    UNMATCHED = enum.auto()


class Criteria:
    """What a record must be to be wanted.

    `parents` holds the keys of the selected parents, where the data file has parents.
    """

    def __init__(
        self, file: DataFile, selection: Selection, parents: Container[object] | None
    ) -> None:
        self._parents = parents
        self._parent_key = file.parent_key if parents is not None else None
        self._media_types = selection.media_types or frozenset()
        self._media_type = file.media_type if self._media_types else None
        self._timeframe = selection.timeframe or Timeframe()
        self._timestamps = file.timestamps if selection.timeframe is not None else ()

    @property
    def properties(self) -> tuple[str, ...]:
        """The properties that are looked at; none if every record is wanted."""
        names = (self._parent_key, self._media_type, *self._timestamps)
        return tuple(filter(None, names))

    def fate(self, get: Getter) -> Fate:
        """Return what becomes of the record.

        Raises:
            Refusal: its timestamp cannot be read.
        """
        if self._media_type is not None and not self._has_media_type(get(self._media_type)):
            return Fate.NOT_SELECTED
        if self._timestamps:
            moment = self._moment(get)
            if moment is None:
                return Fate.UNDATED
            if moment not in self._timeframe:
                return Fate.NOT_SELECTED
        if self._parent_key is not None and get(self._parent_key) not in (self._parents or ()):
            return Fate.UNMATCHED
        return Fate.WANTED

    def _has_media_type(self, name: Any) -> bool:
        return isinstance(name, str) and name.strip().casefold() in self._media_types

    def _moment(self, get: Getter) -> datetime | None:
        for field in self._timestamps:
            text = get(field)
            if text is not None and text is not msgspec.UNSET and text != "":
                return timestamp(text, field)
        return None
