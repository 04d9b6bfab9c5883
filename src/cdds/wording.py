"""Which texts of people are taken: titles, names of users and tenants, descriptions.

Place: at the ground. A text is taken as it is or refused; it is never changed in silence.
"""

from __future__ import annotations

import unicodedata

from cdds.errors import JobError

_LINE_ENDS = "\n\t"


def line(value: object, what: str, most: int = 200) -> str:
    """Return a text of one line.

    Raises:
        JobError: it is no text, empty, longer than `most` characters, or holds control characters
            or half a surrogate pair.
    """
    if not isinstance(value, str) or not value.strip():
        raise JobError(f"{what} is missing; give a text of 1 to {most} characters")
    return _checked(value, what, most, allowed="")


def lines(value: object, what: str, most: int = 10_000) -> str:
    """Return a text that may be empty and may have several lines, under the rules of `line`."""
    if not isinstance(value, str):
        raise JobError(f"{what} must be a text")
    return _checked(value, what, most, allowed=_LINE_ENDS)


def _checked(value: str, what: str, most: int, allowed: str) -> str:
    if len(value) > most:
        raise JobError(f"{what} has {len(value)} characters; at most {most} are taken")
    for character in value:
        if unicodedata.category(character) in {"Cc", "Cs"} and character not in allowed:
            raise JobError(f"{what} holds U+{ord(character):04X}, which is not taken")
    return value


def sort_key(text: str) -> str:
    """Return what a text is sorted and searched by: without regard to case and form."""
    return unicodedata.normalize("NFKC", text).casefold()[:200]
