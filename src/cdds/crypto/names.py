"""Shows the Name of an X.509 certificate to people, as RFC 4514 writes it.

Place: beside `message`, for the issuers that recipients are told by. It compares nothing: names
are compared by their octets.
"""

from __future__ import annotations

from cdds.crypto import ber
from cdds.crypto.ber_parser import Element
from cdds.location import printable

_SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
_CODECS = {0x0C: "utf-8", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}  # the others: a byte a character
_MAX_PARTS = 100
_ESCAPED = frozenset(',+"\\<>;')


def shown_name(name: Element) -> str:
    """Return a Name (RFC 5280, section 4.1.2.4), the part that says most first.

    Raises:
        MessageError: it is no Name.
    """
    parts = name.children(ber.SEQUENCE, 0, _MAX_PARTS)
    return ",".join(
        "+".join(map(_shown_attribute, part.children(ber.SET, 1, _MAX_PARTS)))
        for part in reversed(parts)
    )


def _shown_attribute(attribute: Element) -> str:
    kind, value = attribute.children(ber.SEQUENCE, 2, 2)
    oid = kind.object_identifier()
    text = value.octets().decode(_CODECS.get(value.tag, "latin-1"), "replace")
    escaped = "".join(f"\\{c}" if c in _ESCAPED else c for c in printable(text))
    return f"{_SHORT.get(oid, oid)}={escaped}"
