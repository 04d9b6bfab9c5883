"""What an interaction of each kind says: one function for each, and what they share.

Place: above `_scene` and the makers of text, below `_interaction`. It refuses nulls: a field that
a kind does not have is not there.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping

from cdds.sample import _chat, _mail, _people, _prose, _seeds, _userdata
from cdds.sample._attachments import attachments
from cdds.sample._lines import Record
from cdds.sample._mix import Kind
from cdds.sample._prose import pick
from cdds.sample._scene import Scene

ENTITY_TYPES: Mapping[Kind, int] = {
    Kind.EMAIL_IN: 0,
    Kind.EMAIL_OUT: 1,
    Kind.CHAT: 2,
    Kind.VOICE: 3,
    Kind.CALLBACK: 5,
    Kind.COBROWSE: 6,
    Kind.SOCIAL: 7,
}


def fields(scene: Scene) -> Record:
    """Make all the fields of an interaction, in no order."""
    return {**_common(scene), **_OWN[scene.kind](scene)}


def _common(scene: Scene) -> Record:
    rng, ended = scene.rng, _seeds.iso(scene.ended)
    return {
        "IXNID": scene.ixnid,
        "STATUS": pick(rng, (3, 3, 3, 3, 3, 3, 3, 2, 1, 0)),
        "ENTITYTYPEID": ENTITY_TYPES[scene.kind],
        "OWNERID": rng.randrange(100, 900),
        "CONTACTID": scene.client.contact_id,
        "STARTDATE": _seeds.iso(scene.started),
        "MODIFIEDDATE": ended,
        "ENDDATE": ended,
        "TENANTID": 101,
        "CANBEPARENT": 1,
        "CREATORAPPID": rng.randrange(160, 180),
    }


def _routed(scene: Scene, subject: str) -> Record:
    """Give what interactions have that went through queues, so all but calls."""
    rng = scene.rng
    return {
        "THREADID": scene.ixnid,
        "THREADHASH": rng.randrange(2**31),
        "TIMESHIFT": rng.randrange(-480, 540, 60),
        "SUBJECT": subject,
        "SUBTENANTID": 0,
        "QUEUEENAME": f"{pick(rng, _QUEUES)}-{rng.randrange(40)}",
        "ALLATTRIBUTES": _userdata.full(rng, scene.client, subject),
        "STRATTRIBUTE1": _prose.reference(rng),
        "INTATTRIBUTE1": rng.randrange(10_000),
        "ISSPAM": 0,
        "STOPPEDREASON": pick(rng, ("Normal", "Terminated", "Sent", "Abandoned")),
        "LANG": scene.client.tongue.code,
        "SUBSCRIBERID": pick(rng, ("retail", "energy", "travel")),
    }


def _email_in(scene: Scene) -> Record:
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


def _email_out(scene: Scene) -> Record:
    team, client = _people.team_address(scene.rng), scene.client
    envelope = _envelope(scene, "Customer Service", team, client.email)
    return {
        **_email(scene, envelope),
        "TYPEID": "Outbound",
        "SUBTYPEID": pick(scene.rng, ("OutboundReply", "OutboundNew", "OutboundAcknowledgement")),
        **_parent(scene),
        "FromAddressEmailOut": team,
        "FromPersonalEmailOut": "Customer Service",
        "ReplyToAddressEmailOut": team,
        "ToAddressesEmailOut": client.email,
        "SentDateEmailOut": _seeds.iso(scene.started),
        "FORWARD": 0,
        "REVIEWERID": scene.rng.randrange(100, 900),
    }


def _parent(scene: Scene) -> Record:
    """Name the interaction that a mail answers: some earlier one, if there is any."""
    if scene.index < 1:
        return {}
    earlier = scene.rng.randrange(scene.index)
    return {"PARENTID": _seeds.identifier(_seeds.INTERACTION, scene.seed, earlier)}


def _envelope(scene: Scene, name: str, sender: str, recipient: str) -> _mail.Envelope:
    return _mail.Envelope(
        sender_name=name,
        sender=sender,
        recipient=recipient,
        subject=_mail.subject(scene.rng, scene.client.tongue),
        sent=scene.started,
        message_id=f"{scene.rng.randrange(16**24):x}@{sender.partition('@')[2]}",
    )


def _email(scene: Scene, envelope: _mail.Envelope) -> Record:
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


def _chat_session(scene: Scene) -> Record:
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


def _call(scene: Scene) -> Record:
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


def _callback(scene: Scene) -> Record:
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


def _cobrowse(scene: Scene) -> Record:
    return {
        **_routed(scene, _prose.brand(scene.rng)),
        "MEDIATYPEID": "cobrowse",
        "TYPEID": "Inbound",
        "THECOMMENT": f"https://shop.example/{pick(scene.rng, _prose.TONGUES[0].words['h'])}",
    }


def _social(scene: Scene) -> Record:
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


_QUEUES = ("inbound", "outbound", "quality", "sales")
_OWN: Mapping[Kind, Callable[[Scene], Record]] = {
    Kind.EMAIL_IN: _email_in,
    Kind.EMAIL_OUT: _email_out,
    Kind.CHAT: _chat_session,
    Kind.VOICE: _call,
    Kind.CALLBACK: _callback,
    Kind.COBROWSE: _cobrowse,
    Kind.SOCIAL: _social,
}
