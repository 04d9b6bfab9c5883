"""The records of a UCS database, joined by hand: independent of the library that exports them."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy

Record = dict[str, Any]

# Each field, and the column that it is in.

INTERACTION = """
    IXNID i.id, STATUS i.status, ENTITYTYPEID i.entityTypeId, MEDIATYPEID i.mediaTypeId,
    TYPEID i.typeId, SUBTYPEID i.subtypeId, EXTERNALID i.externalId, OWNERID i.ownerId,
    CONTACTID i.contactId, PARENTID i.parentId, STARTDATE i.startDate,
    MODIFIEDDATE i.modifiedDate, ENDDATE i.endDate, THREADID i.threadId,
    CATEGORYID i.categoryId, TIMESHIFT i.timeShift, SUBJECT i.subject, TEXT i.text,
    STRUCTUREDTEXT i.structuredText, STRUCTTEXTMIMETYPE i.structTextMimeType,
    THECOMMENT i.theComment, TENANTID i.tenantId, SUBTENANTID i.subtenantId,
    THREADHASH i.threadHash, CANBEPARENT i.canBeParent, CREATORAPPID i.creatorAppId,
    QUEUEENAME i.queueName, ALLATTRIBUTES i.allAttributes, STRATTRIBUTE1 i.strAttribute1,
    STRATTRIBUTE2 i.strAttribute2, STRATTRIBUTE3 i.strAttribute3, STRATTRIBUTE4 i.strAttribute4,
    STRATTRIBUTE5 i.strAttribute5, STRATTRIBUTE6 i.strAttribute6, STRATTRIBUTE7 i.strAttribute7,
    STRATTRIBUTE8 i.strAttribute8, STRATTRIBUTE9 i.strAttribute9,
    STRATTRIBUTE10 i.strAttribute10, INTATTRIBUTE1 i.intAttribute1,
    INTATTRIBUTE2 i.intAttribute2, INTATTRIBUTE3 i.intAttribute3, INTATTRIBUTE4 i.intAttribute4,
    INTATTRIBUTE5 i.intAttribute5, ISSPAM i.isSpam, WEBSAFEEMAILSTATUS i.webSafeEmailStatus,
    ISCATEGORYAPPROVED i.isCategoryApproved, STOPPEDREASON i.stoppedReason, LANG i.lang,
    FROMADDRESS e.fromAddress, FROMPERSONAL e.fromPersonal, REPLYTOADDRESS e.replyToAddress,
    TOADDRESSES e.toAddresses, CCADDRESSES e.ccAddresses, BCCADDRESSES e.bccAddresses,
    SENTDATE e.sentDate, MAILBOX e.mailbox, WHICHRULEMATCHED e.whichRuleMatched,
    EMAILOUTID e.emailOutId, HEADER e.header, FromAddressEmailOut o.fromAddress,
    FromPersonalEmailOut o.fromPersonal, ReplyToAddressEmailOut o.replyToAddress,
    ToAddressesEmailOut o.toAddresses, CcAddressesEmailOut o.ccAddresses,
    BccAddressesEmailOut o.bccAddresses, SentDateEmailOut o.sentDate, FORWARD o.forward,
    REFERENCEID o.referenceId, REVIEWERID o.reviewerId, STANDARDRESPONSEID o.standardResponseId,
    ESTABLISHEDDATE c.establishedDate, RELEASEDDATE c.releasedDate, DURATION p.duration,
    OUTCOME p.outcome, PHONENUMBER p.phoneNumber, TCONNECTIONID p.tConnectionId,
    CALLBACKSTATUS b.callbackStatus, DETAILEDDESCRIPTION b.detailedDescription,
    CUSTOMDATA b.customData, DESIREDRESPONSETYPE b.desiredResponseType, STARTTIME b.startTime,
    ENDTIME b.endTime, CUSTOMERNUMBER b.customerNumber, ATTEMPTS b.attempts, DN b.dn,
    LOCATION b.location, CALLBACKSERVERID b.callbackServerId, CALLRESULT b.callResult,
    THETYPE b.theType, MIMETYPE d.mimeType, THESIZE d.theSize, CONTENT d.content,
    SUBSCRIBERID i.subscriberId
    from "interaction" i
    left join "emailIn" e on e."id" = i."id"
    left join "emailOut" o on o."id" = i."id"
    left join "chat" c on c."id" = i."id"
    left join "phoneCall" p on p."id" = i."id"
    left join "callback" b on b."id" = i."id"
    left join "coBrowse" w on w."id" = i."id"
    left join "document" d on d."id" = i."id"
"""
DOCUMENT = """
    ID d.id, MIMETYPE d.mimeType, THENAME d.theName, DESCRIPTION d.description,
    THESIZE d.theSize, CONTENT d.content, DOCUMENTID a.documentId, ENTITYID a.entityId,
    ENTITYTYPEID a.entityTypeId
    from "attachment" a join "document" d on d."id" = a."documentId"
"""
CONTACT = """
    CONTACTID c.contactId, TENANTID c.tenantId, SUBTENANTID c.subtenantId,
    ISEXTERNALRESOURCE c.isExternalResource, STRATTRIBUTE1 c.strAttribute1,
    STRATTRIBUTE2 c.strAttribute2, STRATTRIBUTE3 c.strAttribute3, STRATTRIBUTE4 c.strAttribute4,
    STRATTRIBUTE5 c.strAttribute5, STRATTRIBUTE6 c.strAttribute6, STRATTRIBUTE7 c.strAttribute7,
    STRATTRIBUTE8 c.strAttribute8, STRATTRIBUTE9 c.strAttribute9,
    STRATTRIBUTE10 c.strAttribute10, DATEATTRIBUTE1 c.dateAttribute1,
    DATEATTRIBUTE2 c.dateAttribute2, DATEATTRIBUTE3 c.dateAttribute3,
    CREATEDDATE c.createdDate, MODIFIEDDATE c.modifiedDate, MERGEID c.mergeId,
    SUBSCRIBERID c.subscriberId
    from "contact" c
"""
CONTACT_ATTRIBUTE = """
    ID a.id, CONTACTID a.contactId, ATTRIBUTEID a.attributeId, ATTRIBUTENAME a.attributeName,
    MIMETYPE a.mimeType, STRVALUE a.strValue, STRVALUELOWERCASE a.strValueLowerCase,
    BINVALUE a.binValue, DATEVALUE a.dateValue, DESCRIPTION a.description,
    ISPRIMARY a.isPrimary, TENANTID a.tenantId, SUBTENANTID a.subtenantId
    from "contactAttribute" a join "contact" c on c."contactId" = a."contactId"
"""
TABLES = {
    "interaction": "Interaction",
    "emailIn": "EmailIn",
    "emailOut": "EmailOut",
    "chat": "Chat",
    "phoneCall": "PhoneCall",
    "callback": "Callback",
    "coBrowse": "CoBrowse",
    "document": "Document",
    "attachment": "Attachment",
    "contact": "Contact",
    "contactAttribute": "ContactAttribute",
}
INSTANTS = {
    *("STARTDATE", "MODIFIEDDATE", "ENDDATE", "SENTDATE", "SentDateEmailOut", "ESTABLISHEDDATE"),
    *("RELEASEDDATE", "STARTTIME", "ENDTIME", "CREATEDDATE", "DATEVALUE"),
}


def spelled(query: str, names: str) -> str:
    """Spell the names in quotes, which are camels, as a database does."""
    if names == "camel":
        return query
    upper = names == "upper"
    return re.sub(
        r'"(\w+)"',
        lambda found: f'"{TABLES.get(found[1], found[1].upper()) if upper else found[1].lower()}"',
        query,
    )


@contextmanager
def connected(url: str) -> Iterator[sqlalchemy.Connection]:
    url = url.replace("postgresql://", "postgresql+psycopg://")
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        yield connection


def select(url: str, query: str, names: str = "upper") -> Sequence[Any]:
    with connected(url) as connection:
        return connection.exec_driver_sql(spelled(query, names)).all()


def rows_of(url: str, view: str, names: str = "upper") -> Iterator[Record]:
    """Yield the records of a view, streamed."""
    fields, _, tables = view.partition("\n    from ")
    columns = re.findall(r"(\w+) (\w+)\.(\w+)", fields)
    listed = ", ".join(f'{table}."{column}"' for _, table, column in columns)
    with connected(url) as connection:
        query = spelled(f"select {listed} from {tables}", names)
        streamed = connection.execution_options(stream_results=True, yield_per=1000)
        for row in streamed.exec_driver_sql(query):
            yield {
                field: merged(field, value)
                for (field, _, _), value in zip(columns, row, strict=True)
                if value is not None
            }


def joined(url: str, view: str, names: str) -> dict[str, Record]:
    """Return the records of a view by their first field, which is their key."""
    return {next(iter(record.values())): record for record in rows_of(url, view, names)}


def digest(records: Iterable[Record]) -> tuple[int, int]:
    """Return how many records there are, and what tells their contents, whatever their order."""
    count = total = 0
    for record in records:
        text = json.dumps(record, sort_keys=True, ensure_ascii=False)
        total += int.from_bytes(hashlib.sha256(text.encode()).digest())
        count += 1
    return count, total % 2**256


def merged(field: str, value: Any) -> Any:
    """Return a value of a column as the schema has it."""
    if field in INSTANTS:
        is_text = isinstance(value, str)
        instant = datetime.strptime(value, "%Y-%m-%d %H:%M:%S.%f") if is_text else value
        assert instant.tzinfo is None
        return instant.isoformat(timespec="milliseconds") + "Z"
    if field == "ALLATTRIBUTES":
        return json.loads(value)
    if field.startswith("DATEATTRIBUTE"):
        assert isinstance(value, int)
        return str(value)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return int(value) if isinstance(value, bool) else value
