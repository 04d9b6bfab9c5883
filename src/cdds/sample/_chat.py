"""A chat as it is kept: one XML transcript of who came, who said what when, and who left.

Place: above `_people`, below `_interaction`. It refuses markup in what people say: it is escaped.
"""

from datetime import datetime
from random import Random
from xml.sax.saxutils import escape, quoteattr

import attrs

from cdds.sample import _prose
from cdds.sample._people import Person
from cdds.sample._seeds import iso

_LETTERS_PER_SLIP = 45


@attrs.frozen
class _Party:
    user: str
    nick: str
    role: str
    protocol: str


def transcript(rng: Random, session: str, client: Person, started: datetime) -> str:
    """Make the transcript of a chat between a customer and an agent."""
    parties = (
        _Party(f"{rng.getrandbits(32):08X}", client.first_name, "CLIENT", "FLEX"),
        _Party(f"{rng.getrandbits(32):08X}", f"agent{rng.randrange(900)}", "AGENT", "ESP"),
    )
    events = [_joined(rng, party, number) for number, party in enumerate(parties, 1)]
    shift = rng.randrange(5, 90)
    for number in range(3, 3 + min(int(rng.lognormvariate(2.3, 0.5)) + 2, 80)):
        shift += int(rng.expovariate(1 / 25)) + 1
        events.append(_message(rng, parties[_turn(rng, number)], client, number, shift))
    events += [_left(party, len(events) + place, shift) for place, party in enumerate(parties, 1)]
    opening = f'<chatTranscript startAt="{iso(started)}" sessionId="{session}">'
    return "".join((opening, *events, "</chatTranscript>"))


def _turn(rng: Random, number: int) -> int:
    return (number + (rng.random() < 0.2)) % 2


def _joined(rng: Random, party: _Party, number: int) -> str:
    zone = rng.randrange(-8, 10) * 60
    return (
        f'<newParty userId="{party.user}" timeShift="{number}" visibility="ALL" eventId="{number}">'
        f'<userInfo personId="" userNick={quoteattr(party.nick)} userType="{party.role}" '
        f'protocolType="{party.protocol}" timeZoneOffset="{zone}"/></newParty>'
    )


def _message(rng: Random, party: _Party, client: Person, number: int, shift: int) -> str:
    said = _said(rng, client)
    return (
        f'<message userId="{party.user}" timeShift="{shift}" eventId="{number}">'
        f"<msgText>{escape(said)}</msgText></message>"
    )


def _said(rng: Random, client: Person) -> str:
    spoken = client.tongue
    patterns = spoken.talk if rng.random() < 0.6 else spoken.mail
    sentences = 1 + int(rng.expovariate(0.6))
    said = " ".join(_prose.sentence(rng, spoken, patterns) for _ in range(sentences))
    if rng.random() < 0.12:
        said += f" https://help.links.example/{rng.getrandbits(72):x}"
    return _hasty(rng, said)


def _hasty(rng: Random, said: str) -> str:
    """Swap two letters every now and then, as hands in a hurry do."""
    letters = list(said)
    for _ in range(len(said) // _LETTERS_PER_SLIP):
        place = int(rng.random() * (len(said) - 1))
        letters[place : place + 2] = reversed(letters[place : place + 2])
    return "".join(letters)


def _left(party: _Party, number: int, shift: int) -> str:
    return (
        f'<partyLeft userId="{party.user}" timeShift="{shift + 2}" visibility="ALL" '
        f'eventId="{number}" askerId="{party.user}">'
        f'<reason code="1">left with request to close if no agents</reason></partyLeft>'
    )
