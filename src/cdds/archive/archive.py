"""`Archive`: the entries of a ZIP archive, of one part or several, and their data.

Place: the reading side, for whoever opened the parts. All entries are checked when it is made, so
an archive that holds anything unsafe, contradictory or unsupported gives out nothing. Data are
proven by size and CRC-32 when they have been read to their end, and not before; neither protects
against forgery.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator, Sequence

from isal import isal_zlib

from cdds.archive.ends import read_end
from cdds.archive.entries import ArchivedEntry, Limits, read_entries
from cdds.archive.faults import shown
from cdds.archive.inflate import (
    SYNC_FLUSH,
    Block,
    BlockOffsets,
    block_at,
    inflate,
    inflate_blocks,
)
from cdds.archive.joining import joined
from cdds.archive.parts import Part, Parts
from cdds.errors import ArchiveError

_NO_LIMITS_GIVEN = Limits()


class Archive:
    """A ZIP archive that can be read anywhere.

    Its parts are one file; or the segments of a split set, in order, the ``.zip`` last; or the
    volumes of a file that was simply cut (``.zip.001``, …).

    Attributes:
        entries: all entries, folders too, in the order of the central directory.

    Raises:
        ArchiveError: the archive is malformed, incomplete, unsafe to extract, unsupported, or
            larger than the limits; the message names the entry or the part, and the rule.

    >>> archive = Archive(parts)
    >>> for entry in archive.entries:
    ...     for data in archive.open(entry):
    ...         digest.update(data)
    """

    def __init__(self, parts: Iterable[Part], limits: Limits = _NO_LIMITS_GIVEN) -> None:
        self._parts = Parts(tuple(parts))
        self._end = read_end(self._parts)
        self.entries = read_entries(self._parts, self._end, limits)

    def open(
        self,
        entry: ArchivedEntry,
        *,
        block_offsets: BlockOffsets | None = None,
        start: int = 0,
        threads: int | None = None,
    ) -> Generator[bytes]:
        """Yield the data of an entry; the last piece comes only when size and CRC-32 are right.

        Args:
            entry: one of `entries`.
            block_offsets: where its deflate blocks begin. With them they are inflated on threads,
                and `start` is reached without reading what lies before.
            start: the first byte that is wanted.
            threads: how many threads inflate blocks; by default two to four.

        With `block_offsets` and a `start` beyond the first block the CRC-32 cannot be checked:
        only sizes and the form of each block are.

        Raises:
            ArchiveError: the data are damaged, or their size or CRC-32 is not what the archive
                says. What was yielded before was not proven. Errors of a part pass through.
        """
        if not 0 <= start <= entry.size:
            raise ArchiveError(f"entry {shown(entry.name)} has no byte {start}")
        if block_offsets is not None and entry.method == "stored":
            raise ArchiveError(f"entry {shown(entry.name)} is stored, so it has no deflate blocks")
        if block_offsets is None or not entry.size:
            return self._reported(entry, _from(start, _proven(entry, self._pieces(entry))))
        return self._reported(entry, self._block_data(entry, block_offsets, start, threads))

    def joined(self) -> Iterator[bytes]:
        """Yield the bytes of the archive as one plain file, with all data as they are compressed.

        One file, and one that was simply cut, comes as it is. Nothing is proven by it: whoever
        writes it down may open that file, and read its entries to their ends.

        Raises:
            ArchiveError: an entry has no room for its new offset. Errors of a part pass through.
        """
        return joined(self._parts, self._end, self.entries)

    def _pieces(self, entry: ArchivedEntry) -> Iterator[bytes]:
        chunks = self._parts.chunks(entry.data_offset, entry.compressed_size)
        return chunks if entry.method == "stored" else inflate(chunks)

    def _block_data(
        self, entry: ArchivedEntry, offsets: BlockOffsets, start: int, threads: int | None
    ) -> Iterator[bytes]:
        blocks = offsets.blocks(entry.size, entry.compressed_size)
        self._check_order(entry, blocks)

        def read(offset: int, size: int) -> bytes:
            return self._parts.read(entry.data_offset + offset, size)

        first = block_at(blocks, start)
        pieces = inflate_blocks(blocks, read, first, threads)
        if first == 0:
            yield from _from(start, _proven(entry, pieces))
        else:
            yield from _from(start - blocks[first].start, pieces)

    def _check_order(self, entry: ArchivedEntry, blocks: Sequence[Block]) -> None:
        """Name a part that is not where it belongs, before any data are given out.

        Nothing in a part that only holds data says which one it is; but a block must end where
        the offsets say, and one of each part is looked at.
        """
        first = self._parts.number(entry.data_offset)
        last = self._parts.number(entry.data_offset + entry.compressed_size - 1)
        ends = [entry.data_offset + block.compressed_start for block in blocks[1:]]
        for number in range(first, last + 1):
            start = self._parts.starts[number - 1]
            at = bisect_left(ends, start + len(SYNC_FLUSH))
            if at == len(ends) or self._parts.number(ends[at] - 1) != number:
                continue  # no block ends in it
            if self._parts.read(ends[at] - len(SYNC_FLUSH), len(SYNC_FLUSH)) != SYNC_FLUSH:
                raise ArchiveError(
                    f"part {number} of {len(self._parts)} is damaged, not in its place, or of "
                    "another archive: no deflate block ends where the block offsets say"
                )

    def _reported(self, entry: ArchivedEntry, data: Iterator[bytes]) -> Generator[bytes]:
        """Yield data; what is found wrong with them is told with the entry and its parts."""
        try:
            yield from data
        except ArchiveError as error:
            first = self._parts.number(entry.data_offset)
            last = self._parts.number(entry.data_offset + max(0, entry.compressed_size - 1))
            where = f" in parts {first} to {last} of {len(self._parts)}" if first < last else ""
            raise ArchiveError(
                f"entry {shown(entry.name)}{where}: {error}; fetch the archive again"
            ) from None


def _proven(entry: ArchivedEntry, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces, the last one only when all together have the size and CRC-32 they should."""
    crc = size = 0
    held = b""
    for piece in pieces:
        size += len(piece)
        if size > entry.size:
            raise ArchiveError(
                f"its data have more than the {entry.size} bytes that are stated (APPNOTE 4.4.9)"
            )
        if held:
            yield held
        crc = isal_zlib.crc32(piece, crc)
        held = piece
    if size < entry.size:
        raise ArchiveError(
            f"its data have {size} bytes, and {entry.size} are stated (APPNOTE 4.4.9)"
        )
    if crc != entry.crc:
        raise ArchiveError("the CRC-32 of its data is not the one that is stated (APPNOTE 4.4.7)")
    if held:
        yield held


def _from(start: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Leave out the first bytes."""
    for piece in pieces:
        if start < len(piece):
            yield piece[start:]
        start = max(0, start - len(piece))
