"""A corpus of any size, as fast as memory allows: for benchmarks, not for truth.

Place: at the top of the package, beside `_interaction`, whose records it takes apart. It refuses
to keep a record whole: each line joins the front of one record (to its user data) with the back
of another of its kind, so subject and content need not match, and it has no documents. Every
line still is a valid interaction with an identifier of its own.

The fronts and the backs of a kind go round in circles of coprime length: a piece comes again only
after all others of its circle, well over a megabyte later, and a pair only after as many lines of
its kind as the product of both. No window of 32 KiB and no block of 1 MiB sees a piece twice.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, count, cycle, islice, repeat, tee

from cdds.sample import _seeds
from cdds.sample._interaction import interaction
from cdds.sample._lines import line
from cdds.sample._mix import Kind, Mix

_CHUNK = 1 << 20
_OPENING = b'{"IXNID":"'
_CUT = b',"ALLATTRIBUTES":'
_CIRCLES: Mapping[Kind, tuple[int, int]] = {
    Kind.EMAIL_IN: (509, 503),
    Kind.EMAIL_OUT: (401, 397),
    Kind.CHAT: (1511, 1499),
    Kind.VOICE: (8009, 7993),
    Kind.CALLBACK: (2003, 1999),
    Kind.COBROWSE: (2003, 1999),
    Kind.SOCIAL: (2003, 1999),
}
"""How many fronts and backs each kind has; coprime, and each circle longer than 1 MiB."""


def corpus(mix: Mix, size_bytes: int, seed: int = 0) -> Iterator[bytes]:
    """Yield chunks of about 1 MiB, each of whole lines, until at least so many bytes.

    The last line is the one that reaches the size. The first thousands of records are made one by
    one and remembered (some tens of megabytes); from then on it runs at memory speed.
    """
    lines = _lines(mix, seed)
    left = size_bytes
    while left > 0:
        chunk = _chunk(lines, min(left, _CHUNK))
        left -= len(chunk)
        yield chunk


def _chunk(lines: Iterator[bytes], size: int) -> bytes:
    taken, have = [], 0
    while have < size:
        taken.append(next(lines))
        have += len(taken[-1])
    return b"".join(taken)


def _lines(mix: Mix, seed: int) -> Iterator[bytes]:
    rng = _seeds.stream(seed, "corpus", 0)
    bodies = [_bodies(kind, seed) for kind in mix.weights]
    weights = list(mix.weights.values())
    turns = chain.from_iterable(rng.choices(bodies, weights, k=1024) for _ in repeat(None))
    identifiers = map(str.encode, _seeds.identifiers(_seeds.INTERACTION, seed))
    for identifier, (front, back) in zip(identifiers, map(next, turns), strict=False):
        yield b"%b%b%b%b" % (_OPENING, identifier, front, back)


def _bodies(kind: Kind, seed: int) -> Iterator[tuple[bytes, bytes]]:
    """Lines of one kind without their identifiers, in two pieces that need not belong together."""
    fronts, backs = tee(_pieces(kind, seed))
    front_circle, back_circle = _CIRCLES[kind]
    return zip(
        cycle(front for front, _ in islice(fronts, front_circle)),
        cycle(back for _, back in islice(backs, back_circle)),
        strict=False,
    )


def _pieces(kind: Kind, seed: int) -> Iterator[tuple[bytes, bytes]]:
    only = Mix(**{kind.value: 1.0})
    for index in count():
        whole = line(interaction(index, seed=seed, mix=only))
        cut = whole.index(_CUT)
        yield whole[len(_OPENING) + 16 : cut], whole[cut:]
