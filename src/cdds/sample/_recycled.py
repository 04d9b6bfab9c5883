"""Interactions as rows, made one by one or, past a number of them, out of earlier ones.

Place: over `_tables`, below `_load`. It refuses to break what refers to each other: a recycled
interaction has a key and a thread of its own, so have its documents, and all of its instants move
by the same span. Its contact and its parent are those of the first, and so is all that stands
inside a body, such as the date in the header of a mail.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from cdds.sample import _seeds
from cdds.sample._attachments import AT_MOST
from cdds.sample._document import documents
from cdds.sample._interaction import interaction
from cdds.sample._mix import Mix
from cdds.sample._scene import END, START
from cdds.sample._tables import Row, Rows, Table, rows_of_interaction

_STEP = 0.6180339887498949
"""A walk around a circle by this part of it comes near no point twice."""
_FRAME = (END - START) / timedelta(milliseconds=1)
_FIRST = START.replace(tzinfo=None)


def interaction_rows(
    count: int, seed: int, mix: Mix, recycle_after: int | None = None
) -> Iterator[Rows]:
    """Yield the rows of each of the first so many interactions, with those of its documents.

    Past ``recycle_after``, interaction i is made of what interaction i modulo that was made of.
    """
    made = partial(_made, seed=seed, mix=mix)
    if recycle_after is None or recycle_after >= count:
        yield from map(made, range(count))
        return
    bodies = []
    for index in range(recycle_after):
        bodies.append(made(index))
        yield bodies[-1]
    for index in range(recycle_after, count):
        yield _recycled(bodies[index % recycle_after], seed, index)


def _made(index: int, seed: int, mix: Mix) -> Rows:
    own_documents = documents(range(index, index + 1), seed=seed, mix=mix)
    return rows_of_interaction(interaction(index, seed=seed, mix=mix), own_documents)


def _recycled(rows: Rows, seed: int, index: int) -> Rows:
    """Give the rows of one interaction and its documents to another one."""
    table, first = rows[0]
    started = datetime.fromisoformat(first[table.columns.index("STARTDATE")])
    later = _FIRST + timedelta(milliseconds=int(index * _STEP % 1.0 * _FRAME)) - started
    renamed = {first[0]: _seeds.identifier(_seeds.INTERACTION, seed, index)}
    attached = (row[0] for table, row in rows if table.name == "Attachment")
    for place, old in enumerate(attached):
        renamed[old] = _seeds.identifier(_seeds.DOCUMENT, seed, index * AT_MOST + place)
    return [(table, _moved(table, row, renamed, later)) for table, row in rows]


def _moved(table: Table, row: Row, renamed: dict[str, str], later: timedelta) -> Row:
    values = list(row)
    for place in table.own_keys:
        values[place] = renamed.get(values[place], values[place])
    for place in table.instants:
        if values[place] is not None:
            instant = datetime.fromisoformat(values[place]) + later
            values[place] = instant.isoformat(sep=" ", timespec="milliseconds")
    return tuple(values)
