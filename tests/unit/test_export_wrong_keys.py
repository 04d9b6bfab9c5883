"""12,000 exports that no key opens: always the one error, and never a file.

10,000 have a wrapped key that is well formed, but not the content's, and 2,000 are opened with the
private key of somebody else; spread over ciphers, key transports, formats, one file and a split
set.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from exports import exported, interaction
from messages import with_encrypted_key
from rsa_keys import many_keys

import cdds
from cdds import cli
from cdds.errors import DecryptionError
from cdds.recipient import verify

WRONG_WRAPPED_KEYS = 10_000
WRONG_PRIVATE_KEYS = 2_000
ONE_ERROR = (
    "the export cannot be opened: the key is not that of a recipient, or a file was changed, is "
    "damaged, or holds no archive that can be read; which of them it is cannot be told"
)
NAME = "Interaction"
KEY_SIZES = (32,) * 6 + (0, 1, 16, 24, 31, 33, 48)
"""The sizes of wrapped keys, in bytes: half of them are the right one."""

PADDINGS: dict[str, padding.AsymmetricPadding] = {
    "pkcs1v15": padding.PKCS1v15(),
    "oaep": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
}
KINDS = list(
    itertools.product(
        ("aes-256-cbc", "aes-256-gcm"), PADDINGS, ("smime", "der"), ("one file", "split set")
    )
)


@attrs.frozen
class Sealed:
    """An export without its digests, which would tell of any change and need no key.

    Attributes:
        messages: the bytes of its files, by their paths.
        padding: of its key transport.
        key: the private key of its recipient.
    """

    messages: dict[Path, bytes]
    padding: padding.AsymmetricPadding
    key: rsa.RSAPrivateKey

    @property
    def files(self) -> list[Path]:
        return list(self.messages)

    @property
    def out(self) -> Path:
        """Where nothing is ever extracted to."""
        return self.files[0].parent / "out"

    def wrap_another_key(self, chance: random.Random) -> None:
        """Write files of which some, or all, have a wrapped key that is not the content's."""
        changed = chance.sample(self.files, chance.randint(1, len(self.files)))
        for path, message in self.messages.items():
            if path in changed:
                content_key = chance.randbytes(chance.choice(KEY_SIZES))
                wrapped = self.key.public_key().encrypt(content_key, self.padding)
                path.write_bytes(with_encrypted_key(message, wrapped))
            else:
                path.write_bytes(message)

    def assert_alone(self) -> None:
        """Make sure that nothing is in its folder but its files, hidden or not."""
        there = os.listdir(self.out.parent)  # noqa: PTH208
        assert sorted(there) == sorted(path.name for path in self.files)


@pytest.fixture(params=KINDS, ids="-".join)
def sealed(request: pytest.FixtureRequest, tmp_path: Path, holders: tuple[Any, ...]) -> Sealed:
    cipher, key_transport, format_, layout = request.param
    is_split = layout == "split set"
    files = exported(
        tmp_path / "export",
        holders[0].certificate,
        {"interaction": [interaction(number, 1000) for number in range(90 if is_split else 1)]},
        form={"cipher": cipher, "key_transport": key_transport, "format": format_},
        split_size="64 KiB" if is_split else None,
    )
    assert (len(files) > 1) == is_split
    next(files[0].parent.glob("*.sha256")).unlink()
    messages = {path: path.read_bytes() for path in files}
    return Sealed(messages, PADDINGS[key_transport], holders[0].key)


@pytest.fixture(scope="module")
def wrong_keys(holders: tuple[Any, ...]) -> Sequence[rsa.RSAPrivateKey]:
    """Return keys of the right size, and two of other sizes."""
    others = [holders[2].key, rsa.generate_private_key(65537, 1024)]
    return [*others, *many_keys(WRONG_PRIVATE_KEYS - len(others), 2048)]


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: no computer stops here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def opened(export: Sealed, key: Any) -> cdds.Export:
    return cdds.open_export(export.files[0], key=key)


def assert_refused(export: Sealed, key: Any) -> None:
    """Extract an export, which ends in the one error and leaves nothing."""
    with pytest.raises(DecryptionError) as caught, opened(export, key) as it:
        it.extract(export.out)
    assert (type(caught.value), str(caught.value)) == (DecryptionError, ONE_ERROR)
    assert caught.value.__suppress_context__  # the fault itself is not shown
    export.assert_alone()


def assert_refused_otherwise(export: Sealed, key: Any) -> None:
    """Read the records of an export in both ways, and verify it: it is the same error."""
    for proof in ("first", "end"):
        records: list[Any] = []
        with pytest.raises(DecryptionError) as caught, opened(export, key) as it:
            records.extend(it.records(NAME, proof=proof))
        assert (str(caught.value), records) == (ONE_ERROR, [])
    report = verify(export.files[0], key=key)
    told = [check.details for check in report.checks if check.verdict == "unsound"]
    assert told == [(ONE_ERROR,)]
    export.assert_alone()


def cases(total: int) -> Iterator[tuple[int, bool]]:
    """Number the cases of one kind of export, and tell which of them are read in all ways."""
    return ((number, number % 20 == 0) for number in range(total // len(KINDS)))


def test_a_wrapped_key_that_is_not_the_contents_is_the_one_error(sealed: Sealed) -> None:
    chance = random.Random(7)
    for _, is_read_in_all_ways in cases(WRONG_WRAPPED_KEYS):
        sealed.wrap_another_key(chance)
        assert_refused(sealed, sealed.key)
        if is_read_in_all_ways:
            assert_refused_otherwise(sealed, sealed.key)


def test_a_private_key_of_somebody_else_is_the_one_error(
    sealed: Sealed, wrong_keys: Sequence[rsa.RSAPrivateKey], request: pytest.FixtureRequest
) -> None:
    mine = KINDS.index(request.node.callspec.params["sealed"])
    for number, is_read_in_all_ways in cases(WRONG_PRIVATE_KEYS):
        key = wrong_keys[mine + number * len(KINDS)]
        assert_refused(sealed, key)
        if is_read_in_all_ways:
            assert_refused_otherwise(sealed, key)


def test_the_command_line_says_the_same(
    sealed: Sealed, holders: tuple[Any, ...], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    chance = random.Random(11)
    said = (1, b"", f"cdds: error: {ONE_ERROR}\n".encode())
    for words in (["decrypt", "--to", str(sealed.out)], ["cat", "--name", NAME]):
        for number in range(8):
            sealed.wrap_another_key(chance)
            key = holders[number % 2].key_file  # with both of them wrong too
            code = cli.main([*words, str(sealed.files[-1]), "--key", str(key)])
            assert (code, *capfdbinary.readouterr()) == said
            sealed.assert_alone()
