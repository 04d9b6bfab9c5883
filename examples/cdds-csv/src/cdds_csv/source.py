"""A folder of CSV files as a source: one file for each data file of a dataset.

    folder/interaction.csv    IXNID,STARTDATE,MEDIATYPEID
                              000001,2025-03-01T10:00:00Z,chat

The header names properties of the schema. An empty cell is no value; a type that is no text is
written as JSON has it: ``7``, ``1.5``, ``true``, ``{"a": [1]}``. A time frame is selected here.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cdds.errors import RecordError, SourceError
from cdds.model import DataFile, Dataset, Selection, Timeframe
from cdds.protocols import Located
from cdds.reject import Reject
from cdds.timestamps import parse_timestamp

Convert = Callable[[str], Any]

_LARGEST_CELL = 64 * 1024 * 1024


class CsvFolder:
    """A folder of CSV files in UTF-8.

    Args:
        url: ``csv:///folder``.
        delimiter: what stands between cells.

    Raises:
        SourceError: the URL names no folder of this machine, or there is none.
    """

    def __init__(self, url: str, *, delimiter: str = ",") -> None:
        place = urlsplit(url)
        if place.netloc or place.query or not place.path:
            raise SourceError("a folder of CSV files is csv:///folder, with three slashes")
        self._folder = Path(unquote(place.path))
        self._delimiter = delimiter
        if not self._folder.is_dir():
            raise SourceError(f"{self._folder} is no folder; give one that holds CSV files")

    @contextmanager
    def snapshot(self, dataset: Dataset, selection: Selection) -> Iterator[CsvSnapshot]:
        """Open the files of a dataset, which must not change meanwhile.

        Raises:
            SourceError: the folder holds a CSV file that is none of the dataset's.
        """
        known = {file.name: file for file in dataset.files}
        unknown = [path.name for path in self._folder.glob("*.csv") if path.stem not in known]
        if unknown:
            raise SourceError(
                f"{self._folder} holds {', '.join(sorted(unknown))}, which dataset {dataset.name} "
                f"has no data file for; it has {', '.join(known)}"
            )
        yield CsvSnapshot(self._folder, self._delimiter, known, selection.timeframe or Timeframe())


class CsvSnapshot:
    """The records of a folder, within a time frame, each with its number in its file."""

    def __init__(
        self,
        folder: Path,
        delimiter: str,
        files: Mapping[str, DataFile],
        timeframe: Timeframe,
    ) -> None:
        self._folder = folder
        self._delimiter = delimiter
        self._files = files
        self._timeframe = timeframe

    def has(self, data_file: str) -> bool:
        """Return whether there is a CSV file for a data file."""
        return self._path(data_file).exists()

    def records(self, data_file: str) -> Iterator[Mapping[str, Any]]:
        """Yield the records of a data file; raises as `located` does."""
        return (record for _, _, record in self.located(data_file))

    def located(self, data_file: str) -> Iterator[Located]:
        """Yield the records of a data file, each with where it stands.

        Raises:
            SourceError: the file cannot be read, or has a column that the schema does not know.
            RecordError: a record has too many cells, or a cell that is not of its type.
        """
        if not self.has(data_file):
            return
        path, file = self._path(data_file), self._files[data_file]
        try:
            with path.open(encoding="utf-8-sig", newline="") as text:
                rows = csv.reader(text, delimiter=self._delimiter, strict=True)
                columns = _columns(next(rows, []), file, path)
                for number, cells in enumerate(rows, start=1):
                    reject = partial(Reject, data_file, str(path), number)
                    record = _record(cells, columns, reject)
                    if _is_wanted(record, file, self._timeframe):
                        yield str(path), number, record
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SourceError(f"cannot read {path}: {type(error).__name__}") from None

    def _path(self, data_file: str) -> Path:
        return self._folder / f"{data_file}.csv"


def _columns(header: Sequence[str], file: DataFile, path: Path) -> list[tuple[str, Convert]]:
    """Return the property of each column, and what converts its cells."""
    properties = file.schema.get("properties", {})
    unknown = [name for name in header if name not in properties]
    if unknown or len(set(header)) < len(header):
        raise SourceError(
            f"{path} has a column twice, or one that the schema of {file.name} does not know: "
            f"{', '.join(unknown) or 'twice'}"
        )
    csv.field_size_limit(_LARGEST_CELL)
    return [(name, _convert(properties[name].get("type", "string"))) for name in header]


def _convert(kind: Any) -> Convert:
    kinds = {kind} if isinstance(kind, str) else set(kind)
    return str if "string" in kinds else partial(json.loads, parse_float=Decimal)


def _record(
    cells: Sequence[str], columns: Sequence[tuple[str, Convert]], reject: Callable[..., Reject]
) -> dict[str, Any]:
    if len(cells) > len(columns):
        raise RecordError(reject("it has more cells than the header"))
    record = {}
    for (name, convert), cell in zip(columns, cells, strict=False):
        if cell:
            try:
                record[name] = convert(cell)
            except ValueError:
                raise RecordError(
                    reject("the cell is not of the type of its column", name)
                ) from None
    return record


def _is_wanted(record: Mapping[str, Any], file: DataFile, timeframe: Timeframe) -> bool:
    """Tell whether a record may be in a time frame: the exporter has the last word."""
    for name in file.timestamps:
        if name in record:
            try:
                return parse_timestamp(str(record[name])) in timeframe
            except (ValueError, OverflowError):  # the exporter will name it
                return True
    return True
