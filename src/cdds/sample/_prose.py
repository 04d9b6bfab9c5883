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
    """One of the items: `Random.choice` at half the cost, and as even as text needs."""
    return items[int(rng.random() * len(items))]


def tongue(rng: Random) -> Tongue:
    """The language of somebody."""
    return rng.choices(TONGUES, _WEIGHTS)[0]


def fill(rng: Random, pattern: Pattern, words: Mapping[str, Sequence[str]]) -> str:
    """The pattern with a word in each slot."""
    pieces = []
    for text, slot in pattern:
        pieces.append(text)
        if slot is not None:
            facts = _FACTS.get(slot)
            pieces.append(facts(rng) if facts else pick(rng, words[slot]))
    return "".join(pieces)


def sentence(rng: Random, spoken: Tongue, patterns: Sequence[Pattern]) -> str:
    """One filled pattern, its first letter a capital."""
    text = fill(rng, pick(rng, patterns), spoken.words)
    return text[0].upper() + text[1:]


def paragraphs(rng: Random, spoken: Tongue, count: int) -> list[str]:
    """So many paragraphs of a mail, of two to six sentences each."""
    return [
        " ".join(sentence(rng, spoken, spoken.mail) for _ in range(rng.randrange(2, 7)))
        for _ in range(count)
    ]


def brand(rng: Random) -> str:
    """The name of a product that nobody sells."""
    stem = pick(rng, _words.SYLLABLES) + pick(rng, _words.SYLLABLES) + pick(rng, _words.BRANDS)
    return f"{stem.capitalize()} {rng.randrange(100, 9900, 10)}"


def reference(rng: Random) -> str:
    """The number of an order, a case or an invoice."""
    return f"{pick(rng, _LETTERS)}{pick(rng, _LETTERS)}-{int(rng.random() * 10**8):08}"


def money(rng: Random) -> str:
    """A sum of euros, small ones more often than large ones."""
    return f"{rng.expovariate(1 / 140) + 1:.2f} EUR"


def day(rng: Random) -> str:
    """A date as people write it."""
    return f"{int(rng.random() * 28) + 1}.{int(rng.random() * 12) + 1}."


def hour(rng: Random) -> str:
    """A time of the working day."""
    return f"{int(rng.random() * 12) + 7}:{int(rng.random() * 60):02}"


_LETTERS = "ABCDEFGHKLMNPRSTVXYZ"
_FACTS: Mapping[str, Callable[[Random], str]] = {
    "p": brand,
    "o": reference,
    "m": money,
    "d": day,
    "t": hour,
}
