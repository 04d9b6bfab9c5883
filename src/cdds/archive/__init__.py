"""ZIP archives, streamed: entries in, segments out; and read again, from any file of a set.

Place: between the records and the envelope. Turns bytes into bytes; opens no file, asks no clock.
"""

from cdds.archive.archive import Archive
from cdds.archive.entries import ArchivedEntry, Limits
from cdds.archive.inflate import BlockOffsets
from cdds.archive.packager import Entry, Packager, PackedEntry
from cdds.archive.parts import Part
from cdds.archive.split import Segment

__all__ = [
    "Archive",
    "ArchivedEntry",
    "BlockOffsets",
    "Entry",
    "Limits",
    "Packager",
    "PackedEntry",
    "Part",
    "Segment",
]
