"""Any text is a recurrence rule that runs, or is refused with `JobError`.

Its instants ascend and lie after the moment that was asked for; as JSON and back it is the same
rule, and it has a sentence. Where python-dateutil can be asked, it lists the same first instants.
"""

from __future__ import annotations

import datetime as dt
import re
from datetime import UTC, datetime
from itertools import islice, pairwise
from unittest import mock

from dateutil.rrule import rrulestr

from cdds.errors import JobError
from cdds.schedule import RRule, from_json, to_json

READS = (
    "cdds.schedule.rrule",
    "cdds.schedule.parts",
    "cdds.schedule.expansion",
    "cdds.schedule.rule_words",
)
WORDS = (
    *(b"FREQ=YEARLY", b"FREQ=MONTHLY", b"FREQ=WEEKLY", b"FREQ=DAILY", b"FREQ=HOURLY"),
    *(b";BYDAY=", b";BYMONTH=", b";BYMONTHDAY=", b";BYYEARDAY=", b";BYWEEKNO=", b";BYSETPOS="),
    *(b";BYHOUR=", b";BYMINUTE=", b";BYSECOND=", b";COUNT=", b";INTERVAL=", b";WKST=", b";UNTIL="),
    *(b"-1FR", b"2TU", b"MO", b"SU", b"20301231T235959Z"),
)

START = datetime(2024, 1, 1, 9, tzinfo=UTC)
_ASKED = 4
_YEARS = 9
# Where dateutil walks far or, as the tests of rules tell, picks differently, it is not asked.
_NOT_JUDGED = re.compile(
    r"FREQ=(HOURLY|MINUTELY|SECONDLY)|BYDAY=.*\d+(MO|TU|WE|TH|FR|SA|SU)|BYSETPOS"
)


def check(data: bytes) -> None:
    """Check the invariant for the text of a rule."""
    text = data.decode("ascii", "replace")
    try:
        rule = RRule(text, start=START)
    except JobError:
        return
    instants = rule.upcoming(_ASKED, START)
    assert all(one < other for one, other in pairwise((START, *instants)))
    assert from_json(to_json(rule)) == rule
    assert str(rule)
    if not _NOT_JUDGED.search(rule.rule):
        last = START.year + _YEARS
        judged = _judged(rule.rule, last)
        assert [instant for instant in instants if instant.year <= last] == judged


def _judged(text: str, last: int) -> list[datetime]:
    """Return what dateutil lists, walking no further than a year."""
    with mock.patch.object(dt, "MAXYEAR", last):
        try:
            found = rrulestr(text, dtstart=START).xafter(START)
            return [instant for instant in islice(found, _ASKED) if instant.year <= last]
        except ValueError:  # what it says of rules whose times of day never come
            return []
