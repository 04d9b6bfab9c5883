"""Where chance and identifiers come from: a seed, a purpose, an index, and nothing else.

Place: the ground of the package. It refuses shared state: no two records draw from one stream of
chance, which is why a record can be made alone. `random.Random` hashes a text seed with SHA-512,
so the same text means the same stream in every process (``hash()`` would not).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count, product
from random import Random
from string import ascii_uppercase, digits

INTERACTION, DOCUMENT, CONTACT, ATTRIBUTE = "0002", "0003", "0000", "0001"

_MILLISECOND = timedelta(milliseconds=1)
_DIGITS = digits + ascii_uppercase
_RUN = 36**3
_STRIDE = 17_387  # coprime with 36: a walk over a run by this step meets each member once
_LOW = ["".join(triple) for triple in product(_DIGITS, repeat=3)]


def stream(seed: int, purpose: str, index: int) -> Random:
    """Open the stream of chance for one purpose of one record."""
    return Random(f"{seed}/{purpose}/{index}")  # noqa: S311  (no secret is made of it)


def indexes(count: int | range) -> range:
    """Give the indexes that a caller asks for: the first so many, or a range of them."""
    return count if isinstance(count, range) else range(count)


def identifier(prefix: str, seed: int, index: int) -> str:
    """Make a 16-character identifier, unique among all indexes of this prefix and seed."""
    run, place = divmod(index, _RUN)
    return prefix + _stem(seed, run) + _LOW[place * _STRIDE % _RUN]


def identifiers(prefix: str, seed: int) -> Iterator[str]:
    """Yield what `identifier` gives for 0, 1, 2, ..., at a fraction of the cost."""
    lows = [_LOW[place * _STRIDE % _RUN] for place in range(_RUN)]
    for run in count():
        yield from map((prefix + _stem(seed, run)).__add__, lows)


def moment(rng: Random, start: datetime, end: datetime) -> datetime:
    """Choose an instant of ``[start, end)``, a whole number of milliseconds after its start.

    Raises:
        ValueError: when there is no such instant, or the borders have no time zone.
    """
    if end <= start or start.utcoffset() is None:
        raise ValueError(f"no time frame with a time zone: from {start} to {end}")
    return start + timedelta(milliseconds=int((end - start) / _MILLISECOND * rng.random()))


def iso(instant: datetime) -> str:
    """Write an instant as the records do: ``2025-03-04T09:01:02.345Z``."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _stem(seed: int, run: int) -> str:
    return _base36((_region(seed) * 36**5 + run) % 36**9, 9)


@lru_cache(maxsize=64)
def _region(seed: int) -> int:
    return stream(seed, "identifiers", 0).randrange(36**4)


def _base36(number: int, width: int) -> str:
    text = ""
    for _ in range(width):
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text
