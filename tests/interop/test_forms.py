"""Every form of a message, and which reader opens it: the table in the documentation.

With ``CDDS_WRITE_DOCS=1`` in the environment the table is written anew instead of compared.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from readers import READERS, Judge, Message, Reader

from cdds.crypto import Envelope
from cdds.crypto.envelope import PIECE_SIZE

TemporaryFolder: TypeAlias = Callable[[], Any]
Holders: TypeAlias = tuple[Any, ...]

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "forms.md"
BEGIN, END = "<!-- readers: made by tests/interop/test_forms.py -->\n", "<!-- end of readers -->\n"
SIZES = (0, 1, 16, 1000, 2 * PIECE_SIZE, 2 * PIECE_SIZE + 7)


@attrs.frozen
class Form:
    """A combination of what an envelope may be."""

    cipher: str
    key_transport: str
    format: str


FORMS = [
    Form(*values)
    for values in itertools.product(
        ("aes-256-cbc", "aes-128-cbc", "aes-256-gcm"), ("pkcs1v15", "oaep"), ("smime", "der", "pem")
    )
]
# What must open, whatever else does: what the documentation promises to recipients.
OPENED_BY: dict[str, Callable[[Form], bool]] = {
    "`openssl smime`": lambda form: (
        form.cipher != "aes-256-gcm" and form.key_transport == "pkcs1v15"
    ),
    "`openssl cms`": lambda _: True,
    "Bouncy Castle": lambda _: True,
    "pyca": lambda _: False,  # it reads definite lengths only
}


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def seal(home: Path, form: Form, recipients: Sequence[Any]) -> dict[Message, bytes]:
    """Write a message of each size in a form."""
    envelope = Envelope([holder.certificate for holder in recipients], **attrs.asdict(form))
    contents = {}
    for size in SIZES:
        name = f"{form.cipher}-{form.key_transport}-{form.format}-{len(recipients)}-{size}"
        message = Message(home / name, form.format)
        message.path.write_bytes(b"".join(envelope.encrypt([content(size)])))
        contents[message] = content(size)
    return contents


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.title.strip("`"))
def test_readers_open_what_the_table_says(
    judge: Judge, folder: TemporaryFolder, holders: Holders, reader: Reader
) -> None:
    """All sizes of a form or none, for one recipient and as any of three."""
    opens = dict.fromkeys(FORMS, True)
    for recipients, holder in [
        (holders[:1], holders[0]),
        (holders, holders[0]),
        (holders, holders[2]),
    ]:
        with folder() as home:
            sealed = {form: seal(home, form, recipients) for form in FORMS}
            reader.open(judge, holder, [message for some in sealed.values() for message in some])
            for form, contents in sealed.items():
                opens[form] &= _all_opened(contents)
    assert opens == {form: OPENED_BY[reader.title](form) for form in FORMS}


def _all_opened(contents: Mapping[Message, bytes]) -> bool:
    """Tell whether all were opened or none; garbage, which OpenSSL may write, is not opened."""
    right = [
        message
        for message, data in contents.items()
        if message.opened.exists() and message.opened.read_bytes() == data
    ]
    opened = len(right) == len(contents)
    assert opened or not any(contents[message] for message in right)  # garbage may be empty
    return opened


def test_the_documentation_shows_the_same_table() -> None:
    """What is written for people is what is tested."""
    text = DOCS.read_text()
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    if os.environ.get("CDDS_WRITE_DOCS"):
        DOCS.write_text(before + BEGIN + _table() + END + after)
    else:
        assert table == _table()


def _table() -> str:
    rows = [
        ("cipher", "key transport", "format", *(reader.title for reader in READERS)),
        ("---",) * (3 + len(READERS)),
        *(
            (
                *(f"`{value}`" for value in attrs.astuple(form)),
                *("yes" if OPENED_BY[reader.title](form) else "no" for reader in READERS),
            )
            for form in FORMS
        ),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
