"""Fields that a schema does not know: which there are, and which mean a property in other case.

Place: beside the gate, and asked only about records that have such fields. Names come from records,
so what is kept of them is bounded in number and length. No value is looked at.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

from cdds.members import Members, json_of, members_of
from cdds.model import DataFile
from cdds.refusal import Refusal

MAX_NAMES = 100
"""How many names are listed for a data file."""

MAX_NAME = 64
"""The longest name that is listed, in characters."""

OTHERS = "*"
"""What stands for all other names."""


class FieldCounts:
    """How many records have each field; whatever the order of records, the outcome is the same.

    The first names in alphabetical order are kept. One that had to give way to another can never
    come back, so the counts of those that are kept are whole.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._names: list[str] = []
        self._others = 0

    def update(self, names: Iterable[str]) -> None:
        """Count names, each as often as it comes."""
        for name in names:
            if name in self._counts:
                self._counts[name] += 1
            elif not _is_plausible(name):
                self._others += 1
            else:
                self._add(name)

    def _add(self, name: str) -> None:
        insort(self._names, name)
        self._counts[name] = 1
        if len(self._names) > MAX_NAMES:
            self._others += self._counts.pop(self._names.pop())

    def listing(self) -> dict[str, int]:
        """Return the counts by name, those of all other names together under ``*``."""
        counts = {name: self._counts[name] for name in self._names}
        return counts | {OTHERS: self._others} if self._others else counts


def _is_plausible(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and name.isprintable() and name != OTHERS


def tells_fields(file: DataFile) -> bool:
    """Whether the schema tells which fields there are, and allows others."""
    is_open = file.schema.get("additionalProperties", True) is not False
    return bool(file.properties) and is_open and "patternProperties" not in file.schema


class Spelling:
    """Gives fields whose name differs only in case from a known one the known name."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)
        self._spellings: dict[str, list[str]] = {}
        for name in sorted(self._known):
            self._spellings.setdefault(name.casefold(), []).append(name)

    def corrected(self, line: bytes) -> bytes:
        """Return a line in which such fields have the known names; all else is as it was written.

        Raises:
            Refusal: it is no JSON object, or which field is meant cannot be told.
        """
        members = members_of(line)
        names = {name: self._meant(name) for name in members}
        if all(name == meant for name, meant in names.items()):
            return line
        renamed: Members = {}
        for name, value in members.items():
            if names[name] in renamed:
                raise Refusal("two of its members differ only in case", names[name])
            renamed[names[name]] = value
        return json_of(renamed) + b"\n"

    def _meant(self, name: str) -> str:
        if name in self._known:
            return name
        meant = self._spellings.get(name.casefold(), [name])
        if len(meant) > 1:
            raise Refusal("a member's name could mean several properties", meant[0])
        return meant[0]
