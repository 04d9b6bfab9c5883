"""The SELECTs that people would write by hand to get Contact History out of a UCS database."""

from __future__ import annotations

from collections.abc import Iterator

from cdds import datasets

_JOINS = {
    "interaction": """"Interaction" i
LEFT JOIN "EmailIn" ei ON ei."ID" = i."ID" LEFT JOIN "EmailOut" eo ON eo."ID" = i."ID"
LEFT JOIN "Chat" ch ON ch."ID" = i."ID" LEFT JOIN "PhoneCall" pc ON pc."ID" = i."ID"
LEFT JOIN "Callback" cb ON cb."ID" = i."ID" LEFT JOIN "CoBrowse" co ON co."ID" = i."ID"
LEFT JOIN "Document" d ON d."ID" = i."ID\"""",
    "document": """"Attachment" a JOIN "Document" d ON d."ID" = a."DOCUMENTID"
JOIN "Interaction" i ON i."ID" = a."ENTITYID\"""",
}
_TABLES = {
    "ei": "FROMADDRESS FROMPERSONAL REPLYTOADDRESS TOADDRESSES CCADDRESSES BCCADDRESSES SENTDATE "
    "MAILBOX WHICHRULEMATCHED EMAILOUTID HEADER",
    "eo": "FORWARD REFERENCEID REVIEWERID STANDARDRESPONSEID",
    "ch": "ESTABLISHEDDATE RELEASEDDATE",
    "pc": "DURATION OUTCOME PHONENUMBER TCONNECTIONID",
    "cb": "CALLBACKSTATUS DETAILEDDESCRIPTION CUSTOMDATA DESIREDRESPONSETYPE STARTTIME ENDTIME "
    "CUSTOMERNUMBER ATTEMPTS DN LOCATION CALLBACKSERVERID CALLRESULT THETYPE",
    "d": "MIMETYPE THESIZE CONTENT THENAME DESCRIPTION",
}
_ALIASES = {name: alias for alias, names in _TABLES.items() for name in names.split()}
_BINARY = {"HEADER", "CONTENT"}
_TIMES = {
    *("STARTDATE", "MODIFIEDDATE", "ENDDATE", "SENTDATE", "SentDateEmailOut"),
    *("ESTABLISHEDDATE", "RELEASEDDATE", "STARTTIME", "ENDTIME"),
}
_FLAGS = {"CANBEPARENT", "ISSPAM", "ISCATEGORYAPPROVED", "FORWARD"}


def postgresql(data_file: str, where: str) -> str:
    """Return what psql copies out: one JSON object a row."""
    return f"SELECT row_to_json(r) FROM ({_select(data_file, where, _in_postgresql)}) r"


def sqlite(data_file: str, where: str) -> str:
    """Return what `sqlite3 -json` prints."""
    return _select(data_file, where, _in_sqlite)


def counting(data_file: str, where: str) -> str:
    """Return what counts the same rows."""
    return f"SELECT count(*) FROM {_JOINS[data_file]} WHERE {where}"


def _select(data_file: str, where: str, expression: object) -> str:
    assert callable(expression)
    columns = [f'{expression(name, place)} AS "{name}"' for name, place in _columns(data_file)]
    return f"SELECT {', '.join(columns)} FROM {_JOINS[data_file]} WHERE {where}"


def _columns(data_file: str) -> Iterator[tuple[str, str]]:
    """Yield the properties of a data file, and where each of them is."""
    files = {file.name: file for file in datasets.INTERACTION.files}
    for name in files[data_file].schema["properties"]:
        if data_file == "document":
            link = {"ID": 'd."ID"', "DOCUMENTID": 'a."DOCUMENTID"', "ENTITYID": 'a."ENTITYID"'}
            yield name, link.get(name, f'a."{name}"' if name == "ENTITYTYPEID" else f'd."{name}"')
        elif name.endswith("EmailOut"):
            yield name, f'eo."{name.removesuffix("EmailOut").upper()}"'
        else:
            column = {"IXNID": "ID", "QUEUEENAME": "QUEUENAME"}.get(name, name)
            yield name, f'{_ALIASES.get(name, "i")}."{column}"'


def _in_postgresql(name: str, place: str) -> str:
    if name in _BINARY:
        return f"replace(encode({place}, 'base64'), E'\\n', '')"
    if name == "ALLATTRIBUTES":
        return f"convert_from({place}, 'UTF8')::json"
    if name in _TIMES:
        return f"""to_char({place}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
    return f"{place}::int" if name in _FLAGS else place


def _in_sqlite(name: str, place: str) -> str:
    if name in _BINARY:
        encoded = f"replace(base64({place}), char(10), '')"
        return f"CASE WHEN {place} IS NOT NULL THEN {encoded} END"
    if name in _TIMES:
        return f"replace({place}, ' ', 'T') || 'Z'"
    return f"CAST({place} AS TEXT)" if name == "ALLATTRIBUTES" else place
