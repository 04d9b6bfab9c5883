"""Messages that Bouncy Castle makes, in all supported forms, open in all ways there are."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import attrs
from readers import bouncy_castle
from ways import archive_of, assert_opens

from cdds.crypto import inspect_message

Judge: TypeAlias = Callable[[str], str]

TRANSPORTS = ("PKCS1v15", "SHA-1", "SHA-256", "SHA-384", "SHA-512")
IDENTIFIERS = ("issuer", "keyid")
FORMS = ("der", "smime", "pem")
ENCODINGS = {
    "CBC": ("der", "ber", "stream:1000", "stream:17", "streamber:4096"),
    "GCM": ("der", "ber", "attributes"),
}
STEPS = (1, 4096, 10_000_000)
SMALL, LARGE = archive_of(700), archive_of(150_000)


@attrs.frozen
class Order:
    """A message that Bouncy Castle shall make; see `Encrypt.java` for what the words mean."""

    cipher: str
    transport: str
    identifier: str
    encoding: str
    form: str
    archive: bytes = attrs.field(default=SMALL, repr=False)

    def line(self, number: int) -> str:
        content = "small" if self.archive is SMALL else "large"
        words = (self.cipher, self.transport, self.identifier, self.encoding, self.form)
        return " ".join((content, f"{number}.message", *words))


def orders() -> Iterator[Order]:
    """Yield the whole matrix with a small content, and a part of it with a large one."""
    for size, (mode, encodings) in itertools.product((128, 192, 256), ENCODINGS.items()):
        cipher = f"AES{size}_{mode}"
        for words in itertools.product(TRANSPORTS, IDENTIFIERS, encodings, FORMS):
            yield Order(cipher, *words)
        for encoding, form in itertools.product(encodings, FORMS):
            yield Order(cipher, "SHA-256", "issuer", encoding, form, LARGE)


def test_what_bouncy_castle_encrypts_opens(
    judge: Judge, holders: tuple[Any, ...], tmp_path: Path
) -> None:
    """For each of three recipients, fed in pieces of different sizes."""
    all_orders = list(orders())
    (tmp_path / "small").write_bytes(SMALL)
    (tmp_path / "large").write_bytes(LARGE)
    certificates = [str(holder.certificate_file) for holder in holders]
    subprocess.run(
        [*bouncy_castle(judge, "Encrypt.java"), *certificates],
        input="".join(f"{order.line(number)}\n" for number, order in enumerate(all_orders)),
        text=True,
        check=True,
        cwd=tmp_path,
    )
    turns = itertools.cycle(zip(holders, STEPS, strict=True))
    for number, (order, (holder, step)) in enumerate(zip(all_orders, turns, strict=False)):
        message = (tmp_path / f"{number}.message").read_bytes()
        header = inspect_message(message)
        assert header.cipher.name == order.cipher.lower().replace("aes", "aes-").replace("_", "-")
        assert header.form == order.form
        assert len(header.recipients) == len(holders)
        assert_opens(message, order.archive, holder.key, tmp_path, step)
