"""Contact History out of a UCS database.

Place: a source among others, on top of the source of SQL.
"""

from cdds.sources.contact_history.source import ContactHistory

__all__ = ["ContactHistory"]
