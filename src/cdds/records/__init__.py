"""Records on their way: select, validate and serialise them, one line each.

Place: between a source's snapshot and the archive. Lines in, lines out; nothing is opened here.
"""

from cdds.records.gate import Gate
from cdds.records.keys import KeySet
from cdds.records.serialise import lines_of
from cdds.records.tally import Tally

__all__ = ["Gate", "KeySet", "Tally", "lines_of"]
