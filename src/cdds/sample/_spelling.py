"""How deployments spell the names of tables and columns: in capitals, in small letters, in camels.

Place: below `_databases`. It knows the names of a UCS database, and refuses all others.
"""

import re
from collections.abc import Callable, Mapping

_CAMEL = """
    interaction emailIn emailOut chat phoneCall callback coBrowse document attachment contact
    contactAttribute

    id status entityTypeId mediaTypeId typeId subtypeId externalId ownerId contactId parentId
    startDate modifiedDate endDate threadId categoryId timeShift subject text structuredText
    structTextMimeType theComment tenantId subtenantId threadHash canBeParent creatorAppId
    queueName allAttributes isSpam webSafeEmailStatus isCategoryApproved stoppedReason lang
    subscriberId fromAddress fromPersonal replyToAddress toAddresses ccAddresses bccAddresses
    sentDate mailbox whichRuleMatched emailOutId header forward referenceId reviewerId
    standardResponseId establishedDate releasedDate duration outcome phoneNumber tConnectionId
    callbackStatus detailedDescription customData desiredResponseType startTime endTime
    customerNumber attempts dn location callbackServerId callResult theType mimeType theName
    description theSize content documentId entityId isExternalResource createdDate mergeId
    attributeId attributeName strValue strValueLowerCase binValue dateValue isPrimary
    strAttribute intAttribute dateAttribute
"""
_CAMELS = {name.lower(): name for name in _CAMEL.split()}
_QUOTED = re.compile(r'"(\w+)"')


def _camel(name: str) -> str:
    word = name.rstrip("0123456789")
    return _CAMELS[word.lower()] + name[len(word) :]


SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "upper": str,  # as the layout has it: Interaction, EmailIn; ID, STARTDATE
    "lower": str.lower,
    "camel": _camel,
}
"""What makes a canonical name one of the spelling."""


def respelled(statement: str, names: str) -> str:
    """Return a statement with the names in quotes in another spelling.

    >>> respelled('select "STARTDATE" from "PhoneCall"', "camel")
    'select "startDate" from "phoneCall"'
    """
    spell = SPELLINGS[names]
    return _QUOTED.sub(lambda found: f'"{spell(found[1])}"', statement)
