"""Records that the host already has in hand, or makes as they are asked for.

Place: the simplest source. It opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

from cdds.errors import SourceError
from cdds.model import Dataset, Selection

Input: TypeAlias = "Iterable[Mapping[str, Any]] | Callable[[], Iterable[Mapping[str, Any]]]"


class Records:
    """Any iterable of mappings, or a callable that makes one, for each data file by its name.

    An iterator can be read once only; pass a list or a callable to export more than once.

    >>> Records(interaction=[{"IXNID": "000001"}], document=lambda: read_documents())
    """

    def __init__(self, **inputs: Input) -> None:
        self._inputs = inputs

    def __repr__(self) -> str:
        return f"Records({', '.join(self._inputs)})"

    def snapshot(self, dataset: Dataset, selection: Selection) -> AbstractContextManager[Records]:
        """Return the records themselves: they are taken to be consistent."""
        del selection  # the exporter selects
        refuse_unknown(self._inputs, dataset)
        return nullcontext(self)

    def has(self, data_file: str) -> bool:
        """Return whether records were given for a data file."""
        return data_file in self._inputs

    def records(self, data_file: str) -> Iterator[Mapping[str, Any]]:
        """Yield the records of a data file."""
        given = self._inputs.get(data_file, ())
        return iter(given() if callable(given) else given)


def refuse_unknown(names: Iterable[str], dataset: Dataset) -> None:
    """Refuse inputs that the dataset has no data file for.

    Raises:
        SourceError: there are such; nothing that was given is left out in silence.
    """
    known = [file.name for file in dataset.files]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SourceError(
            f"dataset {dataset.name} has no data file {', '.join(unknown)}; "
            f"it has {', '.join(known)}"
        )
