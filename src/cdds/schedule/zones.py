"""Local time: which instant a clock on the wall of a zone means, and what it shows at one.

Place: near the ground of the room; the only module that knows zoneinfo. A local time is a naive
datetime, an instant an aware one in UTC.

The rules where the clock changes:

* A local time in the hour that is missing happens at the end of that gap, the first moment after
  it. Two that fall together there are one instant.
* A local time in the hour that comes twice happens the first time only.

With them a later local time is never an earlier instant, so a search for the next one can walk
along the local times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cdds.errors import JobError

_SECOND = timedelta(seconds=1)
_LONGEST_NAME = 100
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}")
# Files beside the zones of IANA: of one machine alone, or with leap seconds, which Python has not.
_NO_ZONES = re.compile(r"(?:localtime|posixrules|Factory|posix/.*|right/.*)", re.IGNORECASE)


def zone_name(value: str) -> str:
    """Return the name of a zone that exists.

    Raises:
        JobError: it is no name of the IANA database.
    """
    if not isinstance(value, str):
        raise JobError("zone takes the name of a time zone, such as Europe/Berlin or UTC")
    if value != "UTC":
        _zone(value)
    return value


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    if len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) and not _NO_ZONES.fullmatch(name):
        try:
            return ZoneInfo(name)
        # A folder, a name that is no file, or a file of another kind: each has its own exception.
        except (LookupError, OSError, ValueError):
            pass
    raise JobError(
        f"the time zone {name[:40]!r} is unknown; give a name of the IANA database, "
        "such as Europe/Berlin or UTC"
    )


def local(instant: datetime, zone: str) -> datetime:
    """Return what a clock of the zone shows; at the ends of time, the end that a datetime has."""
    if zone == "UTC":
        return instant.replace(tzinfo=None)
    try:
        return instant.astimezone(_zone(zone)).replace(tzinfo=None, fold=0)
    except OverflowError:
        return datetime.min if instant.year == 1 else datetime.max


def offset(instant: datetime, zone: str) -> timedelta:
    """Return how far a clock of the zone is ahead of UTC at an instant."""
    return instant.astimezone(_zone(zone)).utcoffset() or timedelta()


def instants(times: Iterable[datetime], zone: str, after: datetime) -> Iterator[datetime]:
    """Yield the instants of ascending local times that lie after a moment, each once."""
    for time in times:
        try:
            instant = _instant(time, zone)
        except OverflowError:  # the first or the last hours of time, that UTC does not have
            continue
        if instant > after:
            yield instant
            after = instant


def _instant(time: datetime, zone: str) -> datetime:
    if zone == "UTC":
        return time.replace(tzinfo=UTC)
    aware = time.replace(tzinfo=_zone(zone), fold=0)
    before = aware.utcoffset() or timedelta()
    after = aware.replace(fold=1).utcoffset() or timedelta()
    instant = time.replace(tzinfo=UTC) - before
    if before >= after:
        return instant
    # PEP 495: in a gap, fold=0 counts with the clock of before, and so lands behind the gap.
    return change(instant - (after - before), instant, zone)


def change(before: datetime, after: datetime, zone: str) -> datetime:
    """Return the first instant of the clock of `after`, which is not that of `before`."""
    before = before.replace(microsecond=0)  # clocks change on full seconds
    old = offset(before, zone)
    span = -((before - after) // _SECOND)
    known, step = 0, span
    while step - known > 1:
        middle = (known + step) // 2
        if offset(before + middle * _SECOND, zone) == old:
            known = middle
        else:
            step = middle
    return before + step * _SECOND
