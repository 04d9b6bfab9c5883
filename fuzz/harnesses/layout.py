"""Any range of a content is the range of what decrypting from its beginning gives, or is refused.

A message that is refused as a whole is refused when its ranges are read and verified, and one that
is not gives these ranges, or says that it is not laid out as it seems (`Irregular`). Nothing but
`MessageError` and `DecryptionError` is raised.

Windows are made so small that messages of these sizes are read as long ones are.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from unittest import mock

from cdds.crypto import layout, ranged_octets
from cdds.crypto.decryption import Content, PrivateKeys
from cdds.crypto.message import EncryptedMessage
from cdds.crypto.ranged_octets import Irregular
from cdds.crypto.ranges import RangedContent, ranged_content
from cdds.errors import DecryptionError, MessageError
from fuzz.harnesses.decryption import private_key
from fuzz.inputs import Ranged

READS = (
    "cdds.crypto.layout",
    "cdds.crypto.ranges",
    "cdds.crypto.ranged_octets",
    "cdds.crypto.recognition",
)
WORDS = (
    *(
        b"\x24\x80",
        b"\xa0\x80",
        b"\x00\x00",
        b"\x04\x20",
        b"\x04\x40",
        b"\x04\x81\x40",
        b"\x04\x00",
    ),
    *(b"\n", b"\r\n", b"\n\n", b" ", b"=", b"==", b"-----END CMS-----\n"),
)
VECTORS = "cms"

CONTENT = b"".join(b"%d is the cube of %d\n" % (n**3, n) for n in range(40))
WIDTH = 64
"""The octets of a string, and less than the characters of a line, in the seeds."""
_SMALL = {
    (ranged_octets, "WINDOW"): 256,
    (layout, "_TAIL"): 2 * WIDTH,
    (layout, "_READ_AT_ONCE"): 3 * WIDTH,
}
_STEPS = 61


def check(data: bytes) -> None:
    """Check the invariant for a message."""
    expected = _decrypted(data)
    with ExitStack() as small:
        for (module, name), value in _SMALL.items():
            small.enter_context(mock.patch.object(module, name, value))
        try:
            content = ranged_content(Ranged(data), _keys())
        except Irregular:
            return
        except (MessageError, DecryptionError):
            assert expected is None
            return
        step = 1 + len(data) % _STEPS
        if expected is None:
            assert not _is_sound(content, step)
        else:
            _check_ranges(content, expected, step)


def _decrypted(data: bytes) -> bytes | None:
    try:
        message = EncryptedMessage(data)
        content = Content(message, _keys().content_key(message.header))
        return b"".join(content.iter_unverified())
    except (MessageError, DecryptionError):
        return None


def _is_sound(content: RangedContent, step: int) -> bool:
    try:
        content.verify()
        for start in range(0, content.size, step):
            content.read(start, min(step, content.size - start))
    except (MessageError, DecryptionError):
        return False
    return True


def _check_ranges(content: RangedContent, expected: bytes, step: int) -> None:
    is_regular = True
    for start in reversed(range(0, content.size, step)):
        try:
            found = content.read(start, min(step, content.size - start))
        except Irregular:
            is_regular = False
            continue
        assert found == expected[start : start + step]
    try:
        content.verify()
    except Irregular:
        return
    assert is_regular
    assert content.size == len(expected)


@cache
def _keys() -> PrivateKeys:
    return PrivateKeys.loaded(private_key(), (), None, ())
