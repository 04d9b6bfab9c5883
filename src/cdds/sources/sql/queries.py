"""Queries as a database understands them, and the columns that they give.

Place: below the sources of SQL, which have the queries; what is selected of their rows comes after.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import TypeAlias

from sqlalchemy import Dialect, FromClause, SelectBase, exc, select

from cdds.database import is_sayable
from cdds.errors import SourceError
from cdds.model import Dataset
from cdds.sources.sql.columns import columns_of
from cdds.sources.sql.selecting import Extract
from cdds.sources.sql.session import Session

Query: TypeAlias = "str | FromClause | SelectBase"
"""A SELECT as a text, or a table or a select of SQLAlchemy."""


def compiled(query: Query, data_file: str, dialect: Dialect) -> str:
    """Return a query as a text, in the dialect of a database.

    Raises:
        SourceError: it is no query.
    """
    if isinstance(query, str):
        text = _trimmed(query, data_file)
    else:
        text = _written_out(query, data_file, dialect)
    if not is_sayable(text):
        raise SourceError(
            f"data file {data_file}: its query holds a null character, or is no UTF-8, so no "
            "database can be told it"
        )
    return text


def _trimmed(query: str, data_file: str) -> str:
    text = query.strip().rstrip(string.whitespace + ";")
    if not text:
        raise SourceError(f"data file {data_file}: its query is empty; give a SELECT")
    return text + "\n"  # a comment at its end would swallow what is put after it


def _written_out(query: FromClause | SelectBase, data_file: str, dialect: Dialect) -> str:
    statement = select(query) if isinstance(query, FromClause) else query
    if not isinstance(statement, SelectBase):
        raise SourceError(
            f"data file {data_file}: a query is a SELECT as a text, or a table or a select of "
            "SQLAlchemy"
        )
    try:
        # Written out, a parameter without a value would be NULL, and find nothing.
        statement.compile(dialect=dialect).construct_params()
        return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    except exc.SQLAlchemyError as error:
        kind = type(error).__name__
    raise SourceError(
        f"data file {data_file}: its query cannot be written out ({kind}); its parameters must be "
        "values that SQL can write"
    )


def described(session: Session, queries: Mapping[str, str], dataset: Dataset) -> dict[str, Extract]:
    """Return the rows of each data file that there is a query for, parents first."""
    return {
        file.name: Extract(
            file, queries[file.name], columns_of(file, session.describe(queries[file.name]))
        )
        for file in dataset.files
        if file.name in queries
    }
