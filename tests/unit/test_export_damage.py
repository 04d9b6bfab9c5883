"""A message cut off anywhere, or with any byte changed: one error, or the identical plaintext.

Through `open_export` and `extract`, with a message as small as it gets; nothing is left on disk.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import cdds
from cdds import Envelope
from cdds.errors import CddsError, DecryptionError, MessageError

FORMS = list(
    itertools.product(("aes-256-cbc", "aes-256-gcm"), ("pkcs1v15", "oaep"), ("smime", "der", "pem"))
)
CHANGES: tuple[Callable[[int], int], ...] = (
    lambda byte: byte ^ 0x01,
    lambda byte: byte ^ 0x80,
    lambda _: 0x00,
    lambda _: 0xFF,
)
NAME, DATA = "a", b"b"
LONGEST_TEXT = 500


@attrs.frozen
class Inbox:
    """The folder of a recipient, with one file that has many contents in turn.

    Attributes:
        folder: where it is.
        key: the private key of the recipient.
        message: what was sealed.
    """

    folder: Path
    key: Any
    message: bytes

    @property
    def file(self) -> Path:
        return self.folder / "archive.zip.p7m"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def outcome(self, message: bytes) -> CddsError | None:
        """Return the error of a message; None where what comes out is what was sealed."""
        self.file.write_bytes(message)
        try:
            with cdds.open_export(self.file, key=self.key) as export:
                (extracted,) = export.extract(self.out)
        except CddsError as error:
            assert os.listdir(self.folder) == [self.file.name]  # noqa: PTH208
            return error
        assert (extracted.name, extracted.read_bytes()) == (NAME, DATA)
        shutil.rmtree(self.out)
        return None


@pytest.fixture(params=FORMS, ids="-".join)
def inbox(request: pytest.FixtureRequest, tmp_path: Path, holders: tuple[Any, ...]) -> Inbox:
    cipher, key_transport, format_ = request.param
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(NAME, DATA)
    envelope = Envelope(
        holders[0].certificate, cipher=cipher, key_transport=key_transport, format=format_
    )
    message = b"".join(envelope.encrypt([archive.getvalue()]))
    return Inbox(tmp_path, holders[0].key, message)


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: no computer stops here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def assert_one_of_two(errors: list[CddsError]) -> None:
    """Make sure that each tells what needs no key, or is the one error; always in few words."""
    assert {type(error) for error in errors} <= {MessageError, DecryptionError}
    assert len({str(error) for error in errors if isinstance(error, DecryptionError)}) <= 1
    for text in map(str, errors):
        assert len(text) < LONGEST_TEXT
        assert text.isprintable()


def test_every_proper_prefix_is_one_error(inbox: Inbox) -> None:
    """But for the line end after the base64, which says nothing."""
    errors = [inbox.outcome(inbox.message[:size]) for size in range(len(inbox.message))]
    is_der = not inbox.message.isascii()
    needed = len(inbox.message) if is_der else len(inbox.message.rstrip())
    assert None not in errors[:needed]
    assert set(errors[needed:]) <= {None}
    assert_one_of_two([error for error in errors if error])


def changed(message: bytes, values: int) -> Iterator[bytes]:
    """Yield a message with each byte changed in so many of the ways that there are, in turn."""
    for at, byte in enumerate(message):
        for number in range(at, at + values):
            other = CHANGES[number % len(CHANGES)](byte)
            if other != byte:
                yield message[:at] + bytes([other]) + message[at + 1 :]


@pytest.mark.parametrize("values", [1, pytest.param(len(CHANGES), marks=pytest.mark.slow)])
def test_a_changed_byte_is_one_error_or_the_identical_plaintext(inbox: Inbox, values: int) -> None:
    """Of all the message: the header structures, the ciphertext, and what follows it."""
    outcomes = [inbox.outcome(message) for message in changed(inbox.message, values)]
    errors = [error for error in outcomes if error]
    assert any(isinstance(error, DecryptionError) for error in errors)
    assert_one_of_two(errors)
