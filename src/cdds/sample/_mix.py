"""Which kinds of interaction a sample holds, and how many of each.

Place: the ground of the package. It refuses weights that no stream could follow.
"""

import math
from bisect import bisect
from enum import Enum
from itertools import accumulate
from typing import ClassVar

import attrs
from attrs.validators import ge


class Kind(Enum):
    """A kind of interaction; its value is the name of its weight in a `Mix`."""

    EMAIL_IN = "email_in"
    EMAIL_OUT = "email_out"
    CHAT = "chat"
    VOICE = "voice"
    CALLBACK = "callback"
    COBROWSE = "cobrowse"
    SOCIAL = "social"

    @property
    def is_email(self) -> bool:
        """Whether records of this kind carry a mail, and so may have documents."""
        return self in (Kind.EMAIL_IN, Kind.EMAIL_OUT)


_KINDS = tuple(Kind)


@attrs.frozen(kw_only=True)
class Mix:
    """How often each kind of interaction occurs: weights, of which only the proportions count.

    Start from a named one and change it with `attrs.evolve`, or give your own weights.

    Raises:
        ValueError: when a weight is negative, or when they do not add up to a positive number.
    """

    DEFAULT: ClassVar["Mix"]
    """A busy contact centre: half calls, a quarter mail, the rest everything else."""
    EMAIL_HEAVY: ClassVar["Mix"]
    """Mostly mail with base64 content: tens of kilobytes a record."""
    CHAT_HEAVY: ClassVar["Mix"]
    """Mostly chat transcripts: two to six kilobytes a record."""
    VOICE: ClassVar["Mix"]
    """Calls only: a few hundred bytes a record."""

    email_in: float = attrs.field(default=0.0, validator=ge(0))
    email_out: float = attrs.field(default=0.0, validator=ge(0))
    chat: float = attrs.field(default=0.0, validator=ge(0))
    voice: float = attrs.field(default=0.0, validator=ge(0))
    callback: float = attrs.field(default=0.0, validator=ge(0))
    cobrowse: float = attrs.field(default=0.0, validator=ge(0))
    social: float = attrs.field(default=0.0, validator=ge(0))

    def __attrs_post_init__(self) -> None:
        total = sum(self.weights.values())
        if not (math.isfinite(total) and total > 0):
            raise ValueError(f"the weights of a mix must add up to a positive number, not {total}")

    @property
    def weights(self) -> dict[Kind, float]:
        """The weight of each kind, those without any weight included."""
        return {kind: getattr(self, kind.value) for kind in _KINDS}

    def kind_at(self, fraction: float) -> Kind:
        """Find the kind that owns this point of the mix, laid out from 0 to 1 (exclusive)."""
        bounds = list(accumulate(self.weights.values()))
        return _KINDS[bisect(bounds, fraction * bounds[-1], hi=len(bounds) - 1)]


Mix.DEFAULT = Mix(email_in=16, email_out=9, chat=18, voice=50, callback=3, cobrowse=1, social=3)
Mix.EMAIL_HEAVY = Mix(email_in=55, email_out=33, chat=6, voice=5, social=1)
Mix.CHAT_HEAVY = Mix(email_in=1, chat=88, voice=6, cobrowse=1, social=4)
Mix.VOICE = Mix(voice=1)
