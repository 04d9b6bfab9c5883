"""Records on their way: select, validate and serialise them, one line each.

Place: between a source's snapshot and the archive. Lines in, lines out; nothing is opened here.
"""

from cdds.records.gate import Change, Gate
from cdds.records.keys import KeySet
from cdds.records.serialise import json_of_value, lines_of
from cdds.records.tally import Tally
from cdds.records.told import ToldKey
from cdds.records.verdict import Verdict

__all__ = ["Change", "Gate", "KeySet", "Tally", "ToldKey", "Verdict", "json_of_value", "lines_of"]
