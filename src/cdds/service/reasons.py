"""Says why something failed, for the history and for logs, with nothing personal in it.

Place: the ground of the service.
"""

from __future__ import annotations

import attrs

from cdds.errors import CddsError, RecordError, TooManyRejects
from cdds.location import printable

_LONGEST = 2000


def in_words(error: BaseException) -> str:
    """Return why a run failed, with nothing in it that could be personal.

    Messages of this library hold no content, but may name a record by its key; and nobody knows
    what those of a host's own errors hold.
    """
    if type(error) in {RecordError, TooManyRejects}:
        assert isinstance(error, RecordError)  # noqa: S101  # as was just asked
        error = type(error)(attrs.evolve(error.reject, key=None), error.advice)
    if isinstance(error, CddsError) and type(error).__module__ == CddsError.__module__:
        return printable(str(error))[:_LONGEST]
    if isinstance(error, KeyboardInterrupt):
        return "it was interrupted"
    return f"it failed with {type(error).__name__}"
