"""Paths of fields: `ALLATTRIBUTES.Subject`, `ALLATTRIBUTES.*.Phone`.

Place: the ground of the transforms room.

A path is names joined by dots; ``*`` stands for any member of an object and any element of an
array, and a name reaches into each element of an array that is in its way. A dot, a star or a
backslash that is part of a name has a backslash before it.
"""

from __future__ import annotations

import enum
import re
from typing import Final, Literal, TypeAlias

from cdds.errors import JobError


class _Any(enum.Enum):
    ANY = "*"


ANY: Final = _Any.ANY
"""The step of a path that takes any member."""

Step: TypeAlias = str | Literal[_Any.ANY]
Steps: TypeAlias = tuple[Step, ...]

_LONGEST = 500
_STEP = re.compile(r"(?:[^.\\*]|\\[.\\*])+|\*")
_ESCAPED = re.compile(r"\\(.)")


def steps_of(path: object) -> Steps:
    """Return the steps of a path.

    Raises:
        JobError: it is no path.
    """
    if not isinstance(path, str) or not path or len(path) > _LONGEST or not path.isprintable():
        raise JobError(
            f"a path of a field is a printable text of 1 to {_LONGEST} characters, "
            "such as ALLATTRIBUTES.Subject"
        )
    steps: list[Step] = []
    at = 0
    while True:
        found = _STEP.match(path, at)
        end = found.end() if found else at
        if found is None or path[end : end + 1] not in {"", "."}:
            raise JobError(
                f"{path!r} is no path of a field: write names or * with dots between them, and a "
                "backslash before a dot, a star or a backslash that is part of a name"
            )
        steps.append(ANY if found[0] == "*" else _ESCAPED.sub(r"\1", found[0]))
        if end == len(path):
            return tuple(steps)
        at = end + 1
