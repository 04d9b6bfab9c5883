"""Parts of archives for the reading side, in memory, and what comes out of a whole archive."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

import attrs

from cdds.archive import Archive, ArchivedEntry, BlockOffsets, Entry, Limits, PackedEntry, Segment

_BLOCK = 1_000_000


@attrs.frozen
class MemoryPart:
    """A part in memory."""

    data: bytes = attrs.field(repr=False)

    @property
    def size(self) -> int:
        """The bytes of the part."""
        return len(self.data)

    def read(self, offset: int, size: int, /) -> bytes:
        """Return bytes of the part."""
        assert 0 <= offset <= offset + size <= len(self.data)
        return self.data[offset : offset + size]


@attrs.define
class CountingPart:
    """A part that counts the bytes that are read."""

    data: bytes = attrs.field(repr=False)
    count: int = 0

    @property
    def size(self) -> int:
        """The bytes of the part."""
        return len(self.data)

    def read(self, offset: int, size: int, /) -> bytes:
        """Return bytes of the part."""
        self.count += size
        return self.data[offset : offset + size]


def opened(*parts: bytes, limits: Limits | None = None) -> Archive:
    """Return the archive that parts are."""
    return Archive(map(MemoryPart, parts), limits or Limits())


def opened_files(paths: Iterable[Path]) -> Archive:
    """Return the archive that files are, given in order."""
    return opened(*(path.read_bytes() for path in paths))


def data_of(archive: Archive, entry: ArchivedEntry) -> bytes:
    """Return the data of an entry."""
    return b"".join(archive.open(entry))


def contents(archive: Archive) -> dict[str, bytes]:
    """Return the data of all entries."""
    return {entry.name: data_of(archive, entry) for entry in archive.entries}


def read(*parts: bytes) -> dict[str, bytes]:
    """Return what an archive of these parts holds."""
    return contents(opened(*parts))


def saved(segments: Iterable[Segment]) -> list[bytes]:
    """Return the bytes of each segment that a packager makes."""
    return [b"".join(segment.chunks) for segment in segments]


def entry_of(name: str, data: bytes) -> Entry:
    """Return an entry to pack that comes in blocks, so that a long one is streamed."""
    return Entry(name, [data[at : at + _BLOCK] for at in range(0, len(data), _BLOCK)])


def block_offsets(packed: PackedEntry) -> BlockOffsets:
    """Return where the blocks of an entry begin, as the manifest lists them."""
    data, compressed = (
        tuple(accumulate(sizes, initial=0))[:-1]
        for sizes in (packed.block_sizes, packed.block_compressed_sizes)
    )
    return BlockOffsets(data, compressed)
