"""Customers and agents: the same index is the same person, in every record that names one.

Place: above `_prose`. It refuses addresses that could reach anybody: domains are under
``.example`` (RFC 2606).
"""

from functools import lru_cache
from random import Random

import attrs

from cdds.sample import _seeds, _words
from cdds.sample._prose import pick, tongue
from cdds.sample._tongues import Tongue

KNOWN_CONTACTS = 1000
"""Interactions come from the first so many contacts of their seed."""

_DIALLING = {"en": "+44", "de": "+49", "fr": "+33", "ru": "+7", "ja": "+81"}


@attrs.frozen(kw_only=True)
class Person:
    """A customer, as the records know one."""

    contact_id: str
    tongue: Tongue
    first_name: str
    last_name: str
    email: str
    phone: str

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


@lru_cache(maxsize=KNOWN_CONTACTS)
def person(seed: int, index: int) -> Person:
    """Make the customer with this index."""
    rng = _seeds.stream(seed, "person", index)
    spoken = tongue(rng)
    first, _, latin_first = pick(rng, spoken.first_names).partition("/")
    last, _, latin_last = pick(rng, spoken.last_names).partition("/")
    return Person(
        contact_id=_seeds.identifier(_seeds.CONTACT, seed, index),
        tongue=spoken,
        first_name=first,
        last_name=last,
        email=_address(rng, latin_first or first, latin_last or last),
        phone=f"{_DIALLING[spoken.code]}{rng.randrange(10**8, 10**10)}",
    )


def customer(rng: Random, seed: int) -> Person:
    """Choose who got in touch this time; some do so much more often than others."""
    return person(seed, int(rng.random() ** 2 * KNOWN_CONTACTS))


def team_address(rng: Random) -> str:
    """Name the mailbox of a team in the contact centre."""
    return f"{pick(rng, _TEAMS)}@{pick(rng, _COMPANIES)}.example"


def _address(rng: Random, first: str, last: str) -> str:
    joint = pick(rng, (".", "_", "-", ""))
    local = f"{first}{joint}{last}{pick(rng, ('', str(rng.randrange(1, 99))))}".lower()
    return f"{local}@{pick(rng, _words.PLACES).lower()}.example"


_TEAMS = ("service", "support", "billing", "orders", "returns", "contracts", "care")
_COMPANIES = ("harbourline", "corvana", "ostrelnet", "brightkettle")
