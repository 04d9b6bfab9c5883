"""Any JSON is a recurrence that was written as JSON, or is refused with `JobError`.

Written again and read again it is the same, it has a sentence, and its instants ascend.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

from cdds.errors import JobError
from cdds.schedule import Once, from_json, to_json

READS = ("cdds.schedule.json_form", "cdds.schedule.recurrence", "cdds.schedule.bounds")
WORDS = (
    *(b'{"kind":', b'"once"', b'"hourly"', b'"daily"', b'"weekly"', b'"monthly"', b'"rrule"'),
    *(b'"at":', b'"every":', b'"day":', b'"days":["MO"]', b'"start":"', b'"until":"', b'"count":'),
    *(b'"zone":"', b"Europe/Berlin", b"2025-01-01T00:00:00+00:00", b'"rule":"FREQ=DAILY"', b"null"),
)

_AFTER = datetime(2025, 3, 30, tzinfo=UTC)  # a day with a missing hour in Europe
_ASKED = 4


def check(data: bytes) -> None:
    """Check the invariant for a JSON text."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        recurrence = from_json(value)
    except JobError:
        return
    assert from_json(json.loads(json.dumps(to_json(recurrence)))) == recurrence
    assert str(recurrence)
    if not isinstance(recurrence, Once):
        instants = recurrence.upcoming(_ASKED, _AFTER)
        assert all(one < other for one, other in pairwise((_AFTER, *instants)))
