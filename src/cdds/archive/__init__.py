"""ZIP archives, streamed: entries in, segments out.

Place: between the records and the envelope. Turns bytes into bytes; opens no file, asks no clock.
"""

from cdds.archive.packager import Entry, Packager, PackedEntry
from cdds.archive.split import Segment

__all__ = ["Entry", "Packager", "PackedEntry", "Segment"]
