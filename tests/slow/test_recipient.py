"""A recipient's work on 5 GB in less than 96 MB, in one message and in a split set.

It takes some twenty minutes for each, and 11 GB of disk meanwhile.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from exports import interaction
from processes import Cost, measure

import cdds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]

SIZE = 5_000_000_000
LIMIT = 96_000_000
NAME = "Interaction"
PYTHON = Path(sys.executable)
RECORDS_AS_LINES = (
    "import sys, cdds, msgspec\n"
    "encode, write = msgspec.json.Encoder().encode, sys.stdout.buffer.write\n"
    "with cdds.open_export(sys.argv[1], key=sys.argv[2]) as export:\n"
    f"    for record in export.records({NAME!r}, proof='first'):\n"
    "        write(encode(record) + b'\\n')\n"
)
FORMS: dict[str, tuple[dict[str, Any], str | None]] = {
    "one CBC message in S/MIME": ({}, None),
    "a split set of GCM messages in PEM": ({"format": "pem", "cipher": "aes-256-gcm"}, "700 MB"),
}
"""The form of the envelope, and the size of the segments."""


@attrs.define(slots=False)
class Corpus:
    """Interactions that hardly shrink, so that the sealed files are as large as the records.

    Attributes:
        path: a file of JSON Lines; it counts as if it stood there `repeat` times.
        repeat: how often, to have `SIZE` bytes.
    """

    path: Path
    repeat: int

    @classmethod
    def made(cls, path: Path) -> Corpus:
        encode = msgspec.json.Encoder().encode
        with path.open("wb") as file:
            file.writelines(encode(large_interaction(number)) + b"\n" for number in range(16_000))
        return cls(path, -(-SIZE // path.stat().st_size))

    @cached_property
    def sha256(self) -> str:
        """The digest of all of it."""
        digest = hashlib.sha256()
        for _ in range(self.repeat):
            digest.update(self.path.read_bytes())
        return digest.hexdigest()


def large_interaction(number: int) -> dict[str, Any]:
    return interaction(number) | {"SUBJECT": base64.b64encode(os.urandom(6000)).decode()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    made = Corpus.made(tmp_path_factory.mktemp("corpus") / "interactions.jsonl")
    yield made
    made.path.unlink()


@pytest.fixture(params=list(FORMS.values()), ids=list(FORMS))
def sealed(
    request: pytest.FixtureRequest,
    corpus: Corpus,
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
) -> Iterator[Path]:
    """Return the first file of an export; all of it is removed, for it is large."""
    form, split_size = request.param
    envelope = cdds.Envelope(rsa_key_and_certificate[1], **form)
    folder = tmp_path / "sealed"
    result = cdds.Exporter(sink=cdds.sinks.LocalSink(folder), envelope=envelope).run(
        cdds.Job(dataset=cdds.datasets.INTERACTION, split_size=split_size),
        cdds.sources.JsonLines(interaction=[corpus.path] * corpus.repeat),
    )
    files = [folder / artifact.name for artifact in result.artifacts]
    assert sum(file.stat().st_size for file in files) > SIZE
    yield files[0]
    shutil.rmtree(folder)


def measured_output(command: Sequence[str | Path]) -> tuple[Cost, str]:
    """Return what a command took, and the SHA-256 of what it wrote."""
    with subprocess.Popen(
        ["sha256sum"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as hashing:
        assert hashing.stdin is not None
        cost = measure(command, stdout=hashing.stdin)
        return cost, hashing.communicate()[0].split()[0]


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_recipient_works_on_5_gigabytes_in_less_than_96_megabytes(
    sealed: Path, corpus: Corpus, rsa_key_and_certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """All that is given out is what was exported."""
    key, out = rsa_key_and_certificate[0], tmp_path / "out"
    ours: list[str | Path] = [PYTHON, "-m", "cdds"]
    costs = {"extract": measure([*ours, "decrypt", sealed, "--key", key, "--to", out])}
    assert digest_of(next(out.glob(f"{NAME}-*"))) == corpus.sha256
    shutil.rmtree(out)
    costs["zip"] = measure([*ours, "decrypt", sealed, "--key", key, "--to", out, "--zip"])
    with cdds.open_export(next(out.glob("*.zip"))) as plain:
        digest = hashlib.sha256()
        for piece in plain.data(NAME, proof="end"):
            digest.update(piece)
    assert digest.hexdigest() == corpus.sha256
    shutil.rmtree(out)
    commands: dict[str, list[str | Path]] = {
        "records": [PYTHON, "-c", RECORDS_AS_LINES, sealed, key],
        "cat": [*ours, "cat", sealed, "--key", key, "--name", NAME],
    }
    for work, command in commands.items():
        costs[work], written = measured_output(command)
        assert written == corpus.sha256, work
    costs["verify"] = measure([*ours, "verify", sealed, "--key", key])
    for work, cost in costs.items():
        print(f"{work}: {cost.wall:.0f} s, {cost.peak / 1e6:.1f} MB")
    assert {work: cost.peak for work, cost in costs.items() if cost.peak >= LIMIT} == {}
