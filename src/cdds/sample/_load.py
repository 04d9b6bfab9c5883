"""Loads a sample into a database: the tables of a UCS, filled.

Place: at the top of the package, over `_recycled` and `_databases`. All is one transaction, in
bounded memory. It refuses a database that is not empty, and drops nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType

import attrs

from cdds.errors import JobError
from cdds.sample._contact import contact_attributes, contacts
from cdds.sample._databases import Loader, create_tables, finish_tables, opened
from cdds.sample._mix import Mix
from cdds.sample._people import KNOWN_CONTACTS
from cdds.sample._recycled import interaction_rows
from cdds.sample._tables import TABLES, Row, Rows, Table, row_of_attribute, row_of_contact

_AT_ONCE = 1000
"""Interactions, or contacts, whose rows are in memory at the same time: a few megabytes."""


@attrs.frozen
class Loaded:
    """What was loaded.

    Attributes:
        rows: how many rows each table has, by its canonical name: ``loaded.rows["EmailIn"]``.
    """

    rows: Mapping[str, int]


def load(
    url: str,
    interactions: int = 1000,
    contacts: int | None = None,
    *,
    seed: int = 0,
    mix: Mix = Mix.DEFAULT,
    names: str = "upper",
    password: str | None = None,
    recycle_after: int | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> Loaded:
    """Make the tables of a UCS database in an empty database, and fill them.

    They hold what `interactions`, `documents`, `contacts` and `contact_attributes` of the same
    arguments yield. One transaction does it all: an error leaves the database as it was.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://USER@HOST/NAME``.
        interactions: how many.
        contacts: how many; when left out, the 1,000 that interactions come from.
        seed: fixes every value.
        mix: which kinds of interaction, and how many of each.
        names: how tables and columns are spelled: "upper" (``QUEUENAME``), "lower"
            (``queuename``) or "camel" (``queueName``).
        password: the user's in PostgreSQL.
        recycle_after: makes only so many interactions anew, and remembers them (20 KB each in the
            default mix). Those after them have keys, threads and times of their own, and the
            bodies of the first; so have their documents. It is for speed alone.
        on_progress: is called with how many more interactions are written.

    Raises:
        JobError: an argument makes no sense, or the database is not empty.
        MissingDependency: the driver of PostgreSQL has to be installed.
        SourceError: the database cannot be reached, or refused something.

    >>> load("sqlite:///ucs.db", 100_000).rows["Interaction"]  # doctest: +SKIP
    100000
    """
    contacts = KNOWN_CONTACTS if contacts is None else contacts
    _check_count("interactions", interactions, 0)
    _check_count("contacts", contacts, 0)
    if recycle_after is not None:
        _check_count("recycle_after", recycle_after, 1)
    written = Counter({table.name: 0 for table in TABLES})
    with opened(url, password, names) as loader:
        create_tables(loader, names)
        for rows in _batches(_contact_rows(contacts, seed)):
            written.update(_write(loader, rows))
        for rows in _batches(interaction_rows(interactions, seed, mix, recycle_after)):
            counts = _write(loader, rows)
            written.update(counts)
            if on_progress:
                on_progress(counts["Interaction"])
        finish_tables(loader, names)
    return Loaded(MappingProxyType(dict(written)))


def _check_count(name: str, count: object, least: int) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count < least:
        raise JobError(f"{name} is a whole number, {least} or more")


def _contact_rows(count: int, seed: int) -> Iterator[Rows]:
    for index in range(count):
        one = range(index, index + 1)
        rows = [row_of_contact(record) for record in contacts(one, seed=seed)]
        yield rows + [row_of_attribute(record) for record in contact_attributes(one, seed=seed)]


def _batches(records: Iterator[Rows]) -> Iterator[Mapping[Table, list[Row]]]:
    """Gather the rows of many records, those of each table together."""
    while taken := list(islice(records, _AT_ONCE)):
        yield _by_table(row for rows in taken for row in rows)


def _by_table(rows: Iterable[tuple[Table, Row]]) -> Mapping[Table, list[Row]]:
    gathered: dict[Table, list[Row]] = {table: [] for table in TABLES}
    for table, row in rows:
        gathered[table].append(row)
    return {table: rows for table, rows in gathered.items() if rows}


def _write(loader: Loader, rows: Mapping[Table, list[Row]]) -> Counter[str]:
    for table, its_rows in rows.items():
        loader.write(table, its_rows)
    return Counter({table.name: len(its_rows) for table, its_rows in rows.items()})
