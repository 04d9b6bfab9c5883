"""Contacts and their attributes, one from each index.

Place: at the top of the package, over `_people`. It refuses to know more of a person than the
interactions do: names and addresses are the ones they carry.
"""

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from random import Random

from cdds.sample import _prose, _seeds
from cdds.sample._attachments import picture
from cdds.sample._fields import ATTRIBUTE, CONTACT, in_order
from cdds.sample._lines import Record
from cdds.sample._people import Person, person
from cdds.sample._prose import pick
from cdds.sample._scene import END, START

_AT_MOST = 16  # attributes of one contact


def contacts(count: int | range, *, seed: int = 0) -> Iterator[Record]:
    """Yield contacts: the first so many of this seed, or those with the indexes of a range.

    Interactions of the same seed come from its first 1,000 contacts.
    """
    for index in _seeds.indexes(count):
        yield contact(index, seed=seed)


def contact(index: int, *, seed: int = 0) -> Record:
    """Make the one contact that `contacts` would yield at this index."""
    rng = _seeds.stream(seed, "contact", index)
    created = _seeds.moment(rng, START, END)
    modified = _seeds.moment(rng, created, END)
    record = {
        "CONTACTID": _seeds.identifier(_seeds.CONTACT, seed, index),
        "TENANTID": 101,
        "SUBTENANTID": 0,
        "ISEXTERNALRESOURCE": int(rng.random() < 0.1),
        "STRATTRIBUTE1": _prose.reference(rng),
        "STRATTRIBUTE2": pick(rng, ("gold", "silver", "business", "new")),
        "DATEATTRIBUTE1": str(int(created.timestamp() * 1000)),
        "CREATEDDATE": _seeds.iso(created),
        "MODIFIEDDATE": _seeds.iso(modified),
        "SUBSCRIBERID": pick(rng, ("retail", "energy", "travel")),
        **_merged(rng, seed, index),
    }
    return in_order(record, CONTACT)


def contact_attributes(count: int | range, *, seed: int = 0) -> Iterator[Record]:
    """Yield the attributes of the contacts made with the same arguments, in their order.

    Each contact has several, so there are more attributes than ``count``.
    """
    for index in _seeds.indexes(count):
        yield from _attributes(seed, index)


def _merged(rng: Random, seed: int, index: int) -> Record:
    """Name the contact that this one was merged into, where it was."""
    if index == 0 or rng.random() > 0.04:
        return {}
    return {"MERGEID": _seeds.identifier(_seeds.CONTACT, seed, rng.randrange(index))}


def _attributes(seed: int, index: int) -> Iterator[Record]:
    rng = _seeds.stream(seed, "attributes", index)
    values = [*_texts(rng, person(seed, index)), *_dates(rng), *_pictures(rng)]
    for place, (name, value) in enumerate(values):
        record = {
            "ID": _seeds.identifier(_seeds.ATTRIBUTE, seed, index * _AT_MOST + place),
            "CONTACTID": _seeds.identifier(_seeds.CONTACT, seed, index),
            "ATTRIBUTEID": name,
            "ATTRIBUTENAME": name,
            "ISPRIMARY": int(all(name != earlier for earlier, _ in values[:place])),
            "TENANTID": 101,
            "SUBTENANTID": 0,
            **value,
        }
        yield in_order(record, ATTRIBUTE)


def _texts(rng: Random, owner: Person) -> list[tuple[str, Record]]:
    texts = [
        ("FirstName", owner.first_name),
        ("LastName", owner.last_name),
        ("EmailAddress", owner.email),
        ("PhoneNumber", owner.phone),
        ("Title", pick(rng, ("Dr", "Ms", "Mr", "Mx", "Prof"))),
    ]
    if rng.random() < 0.3:
        texts.append(("PhoneNumber", f"+49{rng.randrange(10**8, 10**10)}"))
    if rng.random() < 0.5:
        texts.append(("City", pick(rng, owner.tongue.words["c"])))
    return [(name, {"STRVALUE": text, "STRVALUELOWERCASE": text.lower()}) for name, text in texts]


def _dates(rng: Random) -> list[tuple[str, Record]]:
    if rng.random() > 0.4:
        return []
    born = _seeds.moment(rng, _EARLIEST_BIRTH, _LATEST_BIRTH)
    return [("DateOfBirth", {"DATEVALUE": _seeds.iso(born), "DESCRIPTION": "as told on the phone"})]


def _pictures(rng: Random) -> list[tuple[str, Record]]:
    if rng.random() > 0.08:
        return []
    blob = b64encode(picture(rng, rng.randrange(600, 6000))).decode()
    return [("Picture", {"MIMETYPE": "image/png", "BINVALUE": blob})]


_EARLIEST_BIRTH = datetime(1940, 1, 1, tzinfo=START.tzinfo)
_LATEST_BIRTH = datetime(2006, 1, 1, tzinfo=START.tzinfo)
