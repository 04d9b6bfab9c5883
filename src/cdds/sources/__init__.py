"""Where records come from: memory, files of JSON in folders and object stores, databases.

Place: at the start of the pipeline. A source opens a snapshot and yields; it does not validate,
and what it cannot read it refuses with one clear error.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cdds.errors import JobError
from cdds.protocols import Source
from cdds.sources.json_array import JsonArray
from cdds.sources.json_lines import JsonLines
from cdds.sources.memory import Records

if TYPE_CHECKING:
    from cdds.sources.contact_history import ContactHistory
    from cdds.sources.sql import Sql

__all__ = ["ContactHistory", "JsonArray", "JsonLines", "Records", "Sql", "open_source"]

_LATE = {"ContactHistory": "contact_history", "Sql": "sql"}
"""What loads SQLAlchemy, and so is loaded when it is used."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)


def open_source(target: str | Source, **options: Any) -> Source:
    """Return the source for a URL, or the source itself.

    A URL begins with the name of a plugin: that of ``ucs`` is given what follows the plus in
    ``ucs+postgresql://host/database``, and that of ``crm`` the whole of ``crm://host/x``.

    Args:
        target: a URL, or a source.
        options: passed to the plugin; ``password`` is the one for a secret.

    Raises:
        JobError: it is no source and no such URL, there is no plugin of that name (the message
            lists those that there are), or the plugin does not take these options.
        PluginError: the plugin is broken, or several distributions offer one of that name.
        CddsError: the plugin refuses the URL.
    """
    if not isinstance(target, str):
        if isinstance(target, type) or not callable(getattr(target, "snapshot", None)):
            raise JobError("a source is one of cdds.sources, such as JsonLines(...), or a URL")
        if options:
            raise JobError("a source that is open already takes no options")
        return target
    from cdds import plugins  # looks at what is installed, which files need not

    found = plugins.addressed(target)
    if found is None:
        raise JobError(
            "a source's URL begins with the name of a plugin, as in crm://host or "
            "ucs+postgresql://host/database; files are given as JsonLines or JsonArray"
        )
    name, url = found
    source: Source = plugins.get("source", name).open(url, options)
    return source
