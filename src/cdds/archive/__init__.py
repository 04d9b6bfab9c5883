"""ZIP archives, streamed: entries in, segments out; and read again, from any file of a set.

Place: between the records and the envelope. Turns bytes into bytes; opens no file, asks no clock.
"""

from typing import TYPE_CHECKING

from cdds.archive.packager import Entry, Packager, PackedEntry
from cdds.archive.split import Segment
from cdds.lazy import loaded_when_used

if TYPE_CHECKING:
    from cdds.archive.archive import Archive
    from cdds.archive.entries import ArchivedEntry, Limits
    from cdds.archive.inflate import BlockOffsets
    from cdds.archive.parts import Part

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

# What only a recipient needs is not loaded to pack.
__getattr__ = loaded_when_used(
    __name__,
    {
        "Archive": "archive",
        "ArchivedEntry": "entries",
        "BlockOffsets": "inflate",
        "Limits": "entries",
        "Part": "parts",
    },
)
