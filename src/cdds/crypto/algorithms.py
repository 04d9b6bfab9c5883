"""Which algorithms a message names: what they are called, and which of them are read here.

Place: below `message`, which finds their AlgorithmIdentifiers. An algorithm that is not read still
has a name, so that a message can be described without being opened, and be refused by that name.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from cdds.crypto import ber
from cdds.crypto.ber_parser import Element, malformed, optional
from cdds.crypto.content import BLOCK
from cdds.errors import MessageError

Identified: TypeAlias = tuple[str, Element | None]
"""An AlgorithmIdentifier: the OID, and the parameters if there are any."""

_AES = "2.16.840.1.101.3.4.1"
_PKCS1 = "1.2.840.113549.1.1"
_RSA_ENCRYPTION, _RSAES_OAEP = f"{_PKCS1}.1", f"{_PKCS1}.7"
_MGF1, _P_SPECIFIED = f"{_PKCS1}.8", f"{_PKCS1}.9"
_CBC_KEY_SIZES = {f"{_AES}.2": 16, f"{_AES}.22": 24, f"{_AES}.42": 32}
_GCM_KEY_SIZES = {f"{_AES}.6": 16, f"{_AES}.26": 24, f"{_AES}.46": 32}
_CCM = (f"{_AES}.7", f"{_AES}.27", f"{_AES}.47")
_SHA1 = "1.3.14.3.2.26"
_SHA2 = "2.16.840.1.101.3.4.2"
_HASH_NAMES = {
    _SHA1: "sha1",
    f"{_SHA2}.1": "sha256",
    f"{_SHA2}.2": "sha384",
    f"{_SHA2}.3": "sha512",
}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303  # OAEP does not need it to resist collisions
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_NOT_READ = {
    "1.2.840.113549.3.7": "des-ede3-cbc",
    "1.3.14.3.2.7": "des-cbc",
    "1.2.840.113549.3.2": "rc2-cbc",
    "1.2.840.113549.3.4": "rc4",
    "1.2.840.113549.1.9.16.3.18": "chacha20-poly1305",
    "1.2.840.113549.1.9.16.3.31": "cek-hkdf-sha256",
    **{oid: f"aes-{size}-ccm" for oid, size in zip(_CCM, (128, 192, 256), strict=True)},
}

_DEFAULT_MAC_SIZE = 12  # RFC 5084, section 3.2
_CONTEXT_2 = 0xA2
_NONCE_SIZES = range(8, 129)  # RFC 5084 recommends 12; what `cryptography` can use


@attrs.frozen
class CipherIdentifier:
    """A content-encryption algorithm as a message names it.

    Attributes:
        name: what it is called, ``"aes-256-gcm"``; an OID where it is not known.
        key_size: the bytes of its key; 0 where it is not read here.
        nonce: its nonce, or the IV of CBC.
        mac_size: the bytes of its MAC; 0 where nothing authenticates the content.
    """

    name: str
    key_size: int = 0
    nonce: bytes = b""
    mac_size: int = 0


@attrs.frozen
class KeyTransportIdentifier:
    """How a content key is encrypted for a recipient, as a message names it.

    Attributes:
        name: what it is called: ``"pkcs1v15"``, ``"oaep-sha256"``; with ``-mgf1-sha1`` where the
            hash of the mask is another; an OID where the algorithm is not read here.
        hash: the hash of OAEP, ``"sha256"``; None for anything else.
        mask_hash: the hash of its mask generation function, MGF1.
        label: the label of OAEP, hardly ever used.
    """

    name: str
    hash: str | None = None
    mask_hash: str | None = None
    label: bytes = b""

    def __str__(self) -> str:
        return self.name

    @property
    def is_read(self) -> bool:
        """Whether a key that is encrypted with it can be decrypted here."""
        return self.name == "pkcs1v15" or self.hash is not None

    @property
    def padding(self) -> padding.AsymmetricPadding:
        """The padding of RSA that it stands for."""
        if self.hash is None or self.mask_hash is None:
            return padding.PKCS1v15()
        mask = padding.MGF1(_HASHES[self.mask_hash])
        return padding.OAEP(mask, _HASHES[self.hash], self.label or None)


def identified(element: Element) -> Identified:
    """Return what an AlgorithmIdentifier says (RFC 5280, section 4.1.1.2)."""
    oid, *parameters = element.children(ber.SEQUENCE, 1, 2)
    return oid.object_identifier(), parameters[0] if parameters else None


def cipher_identifier(element: Element) -> CipherIdentifier:
    """Return the content cipher that an AlgorithmIdentifier names.

    Raises:
        MessageError: its parameters are malformed, or its IV, nonce or MAC has a wrong size.
    """
    oid, parameters = identified(element)
    if oid in _CBC_KEY_SIZES:
        return _cbc(_CBC_KEY_SIZES[oid], parameters)
    if oid in _GCM_KEY_SIZES:
        return _gcm(_GCM_KEY_SIZES[oid], parameters)
    return CipherIdentifier(_NOT_READ.get(oid, oid))


def key_transport_identifier(element: Element) -> KeyTransportIdentifier:
    """Return the key transport that an AlgorithmIdentifier names.

    Raises:
        MessageError: its parameters are malformed.
    """
    oid, parameters = identified(element)
    if oid == _RSA_ENCRYPTION:
        return KeyTransportIdentifier("pkcs1v15")
    if oid == _RSAES_OAEP:
        return _oaep(parameters)
    return KeyTransportIdentifier(oid)


def _cbc(key_size: int, parameters: Element | None) -> CipherIdentifier:
    """``AES-IV ::= OCTET STRING (SIZE(16))`` (RFC 3565, section 2.3.2)."""
    iv = _required(parameters).primitive(ber.OCTET_STRING)
    if len(iv) != BLOCK:
        raise MessageError(
            f"the IV of the message has {len(iv)} bytes, not {BLOCK} (RFC 3565, section 2.3.2)"
        )
    return CipherIdentifier(f"aes-{key_size * 8}-cbc", key_size, iv)


def _gcm(key_size: int, parameters: Element | None) -> CipherIdentifier:
    """``GCMParameters ::= SEQUENCE { nonce, ICVlen DEFAULT 12 }`` (RFC 5084, section 3.2)."""
    nonce_element, *rest = _required(parameters).children(ber.SEQUENCE, 1, 2)
    nonce = nonce_element.primitive(ber.OCTET_STRING)
    mac_size = rest[0].integer() if rest else _DEFAULT_MAC_SIZE
    if len(nonce) not in _NONCE_SIZES:
        raise MessageError(
            f"the nonce of the message has {len(nonce)} bytes; "
            f"{_NONCE_SIZES.start} to {_NONCE_SIZES[-1]} are read"
        )
    if not _DEFAULT_MAC_SIZE <= mac_size <= BLOCK:
        raise MessageError(
            f"the MAC of the message has {mac_size} bytes, "
            f"not {_DEFAULT_MAC_SIZE} to {BLOCK} (RFC 5084, section 3.2)"
        )
    return CipherIdentifier(f"aes-{key_size * 8}-gcm", key_size, nonce, mac_size)


def _oaep(parameters: Element | None) -> KeyTransportIdentifier:
    """``RSAES-OAEP-params``, whose three members have defaults (RFC 4055, section 4.1)."""
    given = parameters.children(ber.SEQUENCE, 0, 3) if parameters else ()
    digest = _hash(_explicit(given, ber.CONTEXT_0))
    mask = _explicit(given, ber.CONTEXT_1)
    mask_digest = _hash(_parameters(mask, _MGF1) if mask else None)
    source = _explicit(given, _CONTEXT_2)
    label = _parameters(source, _P_SPECIFIED).octets() if source else b""
    name = f"oaep-{digest}" + ("" if mask_digest == digest else f"-mgf1-{mask_digest}")
    if not {digest, mask_digest} <= _HASHES.keys():
        return KeyTransportIdentifier(name)
    return KeyTransportIdentifier(name, digest, mask_digest, label)


def _explicit(given: tuple[Element, ...], tag: int) -> Element | None:
    found = optional(given, tag)
    return None if found is None else found.children(tag, 1, 1)[0]


def _hash(element: Element | None) -> str:
    """Return the name of a hash, or the OID of one that is not read; SHA-1 is the default."""
    oid = _SHA1 if element is None else identified(element)[0]
    return _HASH_NAMES.get(oid, oid)


def _parameters(element: Element, wanted: str) -> Element:
    oid, parameters = identified(element)
    if oid != wanted:
        malformed(f"OAEP is used with {oid} in place of {wanted}")
    return _required(parameters)


def _required(parameters: Element | None) -> Element:
    if parameters is None:
        malformed("an algorithm has no parameters")
    return parameters
