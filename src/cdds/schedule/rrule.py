"""`RRule`: the recurrence rules of RFC 5545, for whatever the named recurrences cannot say.

Place: the value on top of `parts.py` (its text) and `expansion.py` (its local times). A rule is
refused when it is made if it would never run; it holds no exceptions and no further dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

import attrs

from cdds.errors import JobError
from cdds.schedule import parts, sentences
from cdds.schedule.bounds import Repeating, last_of
from cdds.schedule.expansion import Expansion, expansion
from cdds.schedule.moments import in_utc, just_before
from cdds.schedule.rule_words import words
from cdds.schedule.zones import instants, local, zone_name

LONGEST_WAIT = 100
"""A rule that does not run within so many years of its start is taken for one that never does."""

FIRST_YEAR = 1900
"""No rule starts earlier: the calendar of RFC 5545 is Gregorian, and was not everywhere."""


def _start(value: datetime) -> datetime:
    start = in_utc(value, "a start")
    if start.microsecond:
        raise JobError("the start of a rule takes full seconds: use start.replace(microsecond=0)")
    if not FIRST_YEAR <= start.year <= datetime.max.year - LONGEST_WAIT:
        last = datetime.max.year - LONGEST_WAIT
        raise JobError(f"the start of a rule must lie within the years {FIRST_YEAR} to {last}")
    return start


@attrs.frozen
class RRule(Repeating):
    """A run whenever a recurrence rule of RFC 5545 says so.

    Attributes:
        rule: its text, such as ``"FREQ=MONTHLY;BYDAY=2TU"``, with COUNT or UNTIL if it ends.
        start: DTSTART (an aware datetime). Intervals count from it, and its local time in the zone
            gives what the rule leaves unsaid. It is a run itself only if the rule says so.
        zone: whose clock the hours belong to, as the IANA database names it.

    Raises:
        JobError: the text is no rule as section 3.3.10 has it, the start or the zone makes no
            sense, or the rule would never run.
    """

    rule: str = attrs.field(converter=parts.plain)
    start: datetime = attrs.field(kw_only=True, converter=_start)
    zone: str = attrs.field(default="UTC", kw_only=True, converter=zone_name)

    def __attrs_post_init__(self) -> None:
        """Refuse a rule that would never run."""
        _check_first(self)

    @property
    def until(self) -> datetime | None:
        """The UNTIL of the rule: no instant lies after it."""
        return parts.read(self.rule).until

    @property
    def count(self) -> int | None:
        """The COUNT of the rule: how many instants it has."""
        return parts.read(self.rule).count

    def unbounded(self, after: datetime) -> Iterator[datetime]:
        """Yield the instants after a moment of UTC, without regard to start and end."""
        times = _expansion(self.rule, self.start, self.zone).after(local(after, self.zone))
        return instants(times, self.zone, after)

    def span(self) -> tuple[datetime, datetime | None]:
        """Return the start, and the last moment that an instant may be, None for no such bound."""
        said = parts.read(self.rule)
        if said.count is None:
            return self.start, said.until
        return self.start, last_of(self, self.start, said.count)

    def __str__(self) -> str:
        said = parts.read(self.rule)
        explicit = _expansion(self.rule, self.start, self.zone).parts
        start = f", from {sentences.moment(self.start)}"
        return (
            words(said, explicit, self.zone, self.rule)
            + start
            + sentences.end(said.until, said.count)
        )


@lru_cache(maxsize=4096)
def _expansion(rule: str, start: datetime, zone: str) -> Expansion:
    return expansion(parts.read(rule), local(start, zone))


@lru_cache(maxsize=4096)
def _check_first(rule: RRule) -> None:
    expanded = _expansion(rule.rule, rule.start, rule.zone)
    before = just_before(rule.start)
    horizon = rule.start.replace(tzinfo=None, day=1, year=rule.start.year + LONGEST_WAIT)
    times = () if expanded.is_empty() else expanded.after(local(before, rule.zone), horizon)
    first = next(instants(times, rule.zone, before), None)
    if first is None:
        raise JobError(
            f"the rule does not run within {LONGEST_WAIT} years of its start; "
            "see whether its parts contradict each other"
        )
    if rule.until is not None and first > rule.until:
        raise JobError(
            f"the rule ends before its first run, which is at {sentences.moment(first)}; "
            "give a later UNTIL"
        )
