"""What the name of a file says: which part of which set it is.

Place: the ground of the recipient's side; names alone, nothing is opened. It knows the names that
split archives have (PKWARE APPNOTE 6.3.10, section 8.3), those of 7-Zip's volumes, and what
sealing adds to each. Any other name is that of a set of one file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Literal, TypeAlias

import attrs

Layout: TypeAlias = Literal["split", "volumes", "single"]
"""``a.z01`` to ``a.zip``; ``a.zip.001`` and on; or one file."""

DIGESTS_SUFFIX = ".sha256"
SIGNATURE_SUFFIX = ".p7s"

_SEAL = r"(?P<seal>\.smime|\.p7m|\.pem)?"
_SPLIT = re.compile(
    rf"(?P<stem>.+)(?P<mark>\.z)(?:ip|(?P<number>0[1-9]|[1-9][0-9]{{1,9}})){_SEAL}",
    re.IGNORECASE | re.DOTALL,
)
_VOLUME = re.compile(
    rf"(?P<stem>.+)(?P<mark>\.zip\.)(?P<number>00[1-9]|0[1-9][0-9]|[1-9][0-9]{{2,9}}){_SEAL}",
    re.IGNORECASE | re.DOTALL,
)


@attrs.frozen
class PartName:
    """The name of one file of an archive, taken apart.

    Attributes:
        name: the name.
        stem: what all names of its set begin with.
        layout: how the files of its set are told apart.
        number: which of them it is, from 1; None for the last of a split set, and for a single one.
        mark: what stands between stem and number.
        seal: what sealing added to the name, as it is written.
    """

    name: str
    stem: str
    layout: Layout = "single"
    number: int | None = None
    mark: str = ""
    seal: str = ""

    @property
    def of_set(self) -> tuple[str, Layout, str]:
        """What the names of one set have in common."""
        return self.stem, self.layout, self.seal.lower()

    def sibling(self, number: int | None) -> str:
        """Return the name of another file of the set, in the same case."""
        if self.layout == "volumes":
            return f"{self.stem}{self.mark}{number:03}{self.seal}"
        last = "IP" if self.mark.isupper() else "ip"
        end = last if number is None else f"{number:02}"
        return f"{self.stem}{self.mark}{end}{self.seal}"


def part_name(name: str) -> PartName:
    """Return what the name of a file says.

    >>> part_name("export.z07.smime").number
    7
    """
    for layout, pattern in _LAYOUTS.items():
        found = pattern.fullmatch(name)
        if found:
            number = found["number"] and int(found["number"])
            return PartName(
                name, found["stem"], layout, number or None, found["mark"], found["seal"] or ""
            )
    return PartName(name, name)


_LAYOUTS: dict[Layout, re.Pattern[str]] = {"split": _SPLIT, "volumes": _VOLUME}


def digests_name(part: PartName) -> str | None:
    """Return how the file of digests beside an export of this library is called.

    What others call ``.sha256`` may be anything, so for any other name it is None.
    """
    ours = part.layout == "split" and part.stem.startswith("export-")
    return part.stem + DIGESTS_SUFFIX if ours else None


def missing_names(one: PartName, numbers: Iterable[int | None]) -> Iterator[str]:
    """Yield the names of those files of a set that are not there, as far as numbers tell.

    Args:
        one: any of the set.
        numbers: those that are there; of a split set with None for the last.
    """
    there = set(numbers)
    counted = sorted(number for number in there if number is not None)
    for before, after in pairwise([0, *counted]):
        yield from map(one.sibling, range(before + 1, after))
    if one.layout == "split" and None not in there:
        yield one.sibling(None)
