"""Sentences, paragraphs and the small facts in them: numbers, sums, dates, brand names.

Place: above the vocabularies, below everything that has text in it. It refuses to make sense; it
only has to read, and to compress, like what people write.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import TypeVar

from cdds.sample import _words
from cdds.sample._distant import JAPANESE, RUSSIAN
from cdds.sample._tongues import EUROPEAN, Pattern, Tongue

TONGUES = (*EUROPEAN, RUSSIAN, JAPANESE)
_WEIGHTS = [tongue.weight for tongue in TONGUES]

Item = TypeVar("Item")


def pick(rng: Random, items: Sequence[Item]) -> Item:
    """Choose one of the items: `Random.choice` at half the cost, and as even as text needs."""
    return items[int(rng.random() * len(items))]


def tongue(rng: Random) -> Tongue:
    """Choose the language of somebody."""
    return rng.choices(TONGUES, _WEIGHTS)[0]


def fill(rng: Random, pattern: Pattern, spoken: Tongue) -> str:
    """Return the pattern with something in each slot."""
    pieces = []
    for text, slot in pattern:
        pieces.append(text)
        if slot is not None:
            pieces.append(_filling(rng, slot, spoken))
    return "".join(pieces)


def _filling(rng: Random, slot: str, spoken: Tongue) -> str:
    if slot in _FACTS:
        return _FACTS[slot](rng)
    if slot != "n":
        return pick(rng, spoken.words[slot])
    if rng.random() < _COMPOUNDED:
        return fill(rng, pick(rng, spoken.compounds), spoken)
    return pick(rng, spoken.words["h"])


def sentence(rng: Random, spoken: Tongue, patterns: Sequence[Pattern]) -> str:
    """Fill one of the patterns, its first letter a capital."""
    text = fill(rng, pick(rng, patterns), spoken)
    return text[0].upper() + text[1:]


def paragraphs(rng: Random, spoken: Tongue, count: int) -> list[str]:
    """Make so many paragraphs of a mail, of two to six sentences each."""
    return [
        " ".join(sentence(rng, spoken, spoken.mail) for _ in range(rng.randrange(2, 7)))
        for _ in range(count)
    ]


def brand(rng: Random) -> str:
    """Make up the name of a product that nobody sells."""
    stem = pick(rng, _words.SYLLABLES) + pick(rng, _words.SYLLABLES) + pick(rng, _words.BRANDS)
    return f"{stem.capitalize()} {rng.randrange(100, 9900, 10)}"


def reference(rng: Random) -> str:
    """Make up the number of an order, a case or an invoice."""
    return f"{pick(rng, _LETTERS)}{pick(rng, _LETTERS)}-{int(rng.random() * 10**8):08}"


def money(rng: Random) -> str:
    """Make up a sum of euros, small ones more often than large ones."""
    return f"{rng.expovariate(1 / 140) + 1:.2f} EUR"


def day(rng: Random) -> str:
    """Make up a date as people write it."""
    return f"{int(rng.random() * 28) + 1}.{int(rng.random() * 12) + 1}."


def hour(rng: Random) -> str:
    """Make up a time of the working day."""
    return f"{int(rng.random() * 12) + 7}:{int(rng.random() * 60):02}"


def number(rng: Random) -> str:
    """Make up a long number: of a parcel, a device, an account."""
    return str(rng.randrange(10**9, 10 ** int(rng.random() * 10 + 10)))


_COMPOUNDED = 0.5
_LETTERS = "ABCDEFGHKLMNPRSTVXYZ"
_FACTS: Mapping[str, Callable[[Random], str]] = {
    "p": brand,
    "o": reference,
    "m": money,
    "k": number,
    "d": day,
    "t": hour,
}
