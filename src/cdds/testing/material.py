"""Records to test a source with, for any dataset: made from its schemas.

Place: below the contract of sources. What is made is valid as far as types and ``enum`` say; a
schema that says more is met by `SourceContract.value`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeAlias

import attrs

from cdds.model import DataFile

Record: TypeAlias = Mapping[str, Any]
Value: TypeAlias = Callable[[DataFile, str, int], Any]
"""Makes the value of a property of the record of a number."""

BORDERS = tuple(
    datetime(2025, month, day, hour, tzinfo=UTC)
    for month, day, hour in ((1, 1, 0), (3, 30, 1), (3, 30, 2), (12, 31, 23))
)
"""Where windows begin and end; between the second and the third, clocks change in Europe."""

_ZONES = (UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8)))
_SAMPLES: Mapping[str, Callable[[str, int], Any]] = {
    # What breaks formats: separators, quotes, line ends, what is no ASCII, blanks at the ends.
    "string": lambda name, number: f' {name} "{number}";\n\tä,€|\U0001f4ec\' ',
    "integer": lambda _, number: number,
    "number": lambda _, number: number + 0.5,
    "boolean": lambda _, number: number % 2 == 0,
    "object": lambda name, number: {name: [number, None, {"deeper": "ä"}]},
    "array": lambda name, number: [name, number],
}


@attrs.frozen
class Dated:
    """A record, and the moment that a time frame should see in it; None where it has none."""

    record: Record
    moment: datetime | None


@attrs.frozen
class Many:
    """So many records, each made when it is asked for, as often as one likes."""

    make: Callable[[int], Record]
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Record]:
        return map(self.make, range(1, self.count + 1))


def value_by_schema(file: DataFile, name: str, number: int) -> Any:
    """Return a value that the property's type allows."""
    stated = file.properties.get(name, {})
    if "enum" in stated:
        return stated["enum"][number % len(stated["enum"])]
    kinds = stated.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return next(_SAMPLES[kind](name, number) for kind in kinds if kind != "null")


def key(file: DataFile, number: int) -> Any:
    """Return the key of the record of that number."""
    stated = file.properties.get(str(file.key), {})
    return number if stated.get("type") == "integer" else f"{number:06}"


def record(file: DataFile, value: Value, number: int, **stated: Any) -> dict[str, Any]:
    """Return a record: every second one has all properties, the others what is needed.

    Args:
        file: the data file that it is for.
        value: makes the values.
        number: tells it from the others.
        stated: values that it has in any case; None leaves one out.
    """
    roles = {file.key, file.parent_key, file.media_type, *file.timestamps}
    properties = file.properties
    names = properties if number % 2 else file.schema.get("required", ())
    made = {name: value(file, name, number) for name in names if name not in roles}
    if file.key is not None:
        made[file.key] = key(file, number)
    made |= {name: value for name, value in stated.items() if value is not None}
    return made


def dated(file: DataFile, value: Value, resolution: timedelta) -> list[Dated]:
    """Return records at all borders, just before and after them, in several zones, and undated.

    Args:
        file: a data file with timestamps.
        value: makes the values of the other properties.
        resolution: the least time between two moments that are told apart.
    """
    first, *others = file.timestamps
    stated: list[tuple[dict[str, Any], datetime | None]] = [({}, None), ({}, None)]
    for border in BORDERS:
        around = (border - resolution, border, border, border + resolution)
        places = [*((moment, UTC) for moment in around), *((border, zone) for zone in _ZONES)]
        stated += [({first: written(moment, zone, resolution)}, moment) for moment, zone in places]
        for other in others:
            late = written(border + timedelta(days=40), UTC, resolution)
            text = written(border, UTC, resolution)
            stated.append(({other: text}, border))
            stated.append(({first: text, other: late}, border))
    return [
        Dated(record(file, value, number, **values), moment)
        for number, (values, moment) in enumerate(stated, start=1)
    ]


def written(moment: datetime, zone: timezone, resolution: timedelta) -> str:
    """Return a moment in ISO 8601, as exactly as `resolution` needs."""
    is_fine = resolution < timedelta(milliseconds=1)
    text = moment.astimezone(zone).isoformat(timespec="microseconds" if is_fine else "milliseconds")
    return text.replace("+00:00", "Z")
