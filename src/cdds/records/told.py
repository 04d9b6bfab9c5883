"""The key by which a message or a manifest tells a record: as the archive has it.

Place: beside the gate, and asked about rejects alone. A key that a transform drops, masks or
replaces is never told as the source has it; where its change needs the whole record, none is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

from cdds.model import DataFile
from cdds.records.keys import plausible_key
from cdds.records.serialise import serialise
from cdds.records.verdict import parse
from cdds.refusal import Refusal

ChangeAlone: TypeAlias = Callable[[bytes], bytes]
"""Returns a line of one field as it would be changed in a record, or raises a `Refusal`."""


@attrs.frozen
class ToldKey:
    """Tells the keys of a data file's records.

    Attributes:
        file: the data file.
        change: what its transforms make of a key; None where there are none.
    """

    file: DataFile
    change: ChangeAlone | None = None

    def __call__(self, record: Mapping[str, Any]) -> str | None:
        """Return a record's key for a message, or None if it has none that may be told."""
        key = plausible_key(self.file, record)
        if key is None or self.change is None:
            return key
        name = str(self.file.key)
        try:
            changed = parse(self.change(serialise({name: record[name]})))
        except Refusal:
            return None
        return plausible_key(self.file, changed)
