"""Documents: the attachments of the mails among the interactions.

Place: at the top of the package, beside `_interaction`. It refuses to make the mails for it: the
kind of an index and its files are known without them.
"""

from base64 import b64encode
from collections.abc import Iterator

from cdds.sample import _seeds
from cdds.sample._attachments import AT_MOST, attachments
from cdds.sample._kinds import ENTITY_TYPES
from cdds.sample._lines import Record
from cdds.sample._mix import Kind, Mix
from cdds.sample._scene import kind_at


def documents(count: int | range, *, seed: int = 0, mix: Mix = Mix.DEFAULT) -> Iterator[Record]:
    """Yield the documents of the interactions made with the same arguments, in their order.

    Only mails have any, and most have none. ENTITYID is the IXNID of the interaction.
    """
    for index in _seeds.indexes(count):
        kind = kind_at(index, seed, mix)
        if kind.is_email:
            yield from _documents(seed, index, kind)


def _documents(seed: int, index: int, kind: Kind) -> Iterator[Record]:
    for place, attachment in enumerate(attachments(seed, index)):
        identifier = _seeds.identifier(_seeds.DOCUMENT, seed, index * AT_MOST + place)
        yield {
            "ID": identifier,
            "MIMETYPE": attachment.media_type,
            "THENAME": attachment.name,
            "DESCRIPTION": "",
            "THESIZE": len(attachment.content),
            "CONTENT": b64encode(attachment.content).decode(),
            "DOCUMENTID": identifier,
            "ENTITYID": _seeds.identifier(_seeds.INTERACTION, seed, index),
            "ENTITYTYPEID": ENTITY_TYPES[kind],
        }
