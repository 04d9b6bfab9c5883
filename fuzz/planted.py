"""Shows that the harnesses find bugs: `python -m fuzz.planted` plants some, one at a time.

Each is one that somebody might make: a check that is left out. A harness must find it within
`WITHIN` seconds, starting with its seeds, none of which shows it by itself.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
from isal import isal_zlib

from cdds.archive.inflate import Block
from fuzz.harnesses import harness, seeds

WITHIN = 60
"""The seconds that a harness has for a bug."""


@attrs.frozen
class Bug:
    """A bug: which harness must find it, what is replaced, and by what."""

    harness: str
    target: str
    wrong: Callable[..., Any]


def _nothing(*_: object) -> None:
    """Stand for a check that was left out."""


def _yes(*_: object) -> bool:
    """Stand for a comparison that was left out."""
    return True


def _unproven(_: object, pieces: Any) -> Any:
    """Pass data on without their size and CRC being looked at."""
    return pieces


def _of_any_size(block: Block, compressed: bytes, _: bool) -> bytes:
    """Inflate a block without its size and its end being looked at."""
    data: bytes = isal_zlib.decompressobj(-15).decompress(compressed, block.size + 1)
    return data


BUGS = {
    "limit-of-a-value": Bug("ber", "cdds.crypto.ber_parser.Parser._check_limit", _nothing),
    "tag-of-gcm": Bug("decryption", "cdds.crypto.decryption.hmac.compare_digest", _yes),
    "size-and-crc": Bug("archives", "cdds.archive.archive._proven", _unproven),
    "size-of-a-block": Bug("block_offsets", "cdds.archive.inflate._block", _of_any_size),
    "utf-8-of-a-line": Bug("gate", "cdds.records.gate._is_utf8", _yes),
    "number-of-json": Bug("members", "cdds.members._refused", _nothing),
}
"""The bugs, by what is not checked any more."""


def plant(name: str) -> None:
    """Put a bug into the library, for as long as this process runs."""
    bug = BUGS[name]
    mock.patch(bug.target, bug.wrong).start()


def _seeds_hold(bug: Bug) -> bool:
    """Tell whether the seeds alone do not show a bug, so that it is for the fuzzer to find."""
    with mock.patch(bug.target, bug.wrong):
        for path in seeds(bug.harness):
            harness(bug.harness).check(path.read_bytes())
    return True


def main() -> int:
    """Plant each bug and say which were found; return how many were not."""
    from fuzz.fuzzing import fuzzed  # which knows this module

    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, bug in BUGS.items():
            assert _seeds_hold(bug)
            outcome = fuzzed(bug.harness, Path(folder) / name, WITHIN, planted=name)
            missed += not outcome.fault
            found = f"found after {outcome.seconds:.0f} s" if outcome.fault else "NOT FOUND"
            print(f"{name}: {found} by {bug.harness}, with {outcome.executions:,} executions")
    return missed


if __name__ == "__main__":
    sys.exit(main())
