"""Joins the segments of a split archive into one plain file, after PKWARE APPNOTE 6.3.10.

Place: beside `Archive`, over entries that are checked. Compressed data are copied as they are, and
so are local headers and descriptors, which say nothing of places: block offsets within an entry
stay true. Only the central directory and the end records are written anew. It proves no data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cdds.archive.appnote import Directory, Place
from cdds.archive.directory import raw_headers
from cdds.archive.ends import End
from cdds.archive.entries import ArchivedEntry
from cdds.archive.parts import Parts


def joined(parts: Parts, end: End, entries: Sequence[ArchivedEntry]) -> Iterator[bytes]:
    """Yield the bytes of the archive as one file, in pieces of moderate size.

    An archive whose offsets count over all parts is one file already: it is given as it stands.
    From a split one all is left out that no entry takes, and the archive's comment.

    Args:
        parts: the archive.
        end: where its directory is.
        entries: all of its entries, in the order of the directory.

    Raises:
        ArchiveError: an entry has no room for its new offset. Errors of a part pass through.
    """
    if not end.split:
        yield from parts.chunks(0, parts.size)
        return
    places: dict[int, int] = {}  # the new ones by the old ones
    start = 0
    for entry in sorted(entries, key=lambda entry: entry.start):
        places[entry.start] = start
        start += entry.end - entry.start
        yield from parts.chunks(entry.start, entry.end - entry.start)
    headers = zip(raw_headers(parts, end), entries, strict=True)
    directory = b"".join(raw.moved(places[entry.start]) for raw, entry in headers)
    yield directory
    said = Directory(Place(0, start), len(directory), len(entries), len(entries))
    yield said.end(Place(0, start + len(directory)))
