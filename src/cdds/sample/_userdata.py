"""User data: what routing and desktops attach to an interaction, kept in ALLATTRIBUTES.

Place: below `_interaction`. It refuses to be flat: the field is open, and readers must cope with
objects in objects, empty strings, and numbers beside numbers in strings.
"""

from random import Random

from cdds.sample import _prose, _words
from cdds.sample._lines import Record
from cdds.sample._people import Person
from cdds.sample._prose import pick


def brief(rng: Random) -> Record:
    """Make the few keys that even a plain call has."""
    return {
        "ServiceType": pick(rng, _SERVICES),
        "RRequestedSkills": {pick(rng, _SKILLS): rng.randrange(1, 10)},
        "Reference": _prose.reference(rng),
    }


def full(rng: Random, client: Person, subject: str) -> Record:
    """Make the many keys of an interaction that went through a routing strategy."""
    return {
        "LastName": client.last_name,
        "FirstName": client.first_name,
        "EmailAddress": client.email,
        "ContactId": client.contact_id,
        "Subject": subject,
        "RStrategyName": f"{pick(rng, _SERVICES)}-routing-inbound",
        "RTargetAgentGroup": f"Agent Group {rng.randrange(80000, 80060)}",
        "RTargetAgentSelected": str(rng.randrange(1000, 1900)),
        "RVQID": "",
        "ServiceObjective": rng.randrange(0, 300, 15),
        "CustomerSegment": pick(rng, _SEGMENTS),
        "IW_CaseUid": _uid(rng),
        **brief(rng),
        "IWAttachedDataInformation": _case(rng),
    }


def _case(rng: Random) -> Record:
    return {
        "CaseData.Reason": " ".join(pick(rng, _words.NOUNS) for _ in range(3)),
        "CaseData.Priority": rng.randrange(1, 6),
        "DispositionCode.Label": pick(rng, _words.VERBS),
        "Option": {
            "frame-color": f"#FF{rng.randrange(16**6):06X}",
            "lines": [1, 2, 3][: rng.randrange(4)],
        },
    }


def _uid(rng: Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


_SERVICES = ("default", "billing", "technical", "retention", "sales", "returns")
_SKILLS = ("English", "Deutsch", "Français", "Русский", "日本語", "Billing", "Hardware")
_SEGMENTS = ("default", "gold", "silver", "business", "new")
