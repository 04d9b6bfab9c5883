"""Why a record is refused: the inner exception of the rooms that look into records.

Place: at the very ground. Whoever finds a fault knows the rule and perhaps the field; the gate adds
where the record stands and turns it into a `Reject`.
"""

from __future__ import annotations


class Refusal(Exception):
    """A record breaks `rule`; `field` is the property concerned, as the schema names it."""

    def __init__(self, rule: str, field: str | None = None) -> None:
        super().__init__(rule)
        self.rule = rule
        self.field = field


TOO_DEEP = "it is nested too deeply to be read safely"
