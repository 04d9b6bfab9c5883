"""Names and texts as both databases of this room write them in SQL.

Place: the ground of this room.
"""

from __future__ import annotations


def identifier(name: str) -> str:
    """Return a name of a table or a column as SQL writes it, whatever it holds."""
    return '"{}"'.format(name.replace('"', '""'))


def qualified(table: str, schema: str | None) -> str:
    """Return a table as SQL writes it, with its schema if that is given."""
    return identifier(table) if schema is None else f"{identifier(schema)}.{identifier(table)}"


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'{}'".format(text.replace("'", "''"))
