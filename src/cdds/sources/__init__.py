"""Where records come from: memory, files of JSON in folders and object stores, databases.

Place: at the start of the pipeline. A source opens a snapshot and yields; it does not validate,
and what it cannot read it refuses with one clear error.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cdds.sources.json_array import JsonArray
from cdds.sources.json_lines import JsonLines
from cdds.sources.memory import Records

if TYPE_CHECKING:
    from cdds.sources.contact_history import ContactHistory
    from cdds.sources.sql import Sql

__all__ = ["ContactHistory", "JsonArray", "JsonLines", "Records", "Sql"]

_LATE = {"ContactHistory": "contact_history", "Sql": "sql"}
"""What loads SQLAlchemy, and so is loaded when it is used."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
