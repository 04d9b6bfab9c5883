"""Hostile messages, archives and sets through `open_export`: one clear error, and nothing on disk.

Each has one fault. What needs no key is told. What is wrong within an archive is told where it is
authenticated or not sealed at all, and is the one error where a CBC message holds it.
"""

from __future__ import annotations

import os
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import messages as by_hand
import pytest
from forged import (
    FIELDS,
    SAME,
    SPECIAL,
    UNSAFE,
    central_of,
    central_offset,
    noise,
    packed,
    patched,
    with_centrals,
    zipped,
)
from refused_messages import REFUSED, SMALL_KEY, UNRECOGNISED, recipient_infos

import cdds
from cdds import Envelope
from cdds.crypto import ber
from cdds.errors import ArchiveError, CddsError, DecryptionError, MessageError

KIB = 1024
MOST_MEMORY = 48 * KIB * KIB
"""Bytes: what a hostile export may take of Python's memory, whatever it says of its own size."""

ONE_ERROR = "the export cannot be opened: the key is not that of a recipient, or a file was changed"


def write(folder: Path, parts: Sequence[bytes], ending: str) -> list[Path]:
    """Write the parts of an archive as files of a set."""
    names = [f"a.z{number:02}{ending}" for number in range(1, len(parts))]
    files = [folder / name for name in (*names, f"a.zip{ending}")]
    for file, part in zip(files, parts, strict=True):
        file.write_bytes(part)
    return files


def refusal(files: Sequence[Path], key: Any) -> CddsError:
    """Return the error of extracting, which leaves nothing and takes little memory."""
    folder = files[0].parent
    tracemalloc.start()
    try:
        with pytest.raises(CddsError) as caught, cdds.open_export(files[0], key=key) as export:
            export.extract(folder / "out")
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert sorted(os.listdir(folder)) == sorted(file.name for file in files)  # noqa: PTH208
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    return caught.value


# Messages

MESSAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    name: (partial(bytes, data), text) for name, (data, text) in UNRECOGNISED.items()
} | REFUSED


@pytest.mark.parametrize("name", MESSAGES)
def test_a_hostile_message_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    make, text = MESSAGES[name]
    error = refusal(write(tmp_path, [make()], ".p7m"), SMALL_KEY)
    assert type(error) is MessageError
    assert str(error).startswith(f"{tmp_path / 'a.zip.p7m'}: ")
    assert re.search(text, str(error))


def wrong_content_keys() -> dict[str, bytes]:
    """Return messages whose content key or content is wrong, which is seen with the key only."""
    encrypted_keys = {
        f"a content key of {size} bytes": by_hand.wrapped(SMALL_KEY, bytes(size))
        for size in (0, 1, 16, 24, 31, 33, 100)
    }
    encrypted_keys |= {
        f"an encrypted key of {size} bytes": bytes(size) for size in (0, 1, 127, 128, 129, 256)
    }
    encrypted_keys["an encrypted key beyond the modulus"] = b"\xff" * 128
    made = {}
    for name, encrypted_key in encrypted_keys.items():
        infos = by_hand.recipients(by_hand.recipient(encrypted_key))
        made[f"{name}, CBC"] = by_hand.enveloped(infos)
        made[f"{name}, GCM"] = by_hand.auth_enveloped(infos)
    for size in (0, 1, 15, 17):
        made[f"a content of {size} bytes, CBC"] = by_hand.enveloped(
            recipient_infos(), encrypted_content=ber.tlv(0x80, bytes(size))
        )
    made["another tag, GCM"] = by_hand.auth_enveloped(recipient_infos())[:-1] + b"x"
    return made


WRONG_KEYS = wrong_content_keys()


@pytest.mark.parametrize("name", WRONG_KEYS)
def test_what_needs_the_key_is_the_one_error(name: str, tmp_path: Path) -> None:
    error = refusal(write(tmp_path, [WRONG_KEYS[name]], ".p7m"), SMALL_KEY)
    assert type(error) is DecryptionError
    assert str(error).startswith(ONE_ERROR)


# Archives


def overlapping() -> bytes:
    """Return an archive with an entry within the data of another."""
    inner = zipped(("inner", bytes(1000)), method=zipfile.ZIP_DEFLATED)
    local = inner[: central_offset(inner)]
    outer = zipped(("outer", local))
    data = outer[: central_offset(outer)]
    inside = central_of(inner, len(data) - len(local))
    return with_centrals(data, central_of(outer, 0), inside)


def hostile_archives() -> dict[str, tuple[list[bytes], str]]:
    """Return archives, and what is told of each."""
    small = zipped(("a", b"data"))
    deflated = zipped(("a", bytes(100_000)), method=zipfile.ZIP_DEFLATED)
    made: dict[str, tuple[list[bytes], str]] = {}
    for name in UNSAFE:
        made[f"the name {name[:20]!r}"] = ([zipped(("ok", b"data"), (name, b"data"))], "unsafe")
    for one, other in SAME:
        made[f"the names {one!r} and {other!r}"] = ([zipped((one, b""), (other, b""))], "one name")
    for name, mode in SPECIAL.items():
        entry = zipped(("a", b"target"), create_system=3, external_attr=mode << 16)
        made[f"a {name}"] = ([entry], "is a link or a special file")
    for name, (local, central, value) in FIELDS.items():
        made[f"another local {name}"] = ([patched(small, local, None, value)], "local header")
        made[f"another central {name}"] = (
            [patched(small, None, central, value)],
            "local header|two",
        )
    for size in (10, 99_999, 100_001, 5_000_000, 2**32 - 2):
        lie = patched(deflated, 22, 24, struct.pack("<L", size))
        made[f"a size of {size}"] = ([lie], "stated|bomb")
    made["a wrong CRC"] = ([patched(small, 14, 16, b"1234")], "CRC-32")
    made["a wrong CRC, deflated"] = ([patched(deflated, 14, 16, b"1234")], "CRC-32")
    made["overlapping entries"] = ([overlapping()], "overlaps")
    made["an entry into the directory"] = (
        [patched(small, 18, 20, struct.pack("<LL", 40, 40))],
        "or the central directory",
    )
    made["a bomb"] = (packed([("a", bytes(300_000_000))]), "bomb")
    return made | hostile_sets()


def hostile_sets() -> dict[str, tuple[list[bytes], str]]:
    """Return sets of segments of which one is not what it should be."""
    ours, foreign = (packed([("a", noise(230_000, seed))], 64 * KIB) for seed in (0, 1))
    made: dict[str, tuple[list[bytes], str]] = {}
    for number in range(len(ours) - 1):
        before, after = ours[:number], ours[number + 1 :]
        named = f"segment {number + 1}"
        made[f"{named} missing"] = ([*before, *after], "parts, and")
        made[f"{named} foreign"] = ([*before, foreign[number], *after], "part")
        made[f"{named} swapped"] = ([*before, after[0], ours[number], *after[1:]], "part")
        other = ours[(number + 1) % (len(ours) - 1)]
        made[f"{named} repeated"] = ([*before, other, *after], "is part")
    made["the last segment missing"] = (ours[:-1], "last")
    made["the last segment foreign"] = ([*ours[:-1], foreign[-1]], "part|CRC-32")
    return made


ARCHIVES = hostile_archives()
SEALED: dict[str, dict[str, Any] | None] = {
    "not sealed": None,
    "CBC": {"cipher": "aes-256-cbc"},
    "GCM": {"cipher": "aes-256-gcm", "format": "der"},
}


@pytest.mark.parametrize("how", SEALED)
@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_leaves_nothing(
    name: str, how: str, tmp_path: Path, holders: tuple[Any, ...]
) -> None:
    parts, text = ARCHIVES[name]
    form = SEALED[how]
    ending = ""
    if form is not None:
        envelope = Envelope(holders[0].certificate, **form)
        parts, ending = [b"".join(envelope.encrypt([part])) for part in parts], ".p7m"
    error = refusal(write(tmp_path, parts, ending), holders[0].key)
    if how == "CBC":
        assert type(error) is DecryptionError
        text = ONE_ERROR
    elif not ending and not parts[0].startswith(b"PK"):  # it is not taken for an archive at all
        assert type(error) is MessageError
        text = "not recognised"
    else:
        assert type(error) is ArchiveError
    assert re.search(text, str(error))
