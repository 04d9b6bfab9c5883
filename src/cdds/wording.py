"""Which texts of people are taken: titles, names of users and tenants, descriptions.

Place: at the ground. A text is taken as it is or refused; it is never changed in silence.
"""

from __future__ import annotations

import re
import unicodedata

from cdds.errors import JobError

# All of Unicode's control characters (Cc) and surrogates (Cs); its categories will not change.
_REFUSED_IN_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_REFUSED_IN_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


MAX_LINE = 200
"""The most characters of a text of one line."""


def line(value: object, what: str, most: int = MAX_LINE) -> str:
    """Return a text of one line.

    Raises:
        JobError: it is no text, empty, longer than `most` characters, or holds control characters
            or half a surrogate pair.
    """
    if not isinstance(value, str) or not value.strip():
        raise JobError(f"{what} is missing; give a text of 1 to {most} characters")
    return _checked(value, what, most, _REFUSED_IN_LINE)


def lines(value: object, what: str, most: int = 10_000) -> str:
    """Return a text that may be empty and may have several lines, under the rules of `line`."""
    if not isinstance(value, str):
        raise JobError(f"{what} must be a text")
    return _checked(value, what, most, _REFUSED_IN_LINES)


def _checked(value: str, what: str, most: int, refused: re.Pattern[str]) -> str:
    if len(value) > most:
        raise JobError(f"{what} has {len(value)} characters; at most {most} are taken")
    found = refused.search(value)
    if found is not None:
        raise JobError(f"{what} holds U+{ord(found[0]):04X}, which is not taken")
    return value


def sort_key(text: str) -> str:
    """Return what a text is sorted and searched by: without regard to case and form."""
    return unicodedata.normalize("NFKC", text).casefold()[:200]
