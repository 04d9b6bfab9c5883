"""Where an invalid record stands and which rule it breaks: a value without its content.

Place: at the very ground, for errors carry it and results list it.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Reject:
    """One record that is not exported because it is invalid: where it stands and why.

    Attributes:
        data_file: the data file it was meant for, such as ``interaction``.
        origin: the name of the input it came from; empty for records handed over in memory.
        position: its line (for files of lines) or number, counted from 1.
        rule: the rule that it breaks, in words; never its content.
        field: the property concerned, where the schema names one.
        key: the record's key as the archive would have it, where it has a plausible one; None where
            a transform drops it, or takes whole records.
    """

    data_file: str
    origin: str
    position: int
    rule: str
    field: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        where = f"{self.origin}:{self.position}" if self.origin else f"record {self.position}"
        key = f" (key {self.key})" if self.key else ""
        field = f"{self.field}: " if self.field else ""
        return f"{where}: {self.data_file}{key}: {field}{self.rule}"
