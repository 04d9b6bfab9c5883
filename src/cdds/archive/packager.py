"""Packs entries into a ZIP archive, streamed: `Iterable[Entry]` in, `Iterator[Segment]` out.

Place: after the records, before the envelope. An entry's data is deflated on worker threads in
independent blocks; what each entry came to is reported when it ends, so that a later entry (the
manifest) can describe the earlier ones. An exception passes through unchanged, and an archive
whose entries did not end well never gets its central directory.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain

import attrs
from isal import isal_zlib

from cdds.archive import appnote
from cdds.archive.appnote import Directory, Header, Place, Sizes
from cdds.archive.deflate import FINAL_BLOCK, Block, Deflater
from cdds.archive.digest import Digest
from cdds.archive.levels import DeflateBlock
from cdds.archive.split import Piece, Record, Segment, lay_out
from cdds.errors import ArchiveError
from cdds.model import Level, checked_split_size, one_of

_MAX_NAME = 1024
_NO_SIZES = Sizes(0, 0, 0)
_NO_PLACE = Place(0, 0)


def _check_name(_: object, __: object, name: str) -> None:
    parts = name.split("/")
    if "" in parts or {".", ".."} & set(parts) or "\\" in name or not name.isprintable():
        raise ArchiveError(f"{name!r} is no relative path, so it cannot name an entry")
    if len(name.encode()) > _MAX_NAME:
        raise ArchiveError(f"an entry's name is longer than {_MAX_NAME} bytes")


@attrs.frozen
class Entry:
    """One file of an archive: its path, with ``/``, and its data.

    An entry whose data turn out to be empty is left out of the archive.
    """

    name: str = attrs.field(validator=_check_name)
    blocks: Iterable[Block] = attrs.field(repr=False)


@attrs.frozen
class PackedEntry:
    """What an entry came to.

    Attributes:
        name: its path in the archive.
        size: the bytes of its data.
        compressed_size: the bytes of its deflate stream.
        sha256: the SHA-256 of its data, in hexadecimal.
        block_sizes: the bytes of data in each deflate block.
        block_compressed_sizes: the bytes of each deflate block; all begin on a byte border.
    """

    name: str
    size: int
    compressed_size: int
    sha256: str
    block_sizes: array[int] = attrs.field(repr=False)
    block_compressed_sizes: array[int] = attrs.field(repr=False)


@attrs.define
class _Listed:
    """What the central directory says of an entry; its place is known once it has been laid."""

    header: Header
    sizes: Sizes = _NO_SIZES
    place: Place = _NO_PLACE

    def central_header(self) -> bytes:
        return appnote.central_header(self.header, self.sizes, self.place)


class _Packing:
    """The running sums of one entry while its blocks go by."""

    def __init__(self, listed: _Listed, digest: Digest) -> None:
        self.listed = listed
        self._crc = 0
        self._size = 0
        self._compressed = 0
        self._digest = digest
        self._block_sizes = array("L")
        self._block_compressed_sizes = array("L")

    def add(self, blocks: list[DeflateBlock]) -> bytes:
        """Take account of blocks and return their part of the deflate stream."""
        for block in blocks:
            self._crc = isal_zlib.crc32_combine(self._crc, block.crc, block.size)
            self._size += block.size
            self._compressed += len(block.compressed)
            self._block_sizes.append(block.size)
            self._block_compressed_sizes.append(len(block.compressed))
        return b"".join(block.compressed for block in blocks)

    def end(self) -> bytes:
        """Return the end of the deflate stream."""
        self._compressed += len(FINAL_BLOCK)
        self.listed.sizes = Sizes(self._crc, self._compressed, self._size)
        return FINAL_BLOCK

    def local_header(self) -> Record:
        listed = self.listed
        data = appnote.local_header(listed.header, listed.sizes)

        def render(place: Place) -> bytes:
            listed.place = place
            return data

        return Record(len(data), render)

    def descriptor(self) -> Record:
        data = appnote.data_descriptor(self.listed.sizes)
        return Record(len(data), lambda _: data)

    def packed(self) -> PackedEntry:
        return PackedEntry(
            self.listed.header.name.decode(),
            self._size,
            self._compressed,
            self._digest.hexdigest(),
            self._block_sizes,
            self._block_compressed_sizes,
        )


@attrs.frozen(kw_only=True)
class Packager:
    """How archives are packed.

    Attributes:
        level: compress for speed or for size.
        split_size: the most bytes of a segment, or a text such as ``"100 MB"``; None for one file.
        threads: how many threads deflate; by default two to four, as there are processors.
        modified: the time that entries bear.

    >>> packager = Packager(split_size=1_000_000)
    >>> for segment in packager.pack([Entry("a.txt", [b"some ", b"text"])]):
    ...     with open("archive" + segment.suffix, "wb") as file:
    ...         file.writelines(segment.chunks)
    """

    level: Level = attrs.field(default="fast", validator=one_of(Level))
    split_size: int | None = attrs.field(default=None, converter=checked_split_size)
    threads: int | None = None
    modified: datetime = datetime(1980, 1, 1, tzinfo=UTC)

    def pack(
        self,
        entries: Iterable[Entry],
        *,
        on_packed: Callable[[PackedEntry], object] = lambda _: None,
    ) -> Generator[Segment]:
        """Yield the segments of the archive; read each to its end before asking for the next.

        Args:
            entries: in the order in which they shall stand; the next is asked for when the one
                before it has been packed and reported.
            on_packed: called with each entry that is in the archive, when its data have ended.
        """
        directory: list[_Listed] = []
        with Deflater(self.level, self.threads) as deflater:
            pieces = self._pieces(entries, deflater, directory, on_packed)
            yield from lay_out(pieces, partial(_tail, directory), self.split_size)

    def _pieces(
        self,
        entries: Iterable[Entry],
        deflater: Deflater,
        directory: list[_Listed],
        on_packed: Callable[[PackedEntry], object],
    ) -> Iterator[Piece]:
        names: set[str] = set()
        for entry in entries:
            digest = Digest()
            steps = deflater.deflate(entry.blocks, digest)
            first = next(steps, None)
            if first is None:
                continue
            if entry.name in names:
                raise ArchiveError(f"two entries are named {entry.name}")
            names.add(entry.name)
            header = Header(entry.name.encode(), self.modified, streamed=True)
            packing = _Packing(_Listed(header), digest)
            directory.append(packing.listed)
            yield from _entry_pieces(packing, first, steps)
            on_packed(packing.packed())


def _entry_pieces(
    packing: _Packing, first: list[DeflateBlock], steps: Iterator[list[DeflateBlock]]
) -> Iterator[Piece]:
    data = packing.add(first)
    second = next(steps, None)
    if second is None:  # it is all there: plain sizes, which every reader understands
        data += packing.end()
        packing.listed.header = attrs.evolve(packing.listed.header, streamed=False)
        yield packing.local_header()
        yield data
        return
    yield packing.local_header()
    yield data
    for step in chain([second], steps):
        yield packing.add(step)
    yield packing.end()
    yield packing.descriptor()


def _tail(directory: list[_Listed]) -> list[Piece]:
    """Return the central directory and the end records, which tell where it begins."""
    headers = [listed.central_header() for listed in directory]
    places: list[Place] = []

    def render(header: bytes, place: Place) -> bytes:
        places.append(place)
        return header

    def end(place: Place) -> bytes:
        on_last = sum(1 for header_place in places if header_place.disk == place.disk)
        start = places[0] if places else place
        return Directory(start, sum(map(len, headers)), len(headers), on_last).end(place)

    pieces: list[Piece] = [Record(len(header), partial(render, header)) for header in headers]
    pieces.append(Record(appnote.MAX_END_SIZE, end))
    return pieces
