"""Words that say what is changed in records: what to drop, keep, mask and pseudonymise.

Place: below `cdds export`, which has options of these names, and the configuration of a service,
which has keys. The key of pseudonyms comes from a file, never from an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cdds.cli.words import Once
from cdds.errors import JobError
from cdds.secret import secret_of_file

if TYPE_CHECKING:
    import argparse

    from cdds.model import Dataset, Transform

_FIELD = "[FILE:]PATH"


def add_options(group: argparse._ArgumentGroup) -> None:
    """Add the options."""
    group.add_argument(
        "--keep",
        metavar=_FIELD,
        action="append",
        default=[],
        help="keep this field and take away all others of its data file, but for those of other "
        "--keep",
    )
    group.add_argument(
        "--drop",
        metavar=_FIELD,
        action="append",
        default=[],
        help="take this field away: SUBJECT, ALLATTRIBUTES.*.Phone, document:CONTENT",
    )
    group.add_argument(
        "--mask",
        metavar=f"{_FIELD}[:N]",
        action="append",
        default=[],
        help="put a star for each character, but for the last N",
    )
    group.add_argument(
        "--pseudonymise",
        metavar=_FIELD,
        action="append",
        default=[],
        help="put a pseudonym for its value: one for each value, in all files and exports that "
        "share the key",
    )
    group.add_argument(
        "--pseudonym-key-file",
        metavar="FILE",
        type=Path,
        action=Once,
        help="its bytes are the key of the pseudonyms, at least 16",
    )


def transforms_of(options: argparse.Namespace, dataset: Dataset) -> dict[str, list[Transform]]:
    """Return the transforms that options ask for, of each data file.

    Raises:
        JobError: a field or the key cannot be used.
        OSError: the file of the key cannot be read.
    """
    key_file = options.pseudonym_key_file
    if bool(options.pseudonymise) != (key_file is not None):
        options.usage_error("--pseudonymise and --pseudonym-key-file go together")
    return made_of(
        dataset,
        keep=options.keep,
        drop=options.drop,
        mask=options.mask,
        pseudonymise=options.pseudonymise,
        key=b"" if key_file is None else secret_of_file(key_file),
    )


def made_of(
    dataset: Dataset,
    *,
    keep: Iterable[str],
    drop: Iterable[str],
    mask: Iterable[str],
    pseudonymise: Iterable[str],
    key: bytes,
) -> dict[str, list[Transform]]:
    """Return the transforms that words ask for, in their one order, of each data file with any.

    Raises:
        JobError: a field or the key cannot be used.
    """
    if not any((keep, drop, mask, pseudonymise)):
        return {}
    from cdds.transforms import Drop, Keep, Mask, Pseudonymise

    found: dict[str, list[Transform]] = {file.name: [] for file in dataset.files}
    for name, paths in _by_file(keep, dataset).items():
        found[name].append(Keep(*paths))
    for name, paths in _by_file(drop, dataset).items():
        found[name].append(Drop(*paths))
    for text in mask:
        name, path = _field(text, dataset)
        path, count = _count(path)
        found[name].append(Mask(path, keep_last=count))
    for name, paths in _by_file(pseudonymise, dataset).items():
        found[name].append(Pseudonymise(*paths, key=key))
    return {name: transforms for name, transforms in found.items() if transforms}


def _by_file(texts: Iterable[str], dataset: Dataset) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = {}
    for text in texts:
        name, path = _field(text, dataset)
        paths.setdefault(name, []).append(path)
    return paths


def _field(text: str, dataset: Dataset) -> tuple[str, str]:
    """Return the data file, the first when none is said, and the path."""
    names = [file.name for file in dataset.files]
    name, separator, path = text.partition(":")
    return (name, path) if separator and name in names else (names[0], text)


def _count(path: str) -> tuple[str, int]:
    """Return the path, and how many characters are shown."""
    start, separator, count = path.rpartition(":")
    if not (separator and count.isascii() and count.isdecimal()):
        return path, 0
    if len(count) > 4:
        raise JobError("a mask shows at most 1000 characters")
    return start, int(count)
