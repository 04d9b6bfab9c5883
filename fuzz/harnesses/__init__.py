"""The harnesses, one for each parser; each module begins with the invariant that it tests.

A harness is a module with three names: `READS`, the modules whose lines are counted as reached;
`WORDS`, what its input is likely to be made of; and `check`, which takes an input and raises when
the invariant does not hold. None of them knows the fuzzer, so that tests can run them on seeds.
Some say with `VECTORS` which of the test vectors beside the project are inputs too, and with
`LONGEST` how many bytes an input may have.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

SEEDS = Path(__file__).parent.parent / "seeds"
"""The folder with a folder of seeds for each harness."""

NAMES = (
    "decryption",
    "signature",
    "messages",
    "layout",
    "archives",
    "files",
    "digests",
    "listing",
    "rows",
    "certificates",
    "page_tokens",
    "gate",
    "members",
    "json_array",
    "json_lines",
    "ber",
    "block_offsets",
    "rrule",
    "timestamps",
    "json_text",
    "configuration",
    "decompression",
    "recurrences",
    "nulls",
)
"""All harnesses, in the order in which they run: first where a fault would do most harm."""


class Harness(Protocol):
    """What a module of this package holds."""

    READS: Sequence[str]
    WORDS: Sequence[bytes]

    @staticmethod
    def check(data: bytes, /) -> None:
        """Raise if the invariant does not hold for an input."""


def harness(name: str) -> Harness:
    """Return the harness of a name."""
    return cast(Harness, importlib.import_module(f"fuzz.harnesses.{name}"))


def seeds(name: str) -> list[Path]:
    """Return the committed seeds of a harness."""
    return sorted((SEEDS / name).iterdir())
