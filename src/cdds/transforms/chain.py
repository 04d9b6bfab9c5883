"""The transforms of one data file, one after another: a line in, a line out.

Place: called by the gate's worker threads for each record that is selected and valid. A record that
no transform changes passes as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from cdds.members import json_of, members_of
from cdds.model import Transform
from cdds.refusal import TOO_DEEP, Refusal
from cdds.transforms.fields import OfFields, Write
from cdds.transforms.functions import Apply, ApplyToRecord

Check: TypeAlias = Callable[[bytes], bytes]
"""Returns a line that fits the changed schema, or raises a `Refusal`."""


class Chain:
    """Changes lines by transforms.

    Args:
        transforms: they, in the order in which they are made.
        write: returns the exact JSON of what a host's function returned.
        check: holds lines against the changed schema, after a host's function has had them.
    """

    def __init__(self, transforms: Iterable[Transform], write: Write, check: Check) -> None:
        transforms = tuple(transforms)
        self._is_of_fields = all(isinstance(each, OfFields) for each in transforms)
        self._steps = [transform.changes(write) for transform in transforms]
        self._check = check if any(each.is_hosts_own for each in transforms) else None
        self._checks_all = any(map(_says_what_it_returns, transforms))

    def __call__(self, line: bytes) -> bytes:
        """Return a line changed.

        Raises:
            Refusal: it cannot be changed, or a host's function failed or returned what does not
                fit.
        """
        changed = self._changed(line)
        if changed is None:  # outside the handler: its context would hold the record
            raise Refusal(TOO_DEEP)
        if self._check is not None and (changed is not line or self._checks_all):
            return self._check(changed)
        return changed

    def alone(self, line: bytes) -> bytes:
        """Return a line of one field, changed as that field is in a record.

        Raises:
            Refusal: it cannot be changed, or a transform takes whole records.
        """
        if not self._is_of_fields:
            raise Refusal("a transform takes whole records")
        return self._changed(line) or b""

    def _changed(self, line: bytes) -> bytes | None:
        try:
            record = members_of(line)
            changes = [step(record) for step in self._steps]
            return json_of(record) + b"\n" if any(changes) else line
        except RecursionError:
            return None


def _says_what_it_returns(transform: Transform) -> bool:
    """Whether what was valid before may be invalid after it, though it changes nothing."""
    return isinstance(transform, (Apply, ApplyToRecord)) and transform.schema is not None
