"""What a host or a plugin may bring: each protocol has one to three methods.

Place: above the values, below every room that does work. An extra ability is a second, optional
protocol, found at run time with `isinstance`. Nothing here has an implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias, runtime_checkable

import attrs

from cdds.model import Dataset, Progress, Selection

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Bytes to be read at once: a receiver must not keep a reference to them."""


@attrs.frozen
class Lines:
    """Whole lines of a JSON Lines input, as they stand in it.

    Attributes:
        data: one or more lines, each closed by a line feed.
        first: the number of the first line in its input, counted from 1.
        count: how many lines there are, empty ones included.
        origin: the input's name for messages, empty where it has none.
        at: the bytes of the source, as stored, that have been read up to here.
    """

    data: bytes = attrs.field(repr=False)
    first: int
    count: int
    origin: str = ""
    at: int = 0


Located: TypeAlias = tuple[str, int, Mapping[str, Any]]
"""The name of an input, the number of a record in it, counted from 1, and the record."""


class Snapshot(Protocol):
    """One consistent view of a source: what it yields does not change while it is open."""

    def records(self, data_file: str) -> Iterator[Mapping[str, Any]]:
        """Yield the records of a data file, each a mapping with string keys.

        Yields nothing for a data file that the source does not have.
        """
        ...


@runtime_checkable
class LineSnapshot(Protocol):
    """A snapshot that can give its records as the lines they already are, for speed."""

    def lines(self, data_file: str) -> Iterator[Lines]:
        """Yield the lines of a data file, about 1 MiB at a time."""
        ...


@runtime_checkable
class LocatedSnapshot(Protocol):
    """A snapshot of mappings that can tell where each record came from, for messages."""

    def located(self, data_file: str) -> Iterator[Located]:
        """Yield the records of a data file, each with where it stands."""
        ...


@runtime_checkable
class PartialSnapshot(Protocol):
    """A snapshot that knows which data files it has, which saves work for those it has not."""

    def has(self, data_file: str) -> bool:
        """Return whether there is anything to read for a data file."""
        ...


@runtime_checkable
class SizedSnapshot(Protocol):
    """A snapshot that knows about how many bytes it will read, for progress and time remaining."""

    def size(self) -> int | None:
        """Return the size in bytes of all inputs as they are stored, or None."""
        ...


@runtime_checkable
class CountedSnapshot(Protocol):
    """A snapshot that can count records at less cost than reading them, for a dry run."""

    def count(self, data_file: str) -> int:
        """Return how many records of a data file the selection wants."""
        ...


@runtime_checkable
class NotingSnapshot(Protocol):
    """A snapshot that has something to say to whoever asked for an export."""

    def notes(self) -> Sequence[str]:
        """Return what a person should know, in sentences; asked for when all has been read."""
        ...


class Source(Protocol):
    """Where records come from."""

    def snapshot(self, dataset: Dataset, selection: Selection) -> AbstractContextManager[Snapshot]:
        """Open a consistent view of the data files of `dataset`.

        A source may leave out records that `selection` does not want; it need not, since the
        exporter selects again.

        Raises:
            SourceError: an input is missing or cannot be read.
        """
        ...


class Upload(Protocol):
    """One artifact on its way: invisible until `commit`, gone after `abort`."""

    def write(self, data: Buffer) -> None:
        """Append bytes to the staged artifact."""
        ...

    def stage(self) -> None:
        """Make what was written durable without making it visible; nothing is written after."""
        ...

    def commit(self) -> None:
        """Make the staged artifact visible under its name, which must still be free.

        Raises:
            ArtifactExists: the name is taken; what has it is left as it is.
        """
        ...

    def abort(self) -> None:
        """Take back all that this upload made, staged or committed, and nothing of anybody else.

        May be called at any time, also twice.

        Raises:
            SinkError: something could not be removed.
        """
        ...


class Sink(Protocol):
    """Where artifacts go."""

    def create(self, name: str) -> Upload:
        """Begin an artifact of that name.

        Raises:
            ArtifactExists: the name is taken.
            SinkError: the sink cannot be written.
        """
        ...


@runtime_checkable
class DurableSink(Protocol):
    """A sink whose commits need one more step to survive a loss of power."""

    def sync(self) -> None:
        """Make all commits so far durable."""
        ...


@attrs.frozen
class Stored:
    """Something that a sink holds.

    Attributes:
        name: the artifact's name; of something staged, the name that it was to become.
        size: its bytes, 0 where they are not known.
        staged: what the sink calls it while it is not committed, such as the name of a temporary
            file or the identifier of a multipart upload; None for what is visible.
    """

    name: str
    size: int
    staged: str | None = None


@runtime_checkable
class Storage(Protocol):
    """A sink that can give back, list and remove what it holds.

    The name of an artifact is one plain name: no separator of folders, no NUL, and no dot at its
    beginning. Any other is refused, so nothing outside the sink is ever read or removed.
    """

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes `start` <= i < `end` of an artifact, in chunks of at most 1 MiB.

        A range may reach beyond the artifact: it then holds what there is. The artifact is opened
        when the first chunk is asked for, and closed with the iterator.

        Raises:
            ArtifactMissing: there is none of that name.
            JobError: the range begins or ends before the artifact does.
            SinkError: it cannot be read, or the name is refused.
        """
        ...

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        """Yield all whose artifact name begins with `prefix`, in no order.

        What is committed and what is staged alike, also what others stage at this moment.

        Raises:
            SinkError: the sink cannot be listed.
        """
        ...

    def remove(self, item: Stored) -> None:
        """Remove something permanently, with all its versions where the sink keeps such.

        Only that: what is staged or committed under the same name besides stays. What is gone
        already is no error.

        Raises:
            SinkError: it cannot be removed, or no such thing can be of this sink.
        """
        ...


@runtime_checkable
class SigningSink(Protocol):
    """A sink that can make links by which anybody may fetch one artifact for some time."""

    def signed_url(self, name: str, lifetime: timedelta) -> str:
        """Return a link to an artifact; whether there is such an artifact is not looked up.

        Args:
            name: the artifact's plain name.
            lifetime: how long the link works from now on, cut to whole seconds.

        Raises:
            JobError: no link of this sink can live so long, or it would be less than a second.
            SinkError: it cannot be signed, or the name is refused.
        """
        ...


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present moment as an aware datetime in UTC."""
        ...


class CancelToken(Protocol):
    """Something that a host sets to stop a run; `threading.Event` is one."""

    def is_set(self) -> bool:
        """Return whether the run should stop; several threads may ask."""
        ...


ProgressListener: TypeAlias = Callable[[Progress], object]
"""Called on the exporting thread, a few times a second, with how far the run is."""
