"""The structures of an encrypted message: EnvelopedData and AuthEnvelopedData (RFC 5652, 5083).

Place: between the parser, which knows BER only, and decryption, which knows keys. It needs no key:
what it finds before the content is a value, `MessageHeader`, which can be shown to anybody. It
refuses other content types, and what stands in a wrong place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import attrs

from cdds.crypto import ber
from cdds.crypto.algorithms import (
    CipherIdentifier,
    KeyTransportIdentifier,
    cipher_identifier,
    key_transport_identifier,
)
from cdds.crypto.ber_parser import CONSTRUCTED, Element, Parser, malformed
from cdds.crypto.names import shown_name
from cdds.crypto.recognition import Form, MessageSource, Recognised, recognised
from cdds.errors import MessageError

MessageKind: TypeAlias = Literal["EnvelopedData", "AuthEnvelopedData"]

MAX_RECIPIENTS = 5_000
"""The most recipients of a message."""
MAX_ATTRIBUTES = 64 * 1024
"""The most octets of authenticated attributes."""

_DATA = "1.2.840.113549.1.7"
_KINDS: dict[str, MessageKind] = {
    f"{_DATA}.3": "EnvelopedData",
    "1.2.840.113549.1.9.16.1.23": "AuthEnvelopedData",
}
_OTHER_KINDS = {
    f"{_DATA}.1": "Data",
    f"{_DATA}.2": "SignedData",
    f"{_DATA}.5": "DigestedData",
    f"{_DATA}.6": "EncryptedData",
    "1.2.840.113549.1.9.16.1.2": "AuthenticatedData",
    "1.2.840.113549.1.9.16.1.9": "CompressedData",
}
_RECIPIENT_KINDS = {
    0xA1: "key agreement",
    0xA2: "key encryption key",
    0xA3: "password",
    0xA4: "other",
}
_ORIGINATOR_INFO = ber.CONTEXT_0
_SUBJECT_KEY_IDENTIFIER = 0x80
_ENCRYPTED_CONTENT = 0x80
_ATTRIBUTES = ber.CONTEXT_1
_UNAUTHENTICATED_ATTRIBUTES = 0xA2


@attrs.frozen
class RecipientHeader:
    """Somebody whom a message is for, as far as the message says who that is.

    Attributes:
        kind: ``"key transport"``, the only one that is read here, or the name of another
            (RFC 5652, section 6.2).
        issuer: who issued the recipient's certificate, in RFC 4514's form.
        serial_number: of that certificate.
        subject_key_identifier: of the certificate, where it stands in the place of these two.
        key_transport: how the content key is encrypted.
        issuer_der: the issuer's name in DER, by which it is compared.
        encrypted_key: the content key, encrypted.
    """

    kind: str
    issuer: str | None = None
    serial_number: int | None = None
    subject_key_identifier: bytes | None = None
    key_transport: KeyTransportIdentifier | None = None
    issuer_der: bytes = attrs.field(default=b"", repr=False)
    encrypted_key: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class MessageHeader:
    """What can be told of an encrypted message without a key. Nothing of it is proven.

    Attributes:
        form: how it is written down.
        kind: which structure of CMS it is.
        recipients: whom it is for.
        content_type: the OID of what is encrypted; 1.2.840.113549.1.7.1 for any bytes.
        cipher: what the content is encrypted with.
    """

    form: Form
    kind: MessageKind
    recipients: tuple[RecipientHeader, ...]
    content_type: str
    cipher: CipherIdentifier

    @property
    def is_authenticated(self) -> bool:
        """Whether the end of the content proves that the content was not changed."""
        return self.kind == "AuthEnvelopedData"


@attrs.frozen
class Ending:
    """What comes after the content.

    Attributes:
        mac: what authenticates the content, where something does.
        attributes: what is authenticated beside it: the authenticated attributes in DER, as
            a SET OF (RFC 5083, section 2.2); empty where there are none.
    """

    mac: bytes = b""
    attributes: bytes = b""


class EncryptedMessage:
    """A message that is being read: its header now, then the ciphertext, then the ending.

    Attributes:
        header: what was read at once.

    Raises:
        MessageError: it is malformed or of another kind.
    """

    def __init__(self, message: MessageSource | Recognised) -> None:
        found = message if isinstance(message, Recognised) else recognised(message)
        self._may_follow = found.may_follow
        self._parser = Parser(found.octets)
        self._depth = 0
        kind = self._kind()
        recipients = self._recipients()
        content_type, cipher = self._encrypted_content_info()
        self.header = MessageHeader(found.form, kind, recipients, content_type, cipher)

    def ciphertext(self) -> Iterator[memoryview]:
        """Yield the encrypted content, once."""
        self._check_content()
        yield from self._parser.string(_ENCRYPTED_CONTENT)
        self._leave()

    def ciphertext_pieces(self) -> Iterator[int]:
        """Yield the size of each piece of the encrypted content; the caller takes its octets."""
        self._check_content()
        yield from self._parser.string_pieces(_ENCRYPTED_CONTENT)
        self._leave()

    def ending(self) -> Ending:
        """Return what comes after the content, and make sure that nothing comes after that."""
        ending = self._authentication() if self.header.is_authenticated else Ending()
        self._skip_optional(
            _UNAUTHENTICATED_ATTRIBUTES if self.header.is_authenticated else _ATTRIBUTES
        )
        while self._depth:
            self._leave()
        self._parser.end(self._may_follow)
        return ending

    def _check_content(self) -> None:
        if self._parser.next_tag() not in {_ENCRYPTED_CONTENT, _ENCRYPTED_CONTENT | CONSTRUCTED}:
            raise MessageError("the message has no content; it may be in another file")

    def _kind(self) -> MessageKind:
        """Go into the structure, with ContentInfo around it (RFC 5652, section 3) or without."""
        self._enter(ber.SEQUENCE)
        kind: MessageKind = "EnvelopedData"
        if self._parser.next_tag() == ber.OBJECT_IDENTIFIER:
            kind = _kind_of(self._parser.element().object_identifier())
            self._enter(ber.CONTEXT_0)
            self._enter(ber.SEQUENCE)
        self._parser.element().integer()  # the version follows from the rest
        return kind

    def _recipients(self) -> tuple[RecipientHeader, ...]:
        self._skip_optional(_ORIGINATOR_INFO)
        self._enter(ber.SET)
        recipients: list[RecipientHeader] = []
        while not self._parser.at_end():
            if len(recipients) == MAX_RECIPIENTS:
                raise MessageError(f"the message has more than {MAX_RECIPIENTS} recipients")
            recipients.append(_recipient(self._parser.element()))
        self._leave()
        return tuple(recipients)

    def _encrypted_content_info(self) -> tuple[str, CipherIdentifier]:
        self._enter(ber.SEQUENCE)
        content_type = self._parser.element().object_identifier()
        return content_type, cipher_identifier(self._parser.element())

    def _authentication(self) -> Ending:
        attributes = b""
        if self._parser.next_tag() == _ATTRIBUTES:
            attributes = self._parser.element().der(ber.SET)
            if len(attributes) > MAX_ATTRIBUTES:
                malformed("its authenticated attributes are too large")
        mac = self._parser.element().primitive(ber.OCTET_STRING)
        if len(mac) != self.header.cipher.mac_size:
            malformed("its MAC is not as long as it says")
        return Ending(mac, attributes)

    def _skip_optional(self, tag: int) -> None:
        if self._parser.next_tag() == tag:
            self._parser.skip()

    def _enter(self, tag: int) -> None:
        self._parser.enter(tag)
        self._depth += 1

    def _leave(self) -> None:
        self._parser.leave()
        self._depth -= 1


def _kind_of(oid: str) -> MessageKind:
    if oid not in _KINDS:
        raise MessageError(
            f"the message is {_OTHER_KINDS.get(oid, oid)}; "
            "EnvelopedData and AuthEnvelopedData can be decrypted (RFC 5652, RFC 5083)"
        )
    return _KINDS[oid]


def _recipient(info: Element) -> RecipientHeader:
    """Return a RecipientInfo (RFC 5652, section 6.2)."""
    if info.tag != ber.SEQUENCE:
        if info.tag not in _RECIPIENT_KINDS:
            malformed("a recipient is of no known kind")
        return RecipientHeader(_RECIPIENT_KINDS[info.tag])
    version, identifier, algorithm, encrypted_key = info.children(ber.SEQUENCE, 4, 4)
    version.integer()
    return attrs.evolve(
        _identified_recipient(identifier),
        key_transport=key_transport_identifier(algorithm),
        encrypted_key=encrypted_key.octets(),
    )


def _identified_recipient(identifier: Element) -> RecipientHeader:
    """Return who is meant by a RecipientIdentifier (RFC 5652, section 6.2.1)."""
    if identifier.tag & ~CONSTRUCTED == _SUBJECT_KEY_IDENTIFIER:
        return RecipientHeader("key transport", subject_key_identifier=identifier.octets())
    issuer, serial_number = identifier.children(ber.SEQUENCE, 2, 2)
    return RecipientHeader(
        "key transport",
        issuer=shown_name(issuer),
        serial_number=serial_number.integer(),
        issuer_der=issuer.der(),
    )
