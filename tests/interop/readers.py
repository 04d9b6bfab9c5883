"""Foreign readers of CMS messages: each opens files for the holder of a key, or does not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from cryptography.hazmat.primitives.serialization import pkcs7

Judge: TypeAlias = Callable[[str], str]

_JARS = [Path(f"/usr/share/java/{name}.jar") for name in ("bcprov", "bcpkix", "bcutil")]


@attrs.frozen
class Message:
    """A message in a file: in which format it is, and where its content shall go."""

    path: Path
    format: str

    @property
    def opened(self) -> Path:
        """The file of the content, once it has been opened."""
        return self.path.with_suffix(".opened")


@attrs.frozen
class Reader:
    """A program that opens messages.

    Attributes:
        title: what the documentation calls it.
        open: writes the content of each message that it can open into `Message.opened`.
    """

    title: str
    open: Callable[[Judge, Any, Sequence[Message]], object]


def _openssl(command: str) -> Callable[[Judge, Any, Iterable[Message]], object]:
    def run(judge: Judge, holder: Any, messages: Iterable[Message]) -> None:
        for message in messages:
            done = subprocess.run(
                [judge("openssl"), command, "-decrypt", "-binary"]
                + ["-inform", message.format.upper(), "-in", str(message.path)]
                + ["-inkey", str(holder.key_file), "-recip", str(holder.certificate_file)]
                + ["-out", str(message.opened)],
                capture_output=True,
                check=False,
            )
            if done.returncode:
                message.opened.unlink(missing_ok=True)

    return run


def bouncy_castle(judge: Judge, program: str) -> list[str]:
    """Return the words that run a program beside this file; without its judge the test skips."""
    if not all(jar.exists() for jar in _JARS):
        missing = "the judge Bouncy Castle (Debian's libbcpkix-java) is not installed"
        if os.environ.get("CDDS_REQUIRE_JUDGES"):
            pytest.fail(missing)
        pytest.skip(missing)
    path = Path(__file__).with_name(program)
    return [judge("java"), "-cp", ":".join(map(str, _JARS)), str(path)]


def _bouncy_castle(judge: Judge, holder: Any, messages: Iterable[Message]) -> None:
    pairs = [str(path) for message in messages for path in (message.path, message.opened)]
    subprocess.run(
        bouncy_castle(judge, "Decrypt.java")
        + [str(holder.key_file), str(holder.certificate_file), *pairs],
        capture_output=True,
        check=True,
    )


def _pyca(_: Judge, holder: Any, messages: Iterable[Message]) -> None:
    for message in messages:
        decrypt = getattr(pkcs7, f"pkcs7_decrypt_{message.format}")
        try:
            content = decrypt(message.path.read_bytes(), holder.certificate, holder.key, [])
        except ValueError:
            continue
        message.opened.write_bytes(content)


READERS = (
    Reader("`openssl smime`", _openssl("smime")),
    Reader("`openssl cms`", _openssl("cms")),
    Reader("Bouncy Castle", _bouncy_castle),
    Reader("pyca", _pyca),
)
