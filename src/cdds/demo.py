"""The demo: a sample, a key, three exports, and what their recipient does to open them.

Place: below the command line, over the public API. All in one folder, which it only ever adds to:
sample, key and certificate are made once and kept, each run adds its exports and what it opened.
It refuses a folder that holds half of a key pair, for it never replaces a key.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import IO, TYPE_CHECKING, TypeAlias

import attrs

from cdds import datasets, sample
from cdds.api import export
from cdds.clock import SystemClock
from cdds.crypto.selfsigned import self_signed
from cdds.errors import CddsError
from cdds.sources import JsonLines

if TYPE_CHECKING:
    from pathlib import Path

    from cdds.model import Dataset, ExportResult
    from cdds.protocols import CancelToken

Say: TypeAlias = Callable[[str], object]
"""Called with each paragraph of what the demo has to tell."""

_INTERACTIONS = 3000
_CONTACTS = 500
_SEED = 2025
_SPLIT_SIZE = "1 MB"
_JOB = "demo"
_DAYS = 3650  # the folder may be used again for long

_MAKERS: dict[str, Callable[[], Iterable[sample.Record]]] = {
    "interaction": lambda: sample.interactions(_INTERACTIONS, seed=_SEED),
    "document": lambda: sample.documents(_INTERACTIONS, seed=_SEED),
    "contact": lambda: sample.contacts(_CONTACTS, seed=_SEED),
    "contactattribute": lambda: sample.contact_attributes(_CONTACTS, seed=_SEED),
}


@attrs.frozen
class _Room:
    """The folder of the demo, and where things lie in it."""

    folder: Path

    @property
    def sample(self) -> Path:
        return self.folder / "sample"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def opened(self) -> Path:
        return self.folder / "opened"

    def inputs(self, dataset: Dataset) -> dict[str, str]:
        """Return the sample's files for a dataset, by the name of the data file."""
        return {file.name: str(_sample_file(self, file.name)) for file in dataset.files}


def run(folder: Path, *, say: Say, cancel: CancelToken | None = None) -> None:
    """Show the whole way once, in a folder, and tell about it.

    Args:
        folder: made if it is missing; what is in it is kept.
        say: called with each paragraph of the tale.
        cancel: set by another thread to stop it.

    Raises:
        CddsError: something failed, or was cancelled.
        OSError: the folder cannot be written.
    """
    room = _Room(folder)
    _refuse_half_a_pair(room)
    _make_sample(room, say)
    _make_key(room, say)
    say("\n3. Exports the sample three times, sealed for that certificate.")
    whole = _export(room, datasets.INTERACTION, "whole", None, cancel)
    say(_told(room, "whole", "In one file", whole))
    split = _export(room, datasets.INTERACTION, "split", _SPLIT_SIZE, cancel)
    say(_told(room, "split", f"Split at {_SPLIT_SIZE}, which sealing makes a third larger", split))
    contacts = _export(room, datasets.CONTACT, "contacts", None, cancel)
    say(_told(room, "contacts", "The contacts", contacts))
    _open(room, whole, say)
    say(_instructions(room, whole, split))


# --- what is made ---------------------------------------------------------------------------------


def _make_sample(room: _Room, say: Say) -> None:
    room.sample.mkdir(parents=True, exist_ok=True)
    missing = [name for name in _MAKERS if not _sample_file(room, name).exists()]
    for name in missing:
        with _new_file(_sample_file(room, name)) as file:
            sample.write_lines(_MAKERS[name](), file)
    say(
        f"1. {_verb(missing)} a sample of what a contact centre records, all of it invented:\n"
        "   mails, chats, calls and callbacks with documents, and contacts with attributes.\n"
        f"     {room.sample}{os.sep}"
    )


def _sample_file(room: _Room, name: str) -> Path:
    return room.sample / f"{name}.jsonl"


def _refuse_half_a_pair(room: _Room) -> None:
    missing = [path for path in (room.key, room.certificate) if not path.exists()]
    if len(missing) == 1:
        raise CddsError(
            f"{missing[0]} is missing, but its counterpart is there, and keys are never replaced; "
            "choose another folder"
        )


def _make_key(room: _Room, say: Say) -> None:
    missing = not room.key.exists()
    if missing:
        key, certificate = self_signed("cdds demo", now=SystemClock().now(), days=_DAYS)
        # Both get their names when both are written.
        with _new_file(room.certificate) as public, _new_file(room.key, mode=0o600) as private:
            private.write(key)
            public.write(certificate)
    say(
        f"\n2. {_verb(missing)} a key and a certificate for the recipient. Exporting takes the\n"
        "   certificate alone; only the key opens what is sealed. This key has no password\n"
        "   and is for this demo alone.\n"
        f"     {room.key}\n"
        f"     {room.certificate}"
    )


def _verb(missing: object) -> str:
    return "Makes" if missing else "Keeps"


@contextmanager
def _new_file(path: Path, mode: int = 0o666) -> Iterator[IO[bytes]]:
    """Open a new file that gets its name only when it is complete."""
    staged = path.with_name(f".{path.name}.part")
    staged.unlink(missing_ok=True)
    try:
        with open(staged, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
        staged.rename(path)
    finally:
        staged.unlink(missing_ok=True)


def _export(
    room: _Room, dataset: Dataset, name: str, split_size: str | None, cancel: CancelToken | None
) -> ExportResult:
    return export(
        JsonLines(**room.inputs(dataset)),
        dataset=dataset,
        to=room.exports / name,
        recipients=room.certificate,
        split_size=split_size,
        job_id=_JOB,
        cancel=cancel,
    )


# --- what is opened -------------------------------------------------------------------------------


def _open(room: _Room, result: ExportResult, say: Say) -> None:
    """Open an export of interactions as its recipient would, and compare it with the sample."""
    openssl = shutil.which("openssl")
    if openssl is None:
        say("\n4. Opens nothing, for openssl is not on the PATH here; see below how it is done.")
        return
    room.opened.mkdir(exist_ok=True)
    sealed = room.exports / "whole" / result.artifacts[0].name
    opened = room.opened / sealed.stem
    _decrypt(openssl, room, sealed, opened)
    _check(opened, room, datasets.INTERACTION)
    say(
        "\n4. Opens the first export with OpenSSL and the key, and looks into it: the ZIP archive\n"
        "   is sound, and its data files equal the sample byte for byte.\n"
        f"     {opened}"
    )


def _decrypt(openssl: str, room: _Room, sealed: Path, opened: Path) -> None:
    command = [openssl, *_smime(room.key, room.certificate), "-in", sealed, "-out", opened]
    done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603  # no shell
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        opened.unlink(missing_ok=True)
        raise CddsError(f"openssl cannot decrypt {sealed}: {reason}")


def _smime(key: Path | str, certificate: Path | str) -> list[Path | str]:
    return ["smime", "-decrypt", "-binary", "-inkey", key, "-recip", certificate]


def _check(opened: Path, room: _Room, dataset: Dataset) -> None:
    try:
        with zipfile.ZipFile(opened) as archive:
            damaged = archive.testzip()
            if damaged is not None:
                raise CddsError(f"{damaged} is damaged in {opened}")
            for file in dataset.files:
                _compare(archive, f"{file.label}-{_JOB}.json", _sample_file(room, file.name))
    except (zipfile.BadZipFile, KeyError) as error:
        raise CddsError(f"{opened} is not the archive that was exported") from error


def _compare(archive: zipfile.ZipFile, name: str, original: Path) -> None:
    with archive.open(name) as exported, original.open("rb") as given:
        if any(line != other for line, other in zip_longest(exported, given)):
            raise CddsError(f"{name} in {archive.filename} differs from {original}")


# --- what is told ---------------------------------------------------------------------------------

_COUNTED = {
    "interaction": "interactions",
    "document": "documents",
    "contact": "contacts",
    "contactattribute": "attributes",
}


def _told(room: _Room, name: str, title: str, result: ExportResult) -> str:
    counts = ", ".join(f"{count:,} {_COUNTED[kind]}" for kind, count in result.records.items())
    size = sum(artifact.size for artifact in result.artifacts) / 1e6
    names = [artifact.name for artifact in result.artifacts] + [result.digests]
    if len(names) > 4:
        names[1:-2] = [f"... and {len(names) - 3} more"]
    folder = room.exports / name
    return "\n".join(
        [
            f"   {title}: {counts}; {size:.1f} MB.",
            f"     {folder}{os.sep}",
            *(f"       {name}" for name in names),
            *(f"   Note: {warning}" for warning in result.warnings),
        ]
    )


def _instructions(room: _Room, whole: ExportResult, split: ExportResult) -> str:
    beside = shlex.join(map(str, _smime("../../key.pem", "../../certificate.pem")))
    zips = {result.run_id: f"export-{result.run_id}.zip" for result in (whole, split)}
    cdds = shlex.join([sys.executable, "-m", "cdds"])
    some = f"split/export-{split.run_id}.z01.smime"
    seven_zip = next(filter(shutil.which, ("7zz", "7z", "7za")), "7z")
    return f"""
How to open them yourself. A set is complete when its .sha256 file is there.

With cdds, which proves what it gives out, any file of an export opens all of it:
  {_enter(room, "")}
  {cdds} verify {some} --key ../key.pem
  {cdds} decrypt {some} --key ../key.pem --to ../extracted

With OpenSSL the one file, and the contacts likewise:
  {_enter(room, "whole")}
  sha256sum -c {whole.digests}
  openssl {beside} -in {zips[whole.run_id]}.smime -out {zips[whole.run_id]}
  unzip {zips[whole.run_id]}

And the split set: each part is decrypted by itself, then 7-Zip opens all of them (unzip cannot).
  {_enter(room, "split")}
  sha256sum -c {split.digests}
  for part in export-{split.run_id}.z*.smime; do
    openssl {beside} -in "$part" -out "${{part%.smime}}"
  done
  {seven_zip} x {zips[split.run_id]}"""


def _enter(room: _Room, name: str) -> str:
    return shlex.join(["cd", str((room.exports / name).resolve())])
