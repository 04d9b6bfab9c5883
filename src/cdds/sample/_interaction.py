"""Interactions and their documents, one from each index.

Place: the middle of the package; `_mix` says which kind an index is, the modules below give the
parts, and this one puts them together. It refuses time frames that hold no instant.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import attrs

from cdds.sample import _chat, _mail, _people, _prose, _seeds, _userdata
from cdds.sample._attachments import attachments
from cdds.sample._fields import INTERACTION, in_order
from cdds.sample._lines import Record
from cdds.sample._mix import Kind, Mix
from cdds.sample._people import Person
from cdds.sample._prose import pick

START = datetime(2025, 1, 1, tzinfo=UTC)
END = datetime(2026, 1, 1, tzinfo=UTC)


@attrs.frozen(kw_only=True)
class _Scene:
    """What is known of an interaction before its kind adds to it."""

    seed: int
    index: int
    ixnid: str
    kind: Kind
    rng: Random
    client: Person
    started: datetime
    ended: datetime


def interactions(
    count: int | range,
    *,
    seed: int = 0,
    mix: Mix = Mix.DEFAULT,
    start: datetime = START,
    end: datetime = END,
) -> Iterator[Record]:
    """Yield interactions: the first so many of this seed, or those with the indexes of a range.

    Their STARTDATE lies anywhere in ``[start, end)``, in no order. They name the first contacts
    of the same seed, see `contacts`; the files on their mails are `documents`.

    Raises:
        ValueError: when the time frame is empty, or a border of it has no time zone.
    """
    for index in _indexes(count):
        yield interaction(index, seed=seed, mix=mix, start=start, end=end)


def interaction(
    index: int,
    *,
    seed: int = 0,
    mix: Mix = Mix.DEFAULT,
    start: datetime = START,
    end: datetime = END,
) -> Record:
    """Make the one interaction that `interactions` would yield at this index."""
    scene = _scene(index, seed, mix, (start, end))
    return in_order({**_common(scene), **_KINDS[scene.kind](scene)}, INTERACTION)


def documents(
    count: int | range, *, seed: int = 0, mix: Mix = Mix.DEFAULT
) -> Iterator[Record]:
    """Yield the documents of the interactions made with the same arguments, in their order.

    Only mails have any, and most have none. ENTITYID is the IXNID of the interaction.
    """
    for index in _indexes(count):
        kind = mix.kind_at(_seeds.stream(seed, "interaction", index).random())
        if kind.is_email:
            yield from _documents(seed, index, kind)


def _indexes(count: int | range) -> range:
    return count if isinstance(count, range) else range(count)


def _documents(seed: int, index: int, kind: Kind) -> Iterator[Record]:
    for place, attachment in enumerate(attachments(seed, index)):
        identifier = _seeds.identifier(_seeds.DOCUMENT, seed, index * 4 + place)
        yield {
            "ID": identifier,
            "MIMETYPE": attachment.media_type,
            "THENAME": attachment.name,
            "DESCRIPTION": "",
            "THESIZE": len(attachment.content),
            "CONTENT": b64encode(attachment.content).decode(),
            "DOCUMENTID": identifier,
            "ENTITYID": _seeds.identifier(_seeds.INTERACTION, seed, index),
            "ENTITYTYPEID": _ENTITY_TYPES[kind],
        }


def _scene(index: int, seed: int, mix: Mix, frame: tuple[datetime, datetime]) -> _Scene:
    rng = _seeds.stream(seed, "interaction", index)
    kind = mix.kind_at(rng.random())
    started = _seeds.moment(rng, *frame)
    return _Scene(
        seed=seed,
        index=index,
        ixnid=_seeds.identifier(_seeds.INTERACTION, seed, index),
        kind=kind,
        rng=rng,
        client=_people.customer(rng, seed),
        started=started,
        ended=started + timedelta(milliseconds=rng.randrange(5_000, _LASTS[kind])),
    )


def _common(scene: _Scene) -> Record:
    rng, ended = scene.rng, _seeds.iso(scene.ended)
    return {
        "IXNID": scene.ixnid,
        "STATUS": pick(rng, (3, 3, 3, 3, 3, 3, 3, 2, 1, 0)),
        "ENTITYTYPEID": _ENTITY_TYPES[scene.kind],
        "OWNERID": rng.randrange(100, 900),
        "CONTACTID": scene.client.contact_id,
        "STARTDATE": _seeds.iso(scene.started),
        "MODIFIEDDATE": ended,
        "ENDDATE": ended,
        "TENANTID": 101,
        "CANBEPARENT": 1,
        "CREATORAPPID": rng.randrange(160, 180),
    }


def _routed(scene: _Scene, subject: str) -> Record:
    """What interactions have that went through queues, so all but calls."""
    rng = scene.rng
    return {
        "THREADID": scene.ixnid,
        "THREADHASH": rng.randrange(2**31),
        "TIMESHIFT": rng.randrange(-480, 540, 60),
        "SUBJECT": subject,
        "SUBTENANTID": 0,
        "QUEUEENAME": f"{pick(rng, ('inbound', 'outbound', 'quality', 'sales'))}-{rng.randrange(40)}",
        "ALLATTRIBUTES": _userdata.full(rng, scene.client, subject),
        "STRATTRIBUTE1": _prose.reference(rng),
        "INTATTRIBUTE1": rng.randrange(10_000),
        "ISSPAM": 0,
        "STOPPEDREASON": pick(rng, ("Normal", "Terminated", "Sent", "Abandoned")),
        "LANG": scene.client.tongue.code,
        "SUBSCRIBERID": pick(rng, ("retail", "energy", "travel")),
    }


def _email_in(scene: _Scene) -> Record:
    team, client = _people.team_address(scene.rng), scene.client
    envelope = _envelope(scene, client.name, client.email, team)
    record = _email(scene, envelope)
    return {
        **record,
        "TYPEID": "Inbound",
        "SUBTYPEID": pick(scene.rng, ("InboundNew", "InboundCustomerReply", "InboundNDR")),
        "FROMADDRESS": client.email,
        "FROMPERSONAL": client.name,
        "REPLYTOADDRESS": client.email,
        "TOADDRESSES": team,
        "SENTDATE": _seeds.iso(scene.started),
        "MAILBOX": team.partition("@")[0],
    }


def _email_out(scene: _Scene) -> Record:
    team, client = _people.team_address(scene.rng), scene.client
    envelope = _envelope(scene, "Customer Service", team, client.email)
    return {
        **_email(scene, envelope),
        "TYPEID": "Outbound",
        "SUBTYPEID": pick(scene.rng, ("OutboundReply", "OutboundNew", "OutboundAcknowledgement")),
        "PARENTID": _seeds.identifier(_seeds.INTERACTION, scene.seed, max(scene.index - 1, 0)),
        "FromAddressEmailOut": team,
        "FromPersonalEmailOut": "Customer Service",
        "ReplyToAddressEmailOut": team,
        "ToAddressesEmailOut": client.email,
        "SentDateEmailOut": _seeds.iso(scene.started),
        "FORWARD": 0,
        "REVIEWERID": scene.rng.randrange(100, 900),
    }


def _envelope(scene: _Scene, name: str, sender: str, recipient: str) -> _mail.Envelope:
    return _mail.Envelope(
        sender_name=name,
        sender=sender,
        recipient=recipient,
        subject=_mail.subject(scene.rng, scene.client.tongue),
        sent=scene.started,
        message_id=f"{scene.rng.randrange(16**24):x}@{sender.partition('@')[2]}",
    )


def _email(scene: _Scene, envelope: _mail.Envelope) -> Record:
    attached = attachments(scene.seed, scene.index)
    mail = _mail.write(scene.rng, envelope, scene.client.tongue, attached)
    return {
        **_routed(scene, envelope.subject),
        "MEDIATYPEID": "email",
        "TEXT": mail.text,
        "HEADER": b64encode(mail.header).decode(),
        "MIMETYPE": "message/rfc822",
        "THESIZE": len(mail.message),
        "CONTENT": b64encode(mail.message).decode(),
    }


def _chat_session(scene: _Scene) -> Record:
    subject = _mail.subject(scene.rng, scene.client.tongue)
    return {
        **_routed(scene, subject),
        "MEDIATYPEID": "chat",
        "TYPEID": "Inbound",
        "SUBTYPEID": "InboundNew",
        "STRUCTUREDTEXT": _chat.transcript(scene.rng, scene.ixnid, scene.client, scene.started),
        "STRUCTTEXTMIMETYPE": "text/xml",
        "ESTABLISHEDDATE": _seeds.iso(scene.started),
        "RELEASEDDATE": _seeds.iso(scene.ended),
    }


def _call(scene: _Scene) -> Record:
    rng = scene.rng
    return {
        "MEDIATYPEID": "voice",
        "TYPEID": pick(rng, ("Inbound", "Inbound", "Outbound", "Internal")),
        "ALLATTRIBUTES": _userdata.brief(rng),
        "DURATION": int((scene.ended - scene.started).total_seconds()),
        "OUTCOME": pick(rng, ("answered", "abandoned", "transferred", "conference")),
        "PHONENUMBER": scene.client.phone,
        "TCONNECTIONID": f"{rng.getrandbits(64):016x}",
    }


def _callback(scene: _Scene) -> Record:
    rng, spoken = scene.rng, scene.client.tongue
    return {
        **_routed(scene, _mail.subject(rng, spoken)),
        "MEDIATYPEID": "callback",
        "TYPEID": "Inbound",
        "CALLBACKSTATUS": rng.randrange(6),
        "DETAILEDDESCRIPTION": _prose.sentence(rng, spoken, spoken.mail),
        "CUSTOMDATA": _prose.reference(rng),
        "DESIREDRESPONSETYPE": rng.randrange(3),
        "STARTTIME": _seeds.iso(scene.started),
        "ENDTIME": _seeds.iso(scene.ended),
        "CUSTOMERNUMBER": scene.client.phone,
        "ATTEMPTS": rng.randrange(1, 6),
        "DN": str(rng.randrange(1000, 9999)),
        "LOCATION": pick(rng, spoken.words["c"]),
        "CALLBACKSERVERID": f"cb{rng.randrange(4)}",
        "CALLRESULT": rng.randrange(60),
        "THETYPE": rng.randrange(3),
    }


def _cobrowse(scene: _Scene) -> Record:
    return {
        **_routed(scene, _prose.brand(scene.rng)),
        "MEDIATYPEID": "cobrowse",
        "TYPEID": "Inbound",
        "THECOMMENT": f"https://shop.example/{pick(scene.rng, _prose.TONGUES[0].words['n'])}",
    }


def _social(scene: _Scene) -> Record:
    rng, spoken = scene.rng, scene.client.tongue
    said = " ".join(_prose.sentence(rng, spoken, spoken.talk) for _ in range(rng.randrange(1, 5)))
    return {
        **_routed(scene, said[:40]),
        "MEDIATYPEID": pick(rng, ("facebook", "smssession", "twitter", "openmedia", "workitem")),
        "TYPEID": "Inbound",
        "SUBTYPEID": "InboundNew",
        "EXTERNALID": f"{rng.getrandbits(60)}",
        "TEXT": said,
    }
