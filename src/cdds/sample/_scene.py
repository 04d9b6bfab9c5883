"""The scene of an interaction: which kind it is, who got in touch, from when to when.

Place: above `_mix` and `_people`, below `_kinds`. It refuses time frames that hold no instant.
The kind is the first thing drawn, so that `kind_at` can tell it without making the rest.
"""

from datetime import UTC, datetime, timedelta
from random import Random

import attrs

from cdds.sample import _people, _seeds
from cdds.sample._mix import Kind, Mix
from cdds.sample._people import Person

START = datetime(2025, 1, 1, tzinfo=UTC)
END = datetime(2026, 1, 1, tzinfo=UTC)


@attrs.frozen(kw_only=True)
class Scene:
    """What is known of an interaction before its kind adds to it."""

    seed: int
    index: int
    ixnid: str
    kind: Kind
    rng: Random
    client: Person
    started: datetime
    ended: datetime


def kind_at(index: int, seed: int, mix: Mix) -> Kind:
    """Tell the kind of the interaction with this index."""
    return mix.kind_at(_stream(seed, index).random())


def scene(index: int, seed: int, mix: Mix, frame: tuple[datetime, datetime]) -> Scene:
    """Set the scene of the interaction with this index, within a time frame.

    Raises:
        ValueError: when the time frame is empty, or a border of it has no time zone.
    """
    rng = _stream(seed, index)
    kind = mix.kind_at(rng.random())
    started = _seeds.moment(rng, *frame)
    return Scene(
        seed=seed,
        index=index,
        ixnid=_seeds.identifier(_seeds.INTERACTION, seed, index),
        kind=kind,
        rng=rng,
        client=_people.customer(rng, seed),
        started=started,
        ended=started + timedelta(milliseconds=rng.randrange(5_000, _LASTS[kind])),
    )


def _stream(seed: int, index: int) -> Random:
    return _seeds.stream(seed, "interaction", index)


_LASTS = {
    Kind.EMAIL_IN: 9 * 3_600_000,
    Kind.EMAIL_OUT: 3_600_000,
    Kind.CHAT: 2_400_000,
    Kind.VOICE: 1_200_000,
    Kind.CALLBACK: 600_000,
    Kind.COBROWSE: 1_800_000,
    Kind.SOCIAL: 7_200_000,
}
"""How long an interaction of a kind lasts at most, in milliseconds."""
