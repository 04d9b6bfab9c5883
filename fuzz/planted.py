"""Shows that the harnesses find bugs: `python -m fuzz.planted` plants one for each, one at a time.

Each is one that somebody might make: a check that is left out, or a small change. The harness must
find it within `WITHIN` seconds, starting with its seeds, none of which shows it by itself.
"""

from __future__ import annotations

import re
import sys
import tempfile
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
import msgspec
from isal import isal_zlib

from cdds.archive.inflate import Block, ReadAt
from cdds.sources.decompression import Decompressed
from fuzz.harnesses import NAMES, harness, seeds

WITHIN = 60
"""The seconds that a harness has for a bug."""

_read = Decompressed._read  # noqa: SLF001  # of which a wrong one is made


@attrs.frozen
class Bug:
    """A bug: what is not right any more, which name is replaced, and by what."""

    what: str
    target: str
    wrong: Any


def _nothing(*_: object) -> None:
    """Stand for a check that was left out."""


def _yes(*_: object) -> bool:
    """Stand for a comparison that was left out."""
    return True


def _none_missing(*_: object) -> tuple[str, ...]:
    """Find nothing missing."""
    return ()


def _as_it_is(text: str) -> str:
    """Escape nothing."""
    return text


def _unproven(_: object, pieces: Any) -> Any:
    """Pass data on without their size and CRC being looked at."""
    return pieces


def _of_any_size(block: Block, read: ReadAt, _: bool) -> bytes:
    """Inflate a block without its size and its end being looked at."""
    compressed = read(block.compressed_start, block.compressed_size)
    data: bytes = isal_zlib.decompressobj(-15).decompress(compressed, block.size + 1)
    return data


def _until_cut_off(file: Decompressed, size: int) -> bytes:
    """Take a file that is cut off for one that ends there."""
    try:
        return _read(file, size)
    except EOFError:
        return b""


def _of_seconds(value: object) -> object:
    """Write moments without what is finer than a second."""
    if isinstance(value, (datetime, time)):
        return value.isoformat(timespec="seconds")
    return list(value) if isinstance(value, tuple) else value


def _of_several(schema: Any) -> frozenset[str]:
    """Take a list of types for one only where it has several."""
    stated = schema.get("type") if isinstance(schema, dict) else None
    names = stated if isinstance(stated, list) and len(stated) > 1 else [stated]
    return frozenset(name for name in names if isinstance(name, str))


def _of_any_octets(value: bytes) -> bytes | None:
    """Take JSON without looking whether it is UTF-8."""
    try:
        msgspec.json.decode(value, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return None
    return value.replace(b"\n", b" ")


def _first(attributes: Any, oid: str) -> Any:
    """Return the first value of an attribute, as if it were surely there."""
    return attributes._values[oid][0]  # noqa: SLF001  # as the method does that it stands for


class _Eastern(datetime):
    """Forgets zones behind UTC."""

    @classmethod
    def fromisoformat(cls, text: str) -> Any:
        """Return the moment that a text means."""
        moment = datetime.fromisoformat(text)
        is_behind = (moment.utcoffset() or timedelta()) < timedelta()
        return moment.replace(tzinfo=None) if is_behind else moment


BUGS = {
    "archives": Bug("size and CRC", "cdds.archive.archive._proven", _unproven),
    "ber": Bug("limit of a value", "cdds.crypto.ber_parser.Parser._check_limit", _nothing),
    "block_offsets": Bug("size of a block", "cdds.archive.inflate._block", _of_any_size),
    "certificates": Bug("usage of a key", "cdds.crypto.certificates._check_usage", _nothing),
    "configuration": Bug("source", "cdds.cli.configuration._check_source", _nothing),
    "decompression": Bug("end", "cdds.sources.decompression.Decompressed._read", _until_cut_off),
    "decryption": Bug("tag", "cdds.crypto.decryption.hmac.compare_digest", _yes),
    "digests": Bug(
        "folder of a name",
        "cdds.recipient.digest_file._LINE",
        re.compile(rb"(\\?)([0-9A-Fa-f]{64}) [ *]([^\0]{1,1024})"),
    ),
    "files": Bug("numbers", "cdds.recipient.files.missing_names", _none_missing),
    "gate": Bug("UTF-8 of a line", "cdds.records.gate._is_utf8", _yes),
    "json_array": Bug("text behind it", "cdds.sources.json_array._END_OF_LINE", b""),
    "json_lines": Bug("NaN", "cdds.sources.json_lines._no_constant", _nothing),
    "json_text": Bug("UTF-8", "fuzz.harnesses.json_text.json_text", _of_any_octets),
    "layout": Bug("tag of all ranges", "cdds.crypto.ranges._Gcm.verify", _nothing),
    "listing": Bug("data files", "cdds.recipient.listing._check_data_files", _nothing),
    "members": Bug("number of JSON", "cdds.members._refused", _nothing),
    "messages": Bug("name of an issuer", "cdds.crypto.names.printable", _as_it_is),
    "nulls": Bug("list of one type", "cdds.records.nulls.types_of", _of_several),
    "page_tokens": Bug("value of a key", "cdds.catalog.paging._fits", _yes),
    "recurrences": Bug("microseconds", "cdds.schedule.json_form._plain", _of_seconds),
    "rows": Bug("UTF-8 of a row", "cdds.recipient.rows._is_utf8", _yes),
    "rrule": Bug(
        "parts that do not agree", "cdds.schedule.parts.Parts.__attrs_post_init__", _nothing
    ),
    "signature": Bug("missing attribute", "cdds.crypto.signature._Attributes.only", _first),
    "timestamps": Bug("zones behind UTC", "cdds.timestamps.datetime", _Eastern),
}
"""The bugs, one for each harness, by its name."""


def plant(name: str) -> None:
    """Put the bug of a harness into the library, for as long as this process runs."""
    bug = BUGS[name]
    mock.patch(bug.target, bug.wrong).start()


def seeds_hold(name: str) -> bool:
    """Tell whether the seeds alone do not show a bug, so that it is for the fuzzer to find."""
    bug = BUGS[name]
    try:
        with mock.patch(bug.target, bug.wrong):
            for path in seeds(name):
                harness(name).check(path.read_bytes())
    except Exception:  # noqa: BLE001  # whatever it is that a bug does
        return False
    return True


def main() -> int:
    """Plant each bug and say which were found; return how many were not."""
    from fuzz.fuzzing import fuzzed  # which knows this module

    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or NAMES:
            assert seeds_hold(name)
            outcome = fuzzed(name, Path(folder) / name, WITHIN, is_planted=True)
            missed += not outcome.fault
            found = f"found after {outcome.seconds:.0f} s" if outcome.fault else "NOT FOUND"
            print(f"{name}: {BUGS[name].what}: {found}, with {outcome.executions:,} executions")
    return missed


if __name__ == "__main__":
    sys.exit(main())
