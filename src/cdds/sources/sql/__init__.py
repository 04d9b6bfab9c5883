"""Databases as sources: queries of SQLite and PostgreSQL, read in one consistent snapshot.

Place: a source among others. It reads in one transaction that only reads, and writes nothing.
"""

from cdds.sources.sql.source import Sql

__all__ = ["Sql"]
