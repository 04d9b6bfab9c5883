"""Recurrences as values that JSON has.

Place: on top of the values; what is read is checked by them. Documents of earlier versions stay
readable: what they do not say has its default.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

import attrs

from cdds.errors import JobError
from cdds.schedule.recurrence import Daily, Hourly, Monthly, Once, Recurrence, Weekly
from cdds.schedule.rrule import RRule

_KINDS: dict[str, type[Recurrence]] = {
    "once": Once,
    "hourly": Hourly,
    "daily": Daily,
    "weekly": Weekly,
    "monthly": Monthly,
    "rrule": RRule,
}
_NAMES = {made: name for name, made in _KINDS.items()}
_FIELDS = {made: tuple(field.name for field in attrs.fields(made)) for made in _NAMES}
_MOMENTS = {made: {"at"} if made is Once else {"start", "until"} for made in _NAMES}


def to_json(recurrence: Recurrence) -> dict[str, Any]:
    """Return a recurrence as values that JSON has."""
    made = type(recurrence)
    values = {name: _plain(getattr(recurrence, name)) for name in _FIELDS[made]}
    return {"kind": _NAMES[made]} | values


def from_json(value: dict[str, Any]) -> Recurrence:
    """Return the recurrence that `to_json` wrote.

    Raises:
        JobError: it is none, or one of its values is out of its range.
    """
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise JobError(f"a recurrence has one of the kinds {', '.join(_KINDS)}")
    made = _KINDS[kind]
    moments = _MOMENTS[made]
    values: dict[str, Any] = {}
    for name, read in value.items():
        if name in moments:
            values[name] = _moment(read)
        elif name in _FIELDS[made]:
            values[name] = read
        elif name != "kind":
            raise JobError(f"a recurrence of the kind {kind} has no {name[:40]!r}")
    try:
        return made(**values)
    except TypeError:  # only what has no default can be missing
        raise JobError(
            f"a recurrence of the kind {kind} takes {', '.join(_FIELDS[made])}"
        ) from None


def _plain(value: object) -> object:
    if isinstance(value, (datetime, time)):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _moment(text: object) -> datetime | None:
    if text is None:
        return None
    if isinstance(text, str):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise JobError("a moment is written as ISO 8601 has it, such as 2030-12-31T23:59:59+00:00")
