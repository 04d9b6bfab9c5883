"""Interactions, one from each index.

Place: at the top of the package, over `_scene` and `_kinds`. It refuses state between records.
"""

from collections.abc import Iterator
from datetime import datetime

from cdds.sample._fields import INTERACTION, in_order
from cdds.sample._kinds import fields
from cdds.sample._lines import Record
from cdds.sample._mix import Mix
from cdds.sample._scene import END, START, scene
from cdds.sample._seeds import indexes


def interactions(
    count: int | range,
    *,
    seed: int = 0,
    mix: Mix = Mix.DEFAULT,
    start: datetime = START,
    end: datetime = END,
) -> Iterator[Record]:
    """Yield interactions: the first so many of this seed, or those with the indexes of a range.

    Their STARTDATE lies anywhere in ``[start, end)``, in no order. They name the first contacts
    of the same seed, see `contacts`; the files on their mails are `documents`.

    Raises:
        ValueError: when the time frame is empty, or a border of it has no time zone.
    """
    for index in indexes(count):
        yield interaction(index, seed=seed, mix=mix, start=start, end=end)


def interaction(
    index: int,
    *,
    seed: int = 0,
    mix: Mix = Mix.DEFAULT,
    start: datetime = START,
    end: datetime = END,
) -> Record:
    """Make the one interaction that `interactions` would yield at this index."""
    return in_order(fields(scene(index, seed, mix, (start, end))), INTERACTION)
