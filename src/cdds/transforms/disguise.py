"""What hides values and keeps fields: `Mask` and `Pseudonymise`.

Place: above texts, beside the other rules. No representation, message or pseudonym shows a key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, ClassVar

import attrs
import msgspec

from cdds.errors import JobError
from cdds.transforms.fields import OfFields, Write, checked_fields, joined
from cdds.transforms.reach import Change
from cdds.transforms.schemas import Schema, of_texts
from cdds.transforms.texts import Turn, canonical, is_boolean, text_of, turned

MIN_KEY = 16
"""The least bytes of a key for pseudonyms."""

_PSEUDONYM = 32
_KEY_NAME = b"\0cdds: the name of a key"
_MOST_KEPT = 1000


class _OfTexts(OfFields):
    """What the rules share that turn texts and numbers into other texts."""

    __slots__ = ()

    def _schema(self, schema: Schema) -> Any:
        return of_texts(schema, self._remark())

    def _remark(self) -> str:
        raise NotImplementedError

    def _turn(self) -> Turn:
        raise NotImplementedError

    def _change(self, field: str, write: Write) -> Change:  # noqa: ARG002
        turn = self._turn()
        return lambda node: turned(node, turn)


def _checked_count(_: object, __: object, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_KEPT:
        raise JobError(f"keep_last is a whole number from 0 to {_MOST_KEPT}")


def _checked_character(_: object, __: object, value: Any) -> None:
    if not isinstance(value, str) or len(value) != 1 or not value.isprintable():
        raise JobError("the character of a mask is one printable character, such as '*'")


@attrs.frozen(init=False)
class Mask(_OfTexts):
    """Puts a star for each character of a text or a number, but for the last ones.

    A value that is no longer than what is kept would be shown whole, so it is masked whole. True
    and false become four characters. Nulls stay; of an object or an array each value is masked,
    not the names. How long a value is can still be seen.

    Attributes:
        fields: the paths of the fields.
        keep_last: how many characters at the end are shown.
        character: what stands for each other one.

    >>> Mask("PHONENUMBER", keep_last=4)  # "+493012345678" becomes "*********5678"

    Raises:
        JobError: no field is given, one is no path, or another value is out of its range.
    """

    kind: ClassVar[str] = "mask"
    fields: tuple[str, ...] = attrs.field(validator=checked_fields)
    keep_last: int = attrs.field(validator=_checked_count)
    character: str = attrs.field(validator=_checked_character)

    def __init__(self, *fields: str, keep_last: int = 0, character: str = "*") -> None:
        self.__attrs_init__(fields, keep_last, character)

    def describe(self) -> str:
        """Return what it does, in words."""
        return f"masks {joined(self.fields)}{self._but_for}"

    def listing(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        return super().listing() | {"keep_last": self.keep_last, "character": self.character}

    @property
    def _but_for(self) -> str:
        return f" but for the last {self.keep_last} characters" if self.keep_last else ""

    def _remark(self) -> str:
        return f"masked with {self.character!r}{self._but_for}"

    def _turn(self) -> Turn:
        keep_last, character = self.keep_last, self.character

        def turn(raw: msgspec.Raw) -> bytes:
            if is_boolean(raw):
                return json.dumps(character * 4).encode()
            text = text_of(raw)
            shown = text[-keep_last:] if 0 < keep_last < len(text) else ""
            return json.dumps(character * (len(text) - len(shown)) + shown).encode()

        return turn


def _checked_key(_: object, __: object, value: Any) -> None:
    if not isinstance(value, bytes) or len(value) < MIN_KEY:
        raise JobError(
            f"the key of pseudonyms is bytes, at least {MIN_KEY}, such as secrets.token_bytes(32)"
        )


@attrs.frozen(init=False)
class Pseudonymise(_OfTexts):
    """Puts a pseudonym for each text or number: the same for one value everywhere.

    The pseudonym is the first 128 bits of the HMAC-SHA-256 of the value under the key, as 32
    hexadecimal digits. A text is taken in UTF-8, a number by its decimal digits, so that ``7`` and
    ``"7"`` have one pseudonym. Whoever has the key can tell whether a pseudonym stands for a value
    they guess; nobody else can. Nulls stay; of an object or an array each value becomes a
    pseudonym, not the names.

    Attributes:
        fields: the paths of the fields.
        key: at least 16 bytes that nobody else knows; no representation shows it.

    >>> Pseudonymise("CONTACTID", "ALLATTRIBUTES.ContactId", key=secret)

    Raises:
        JobError: no field is given, one is no path, or the key is too short.
    """

    kind: ClassVar[str] = "pseudonymise"
    fields: tuple[str, ...] = attrs.field(validator=checked_fields)
    key: bytes = attrs.field(repr=False, validator=_checked_key)

    def __init__(self, *fields: str, key: bytes) -> None:
        self.__attrs_init__(fields, key)

    @property
    def key_id(self) -> str:
        """What tells whether two exports share a key, and nothing else of it."""
        named = hmac.digest(self.key, _KEY_NAME, "sha256")
        return hashlib.sha256(named).hexdigest()[:16]

    def describe(self) -> str:
        """Return what it does, in words."""
        return f"pseudonymises {joined(self.fields)} with HMAC-SHA-256 (key {self.key_id})"

    def listing(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        return super().listing() | {"algorithm": "HMAC-SHA-256", "key_id": self.key_id}

    def _remark(self) -> str:
        return f"pseudonymised with HMAC-SHA-256 (key {self.key_id})"

    def _turn(self) -> Turn:
        key = self.key

        def turn(raw: msgspec.Raw) -> bytes:
            digest = hmac.digest(key, canonical(raw), "sha256")
            return b'"%b"' % digest.hex()[:_PSEUDONYM].encode("ascii")

        return turn
