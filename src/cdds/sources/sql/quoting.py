"""Names and texts as both databases of this room write them in SQL.

Place: the ground of this room.
"""

from __future__ import annotations


def identifier(name: str) -> str:
    """Return a name of a table or a column as SQL writes it, whatever it holds."""
    return '"{}"'.format(name.replace('"', '""'))


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'{}'".format(text.replace("'", "''"))
