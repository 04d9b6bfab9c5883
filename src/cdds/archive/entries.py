"""The entries of an archive, all checked before the first is read.

Place: over the directory and the local headers. An archive is refused as a whole for one entry that
cannot be taken: what else it holds came from the same hands.
"""

from __future__ import annotations

import attrs

from cdds.archive.central import Central, Method, read_directory
from cdds.archive.ends import End
from cdds.archive.faults import shown
from cdds.archive.local import Extent, confirm
from cdds.archive.names import identity
from cdds.archive.parts import Parts
from cdds.errors import ArchiveError

_HARMLESS = 256 * 1024 * 1024


@attrs.frozen
class Limits:
    """How much an archive may ask of its reader.

    Attributes:
        entries: the most entries.
        directory: the most bytes of the central directory.
        size: the most bytes of all data together; None for no limit.
        ratio: how many times larger than the archive all data may be; it is not applied to data
            of less than 256 MiB. Records are seldom more than 30 times larger, a bomb a thousand.
    """

    entries: int = 100_000
    directory: int = 16 * 1024 * 1024
    size: int | None = None
    ratio: int = 250


@attrs.frozen
class ArchivedEntry:
    """An entry of an archive that is read.

    Attributes:
        name: its path, with ``/``; that of a folder ends with one.
        size: the bytes of its data.
        compressed_size: the bytes of its data in the archive.
        crc: the CRC-32 of its data.
        method: how its data are compressed.
        start: where its local header begins, over all parts of the archive.
        data_offset: where its data begin.
        end: where its data, or the descriptor after them, end.
    """

    name: str
    size: int
    compressed_size: int
    crc: int
    method: Method
    start: int = attrs.field(repr=False)
    data_offset: int = attrs.field(repr=False)
    end: int = attrs.field(repr=False)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, which has no data."""
        return self.name.endswith("/")


def read_entries(parts: Parts, end: End, limits: Limits) -> tuple[ArchivedEntry, ...]:
    """Return all entries, in the order of the directory.

    Raises:
        ArchiveError: one of them is malformed, unsafe or unsupported, or they break a limit.
    """
    _check_bounds(end, limits)
    centrals = list(read_directory(parts, end))
    _check_distinct(centrals)
    _check_total(sum(central.size for central in centrals), parts.size, limits)
    extents = _confirmed(parts, centrals, end)
    return tuple(_entry(central, extents[central.name]) for central in centrals)


def _confirmed(parts: Parts, centrals: list[Central], end: End) -> dict[str, Extent]:
    """Return what each entry takes, by its name.

    Whatever order the directory has, entries are looked at in the order in which they stand: some
    parts can be read fast forward only.
    """
    in_order = sorted(centrals, key=lambda central: central.offset)
    limits = [*(central.offset for central in in_order[1:]), end.start]
    return {
        central.name: confirm(parts, central, limit)
        for central, limit in zip(in_order, limits, strict=False)
    }


def _entry(central: Central, extent: Extent) -> ArchivedEntry:
    return ArchivedEntry(
        central.name,
        central.size,
        central.compressed,
        central.crc,
        central.method,
        extent.start,
        extent.data,
        extent.end,
    )


def _check_bounds(end: End, limits: Limits) -> None:
    if end.entries > limits.entries:
        raise ArchiveError(
            f"the archive has {end.entries} entries, and at most {limits.entries} are read; "
            "a higher limit can be given"
        )
    if end.size > limits.directory:
        raise ArchiveError(
            f"the central directory has {end.size} bytes, and at most {limits.directory} are "
            "read; a higher limit can be given"
        )


def _check_total(size: int, archive_size: int, limits: Limits) -> None:
    if limits.size is not None and size > limits.size:
        raise ArchiveError(
            f"the data of all entries have {size} bytes, and at most {limits.size} are allowed"
        )
    if size > max(_HARMLESS, limits.ratio * archive_size):
        raise ArchiveError(
            f"the data of all entries are more than {limits.ratio} times larger than the archive, "
            "as those of a bomb are; a higher limit can be given"
        )


def _check_distinct(centrals: list[Central]) -> None:
    seen: dict[bytes, Central] = {}
    for central in centrals:
        first = seen.setdefault(identity(central.name), central)
        if first is not central:
            raise ArchiveError(
                f"entries {shown(first.name)} and {shown(central.name)} have one name, or names "
                "that some file systems take for one; nothing was read from the archive"
            )
