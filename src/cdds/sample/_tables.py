"""How a UCS database keeps the records: which tables, which columns, which of their fields.

Place: over the makers of records, below `_load`. A record that is merged in the export is taken
apart here, into rows of plain values that SQLite and PostgreSQL both take. It refuses a record
whose kind has no place; what has no column is listed in `LEFT_OUT`.
"""

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import orjson

from cdds.sample._fields import ATTRIBUTE, CONTACT, INTERACTION
from cdds.sample._lines import Record

LEFT_OUT: Mapping[str, frozenset[str]] = {"EmailOut": frozenset({"HEADER"})}
"""The fields of a record that the database does not keep, by the table of its kind.

Only mails that came in have a column for their header. The header of a mail that went out still
begins its original document.
"""

_KEYS = {"ID", "THREADID", "DOCUMENTID", "ENTITYID"}
_INSTANTS = {
    *("STARTDATE", "MODIFIEDDATE", "ENDDATE", "SENTDATE", "SentDateEmailOut"),
    *("ESTABLISHEDDATE", "RELEASEDDATE", "STARTTIME", "ENDTIME", "CREATEDDATE", "DATEVALUE"),
}


@attrs.frozen(eq=False)
class Table:
    """A table: its name, its columns, and the field of the record that each of them keeps."""

    name: str
    columns: tuple[str, ...]
    fields: tuple[str, ...]
    own_keys: tuple[int, ...] = attrs.field(init=False)
    """Where the keys stand that are one interaction's and its documents' own."""
    instants: tuple[int, ...] = attrs.field(init=False)
    """Where the instants stand."""

    @own_keys.default
    def _find_own_keys(self) -> tuple[int, ...]:
        return tuple(place for place, name in enumerate(self.columns) if name in _KEYS)

    @instants.default
    def _find_instants(self) -> tuple[int, ...]:
        return tuple(place for place, name in enumerate(self.fields) if name in _INSTANTS)


Row: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = list[tuple[Table, Row]]


def _table(name: str, columns: str | Sequence[str], **other_fields: str) -> Table:
    """Make a table whose columns keep the fields of the same name, but for some."""
    columns = tuple(columns.split() if isinstance(columns, str) else columns)
    return Table(name, columns, tuple(other_fields.get(column, column) for column in columns))


def _interaction_columns() -> list[str]:
    """Return the fields to LANG, which are all interactions', as the database names them."""
    shared = INTERACTION[1 : INTERACTION.index("LANG") + 1]
    renamed = ("QUEUENAME" if field == "QUEUEENAME" else field for field in shared)
    return ["ID", *renamed, "SUBSCRIBERID"]


_ADDRESSES = "FROMADDRESS FROMPERSONAL REPLYTOADDRESS TOADDRESSES CCADDRESSES BCCADDRESSES SENTDATE"
_CALLBACK = """
    ID CALLBACKSTATUS DETAILEDDESCRIPTION CUSTOMDATA DESIREDRESPONSETYPE STARTTIME ENDTIME
    CUSTOMERNUMBER ATTEMPTS DN LOCATION CALLBACKSERVERID CALLRESULT THETYPE
"""

_INTERACTION = _table("Interaction", _interaction_columns(), ID="IXNID", QUEUENAME="QUEUEENAME")
_KINDS = {
    0: _table("EmailIn", f"ID {_ADDRESSES} MAILBOX WHICHRULEMATCHED EMAILOUTID HEADER", ID="IXNID"),
    1: _table(
        "EmailOut",
        f"ID {_ADDRESSES} FORWARD REFERENCEID REVIEWERID STANDARDRESPONSEID",
        ID="IXNID",
        FROMADDRESS="FromAddressEmailOut",
        FROMPERSONAL="FromPersonalEmailOut",
        REPLYTOADDRESS="ReplyToAddressEmailOut",
        TOADDRESSES="ToAddressesEmailOut",
        CCADDRESSES="CcAddressesEmailOut",
        BCCADDRESSES="BccAddressesEmailOut",
        SENTDATE="SentDateEmailOut",
    ),
    2: _table("Chat", "ID ESTABLISHEDDATE RELEASEDDATE", ID="IXNID"),
    3: _table("PhoneCall", "ID DURATION OUTCOME PHONENUMBER TCONNECTIONID", ID="IXNID"),
    5: _table("Callback", _CALLBACK, ID="IXNID"),
    6: _table("CoBrowse", "ID", ID="IXNID"),
}
_OPEN_MEDIA = 7
_DOCUMENT = _table("Document", "ID MIMETYPE THENAME DESCRIPTION THESIZE CONTENT")
_ORIGINAL = attrs.evolve(_DOCUMENT, fields=("IXNID", *_DOCUMENT.fields[1:]))
_ATTACHMENT = _table("Attachment", "DOCUMENTID ENTITYID ENTITYTYPEID")
_CONTACT = _table("Contact", CONTACT)
_ATTRIBUTE = _table("ContactAttribute", ATTRIBUTE)

TABLES = (_INTERACTION, *_KINDS.values(), _DOCUMENT, _ATTACHMENT, _CONTACT, _ATTRIBUTE)
"""All tables, each after those that it refers to."""


def rows_of_interaction(record: Record, documents: Iterable[Record]) -> Rows:
    """Take a merged interaction and its documents apart.

    Raises:
        KeyError: no such kind of interaction.
    """
    values = _values(record)
    rows = [(_INTERACTION, _row(_INTERACTION, values))]
    if (kind := record["ENTITYTYPEID"]) != _OPEN_MEDIA:
        rows.append((_KINDS[kind], _row(_KINDS[kind], values)))
    if "CONTENT" in record:
        rows.append((_DOCUMENT, _row(_ORIGINAL, values)))
    for document in documents:
        rows += ((table, _row(table, _values(document))) for table in (_DOCUMENT, _ATTACHMENT))
    return rows


def row_of_contact(record: Record) -> tuple[Table, Row]:
    """Return the row of a contact."""
    return _CONTACT, _row(_CONTACT, _values(record))


def row_of_attribute(record: Record) -> tuple[Table, Row]:
    """Return the row of a contact's attribute."""
    return _ATTRIBUTE, _row(_ATTRIBUTE, _values(record))


def _row(table: Table, values: Record) -> Row:
    return tuple(map(values.get, table.fields))


def _values(record: Record) -> Record:
    """Return what the database keeps in place of what the record says."""
    kept = {name: _KEPT[name](record[name]) for name in record.keys() & _KEPT.keys()}
    return record | kept


def _instant(text: str) -> str:
    """Write an instant as SQLite's own functions do, which PostgreSQL reads as well."""
    return text[:-1].replace("T", " ")


_KEPT: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_INSTANTS, _instant),
    **dict.fromkeys(("HEADER", "CONTENT", "BINVALUE"), b64decode),
    **dict.fromkeys((f"DATEATTRIBUTE{number}" for number in (1, 2, 3)), int),
    "ALLATTRIBUTES": orjson.dumps,
}
