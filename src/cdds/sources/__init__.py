"""Where records come from: memory, JSON Lines and JSON arrays in files and object stores.

Place: at the start of the pipeline. A source opens a snapshot and yields; it does not validate,
and what it cannot read it refuses with one clear error.
"""

from cdds.sources.json_array import JsonArray
from cdds.sources.json_lines import JsonLines
from cdds.sources.memory import Records

__all__ = ["JsonArray", "JsonLines", "Records"]
