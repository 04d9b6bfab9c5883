"""Lays an archive out over segments, as PKWARE APPNOTE 6.3.10, section 8, wants split archives.

Place: the last step of the packager. It knows which bytes may be cut (entries' data) and which
may not (headers, descriptors, end records), decides on which segment each stands, and tells
headers their place. It knows nothing of compression, and never seeks: a segment's name must be
right when its first byte leaves, since an object store cannot rename.

A segment that is not the last is called ``.z01``, ``.z02``, …; the last is ``.zip``. Whether a
segment is the last is not known when it begins, so the start of each is held back: up to 16 MiB of
the first, 4 MiB of the others. An archive that ends later than that within a segment gets its
central directory in a ``.zip`` of its own. What fits in the held-back part of the first is a plain,
unsplit ``.zip``: one segment with the split marker cannot be opened by some readers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain, groupby
from operator import itemgetter
from typing import TypeAlias, TypeVar

import attrs

from cdds.archive.appnote import SPLIT_MARKER, Place

HELD_BACK = 16 * 1024 * 1024
_HELD_BACK_LATER = 4 * 1024 * 1024
"""Less, for what else an export remembers has grown by then; and no name depends on it but one."""


@attrs.frozen
class Record:
    """Bytes that must not be cut: at most `size`, rendered once their place is known.

    Rendering may happen twice, when a first segment turns out to be one of several.
    """

    size: int
    render: Callable[[Place], bytes]


Piece: TypeAlias = bytes | Record
Tail: TypeAlias = Callable[[], list[Piece]]
"""Makes the central directory and the end records, once all entries have been laid."""

_Laid: TypeAlias = tuple[int, bytes | memoryview]
_T = TypeVar("_T")


@attrs.frozen
class Segment:
    """One file of an archive: the end of its name, and its bytes, to be read before the next."""

    suffix: str
    chunks: Generator[bytes | memoryview]


class _Layout:
    """Places pieces one after another, and remembers where it stands."""

    def __init__(self, split_size: int | None) -> None:
        self._split_size = split_size
        self.disk = 0
        self.offset = 0

    def lay(self, pieces: Iterable[Piece]) -> Iterator[_Laid]:
        for piece in pieces:
            if isinstance(piece, Record):
                self._make_room(piece.size)
                data = piece.render(Place(self.disk, self.offset))
                self.offset += len(data)
                yield self.disk, data
            else:
                yield from self._lay_data(piece)

    def next_disk(self) -> None:
        self.disk += 1
        self.offset = 0

    def _make_room(self, size: int) -> None:
        if self._split_size is not None and self.offset + size > self._split_size:
            self.next_disk()

    def _lay_data(self, data: bytes) -> Iterator[_Laid]:
        rest: bytes | memoryview = data
        while self._split_size is not None and self.offset + len(rest) > self._split_size:
            room = self._split_size - self.offset
            if room:
                rest = memoryview(rest)
                yield self.disk, rest[:room]
                rest = rest[room:]
            self.next_disk()
        if rest:
            self.offset += len(rest)
            yield self.disk, rest


def lay_out(pieces: Iterable[Piece], tail: Tail, split_size: int | None) -> Iterator[Segment]:
    """Yield the segments of an archive of `pieces`, to which `tail` adds the central directory.

    Each segment's chunks must be read to their end before the next segment is asked for.
    """
    if split_size is None:
        yield Segment(".zip", _unsplit(pieces, tail))
        return
    held_back = min(split_size, HELD_BACK)
    pieces = iter(pieces)
    start, ended = _take(pieces, held_back)
    if ended:
        whole = list(_unsplit(start, tail))
        if sum(map(len, whole)) <= held_back:
            yield Segment(".zip", (data for data in whole))
            return
    pieces = chain([SPLIT_MARKER], _drain(start), pieces)
    yield from _split(pieces, tail, split_size, held_back)


def _unsplit(pieces: Iterable[Piece], tail: Tail) -> Generator[bytes | memoryview]:
    layout = _Layout(None)
    for _, data in layout.lay(pieces):
        yield data
    for _, data in layout.lay(tail()):
        yield data


def _drain(held: deque[_T]) -> Iterator[_T]:
    """Yield what was held back, letting go of each piece, for it may be megabytes."""
    while held:
        yield held.popleft()


def _take(pieces: Iterator[Piece], size: int) -> tuple[deque[Piece], bool]:
    """Take pieces until they are more than `size` bytes; also say whether that was all."""
    taken: deque[Piece] = deque()
    for piece in pieces:
        taken.append(piece)
        size -= piece.size if isinstance(piece, Record) else len(piece)
        if size < 0:
            return taken, False
    return taken, True


def _split(
    pieces: Iterable[Piece], tail: Tail, split_size: int, held_back: int
) -> Iterator[Segment]:
    layout = _Layout(split_size)
    held: deque[_Laid] = deque()
    for disk, laid in groupby(layout.lay(pieces), key=itemgetter(0)):
        if held:  # the segment before this one fitted in what is held back
            yield Segment(_suffix(held[0][0]), _bytes(_drain(held)))
        held, ended = _hold(laid, min(held_back, _HELD_BACK_LATER) if disk else held_back)
        if not ended:
            rest = chain(_drain(held), laid)  # noqa: B031  # goes on where _hold stopped
            yield Segment(_suffix(disk), _bytes(rest))
    if not held:  # the last segment has its name already, so the directory needs one of its own
        layout.next_disk()
    end = list(layout.lay(tail()))
    last = layout.disk
    for disk, laid in groupby(chain(held, end), key=itemgetter(0)):
        suffix = ".zip" if disk == last else _suffix(disk)
        yield Segment(suffix, _bytes(laid))


def _hold(laid: Iterator[_Laid], size: int) -> tuple[deque[_Laid], bool]:
    """Hold back the start of a segment; also say whether that was all of it."""
    held: deque[_Laid] = deque()
    for disk, data in laid:
        held.append((disk, data))
        size -= len(data)
        if size < 0:
            return held, False
    return held, True


def _bytes(laid: Iterable[_Laid]) -> Generator[bytes | memoryview]:
    return (data for _, data in laid)


def _suffix(disk: int) -> str:
    return f".z{disk + 1:02}"
