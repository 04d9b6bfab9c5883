"""Where a UCS database keeps the properties of Contact History.

Place: the ground of this room: plain tables of names, in the spelling of the product's own scripts.
Deployments spell them otherwise, which is `mapping`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class Join:
    """A table that may hold more of a record: its rows are found by a key."""

    table: str
    key: str
    base_key: str


@attrs.frozen
class Layout:
    """Where the properties of one data file are.

    Attributes:
        base: the table that holds one row for each record.
        joins: the others.
        places: for each property the places where it may be, the first that is there counts:
            a table and a column.
    """

    base: str
    joins: tuple[Join, ...]
    places: Mapping[str, tuple[tuple[str, str], ...]]


def _numbered(name: str, count: int) -> str:
    return " ".join(f"{name}{number}" for number in range(1, count + 1))


def _same(table: str, names: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the places of properties that are called as their columns are."""
    return {name: ((table, name),) for name in names.split()}


_OUT = {
    f"{name}EmailOut": (("EmailOut", name.upper()),)
    for name in (
        "FromAddress",
        "FromPersonal",
        "ReplyToAddress",
        "ToAddresses",
        "CcAddresses",
        "BccAddresses",
        "SentDate",
    )
}

_INTERACTION = Layout(
    "Interaction",
    (
        Join("EmailIn", "ID", "ID"),
        Join("EmailOut", "ID", "ID"),
        Join("Chat", "ID", "ID"),
        Join("PhoneCall", "ID", "ID"),
        Join("Callback", "ID", "ID"),
        Join("CoBrowse", "ID", "ID"),
        Join("Document", "ID", "ID"),
    ),
    {
        "IXNID": (("Interaction", "ID"),),
        "QUEUEENAME": (("Interaction", "QUEUENAME"), ("Interaction", "QUEUEENAME")),
        **_same(
            "Interaction",
            "STATUS ENTITYTYPEID MEDIATYPEID TYPEID SUBTYPEID EXTERNALID OWNERID CONTACTID "
            "PARENTID STARTDATE MODIFIEDDATE ENDDATE THREADID CATEGORYID TIMESHIFT SUBJECT TEXT "
            "STRUCTUREDTEXT STRUCTTEXTMIMETYPE THECOMMENT TENANTID SUBTENANTID THREADHASH "
            f"CANBEPARENT CREATORAPPID ALLATTRIBUTES {_numbered('STRATTRIBUTE', 10)} "
            f"{_numbered('INTATTRIBUTE', 5)} ISSPAM WEBSAFEEMAILSTATUS ISCATEGORYAPPROVED "
            "STOPPEDREASON LANG SUBSCRIBERID",
        ),
        **_same(
            "EmailIn",
            "FROMADDRESS FROMPERSONAL REPLYTOADDRESS TOADDRESSES CCADDRESSES BCCADDRESSES SENTDATE "
            "MAILBOX WHICHRULEMATCHED EMAILOUTID",
        ),
        "HEADER": (("EmailIn", "HEADER"), ("EmailOut", "HEADER")),
        **_OUT,
        **_same("EmailOut", "FORWARD REFERENCEID REVIEWERID STANDARDRESPONSEID"),
        **_same("Chat", "ESTABLISHEDDATE RELEASEDDATE"),
        **_same("PhoneCall", "DURATION OUTCOME PHONENUMBER TCONNECTIONID"),
        **_same(
            "Callback",
            "CALLBACKSTATUS DETAILEDDESCRIPTION CUSTOMDATA DESIREDRESPONSETYPE STARTTIME ENDTIME "
            "CUSTOMERNUMBER ATTEMPTS DN LOCATION CALLBACKSERVERID CALLRESULT THETYPE",
        ),
        # The original document of an interaction is the one under its own key.
        **_same("Document", "MIMETYPE THESIZE CONTENT"),
    },
)

_DOCUMENT = Layout(
    "Attachment",
    (Join("Document", "ID", "DOCUMENTID"),),
    {
        **_same("Document", "ID MIMETYPE THENAME DESCRIPTION THESIZE CONTENT"),
        **_same("Attachment", "DOCUMENTID ENTITYID ENTITYTYPEID"),
    },
)

_CONTACT = Layout(
    "Contact",
    (),
    _same(
        "Contact",
        f"CONTACTID TENANTID SUBTENANTID ISEXTERNALRESOURCE {_numbered('STRATTRIBUTE', 10)} "
        f"{_numbered('DATEATTRIBUTE', 3)} CREATEDDATE MODIFIEDDATE MERGEID SUBSCRIBERID",
    ),
)

_CONTACT_ATTRIBUTE = Layout(
    "ContactAttribute",
    (),
    _same(
        "ContactAttribute",
        "ID CONTACTID ATTRIBUTEID ATTRIBUTENAME MIMETYPE STRVALUE STRVALUELOWERCASE BINVALUE "
        "DATEVALUE DESCRIPTION ISPRIMARY TENANTID SUBTENANTID",
    ),
)

LAYOUTS: Mapping[str, Layout] = {
    "interaction": _INTERACTION,
    "document": _DOCUMENT,
    "contact": _CONTACT,
    "contactattribute": _CONTACT_ATTRIBUTE,
}
"""The layout of each data file, by its name."""

TIMES = frozenset(
    (
        "STARTDATE",
        "MODIFIEDDATE",
        "ENDDATE",
        "SENTDATE",
        "SentDateEmailOut",
        "ESTABLISHEDDATE",
        "RELEASEDDATE",
        "STARTTIME",
        "ENDTIME",
        "CREATEDDATE",
        "DATEVALUE",
    )
)
"""The properties that are times, whether or not a database has a type for them: SQLite has none."""
