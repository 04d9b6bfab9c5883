"""The types of the catalog's columns, the same on every database.

Place: the ground of the catalog's tables.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """An aware datetime in UTC, to the microsecond.

    Args:
        none: what stands in the database for None, so that a column can be sorted by and paged
            through without the special rules of NULL; without it None is NULL.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def __init__(self, none: datetime | None = None) -> None:
        super().__init__()
        self.none = none

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the database's type: SQLite has no time zones."""
        return dialect.type_descriptor(DateTime(timezone=dialect.name != "sqlite"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what is sent to the database."""
        value = self.none if value is None else value.astimezone(UTC)
        return value.replace(tzinfo=None) if value and dialect.name == "sqlite" else value

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """Return what the database has, in UTC."""
        if value is None:
            return None
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return None if value == self.none else value


class Json(TypeDecorator[Any]):
    """A value as compact JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002
        """Return what is sent to the database."""
        return json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Return what the database has."""
        return None if value is None else json.loads(value)


def sortable() -> TypeEngine[str]:
    """Return a text that is sorted by code points on every database."""
    return Text().with_variant(Text(collation="C"), "postgresql")
