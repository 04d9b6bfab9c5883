"""Checks what lists are filtered by.

Place: between the pages and the catalog, which takes only sound values.
"""

from __future__ import annotations

from typing import Any, get_args

from cdds.catalog import RunStatus
from cdds.errors import JobError
from cdds.schedule.moments import is_whole
from cdds.wording import line


def checked(**filters: Any) -> dict[str, Any]:
    """Return the filters that are given.

    Raises:
        JobError: one is out of its range.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    for name, value in given.items():
        if name == "suspended":
            if not isinstance(value, bool):
                raise JobError("suspended is True, False or left out")
        elif name == "status":
            if value not in get_args(RunStatus):
                raise JobError(f"status is one of {', '.join(get_args(RunStatus))}")
        else:
            line(value, f"the filter {name}")
    return given


def check_number(value: object, what: str, least: int, most: int) -> None:
    """Refuse what is not a whole number within some bounds.

    Raises:
        JobError: it is none.
    """
    if not is_whole(value, least, most):
        raise JobError(f"{what} is a whole number from {least} to {most}")


def check_token(token: object, what: str) -> None:
    """Refuse what is no token that stops something.

    Raises:
        JobError: it is none, and is given.
    """
    if token is not None and not callable(getattr(token, "is_set", None)):
        raise JobError(f"{what} takes a token that can be set, such as a threading.Event")


def check_limit(limit: object) -> None:
    """Refuse what is no number of things that are done at once.

    Raises:
        JobError: it is no whole number from 1 to 1,000,000.
    """
    check_number(limit, "limit", 1, 1_000_000)
