"""What is wrong with a file that cannot be decompressed.

Place: the ground of the sources, so that opening a file need not load what decompresses.
"""

from __future__ import annotations


class Damaged(Exception):  # never leaves this room
    """A compressed file is damaged; the text says how, and holds nothing of the file."""
