"""Counts what became of the records, across the worker threads of one run.

Place: filled by the gates, read by the exporter for the manifest and the result.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Lock

import attrs

from cdds.errors import RecordError, TooManyRejects
from cdds.model import OnInvalid
from cdds.records.drift import FieldCounts
from cdds.reject import Reject

_MOST_LISTED = 12 * 1024 * 1024
"""The most bytes of rejects in a manifest: readers take 16 MiB of one, however few the data are."""


class Tally:
    """How many records were exported, left out and rejected; safe to use from many threads."""

    def __init__(self, on_invalid: OnInvalid = "fail", max_rejects: int = 1000) -> None:
        self._on_invalid = on_invalid
        self._max_rejects = max_rejects
        self._lock = Lock()
        self._records: Counter[str] = Counter()
        self._rejects: list[tuple[int, Reject]] = []
        self._listed = 0  # bytes
        self._unknown: dict[str, FieldCounts] = {}
        self._left: dict[str, FieldCounts] = {}
        self.undated = 0
        self.unmatched = 0

    def add(self, data_file: str, wanted: int, undated: int = 0, unmatched: int = 0) -> None:
        """Count exported records, and those left out for want of a timestamp or a parent."""
        with self._lock:
            self._records[data_file] += wanted
            self.undated += undated
            self.unmatched += unmatched

    def drift(self, data_file: str, names: Sequence[str], left: Sequence[str]) -> None:
        """Count fields of exported records that the schema does not know.

        Args:
            data_file: its name.
            names: all that the source gave, each as often as it comes.
            left: those of them that transforms left where they were.
        """
        with self._lock:
            for counts, counted in ((self._unknown, names), (self._left, left)):
                if counted:
                    counts.setdefault(data_file, FieldCounts()).update(counted)

    def reject(self, reject: Reject, order: int) -> None:
        """Take note of an invalid record; `order` is the number of its data file.

        Raises:
            RecordError: the run shall fail for it, or it is one too many: for the job, or for a
                manifest that can be read.
        """
        if self._on_invalid == "fail":
            raise RecordError(
                reject, "correct it, or export with on_invalid='reject' to leave it out"
            )
        with self._lock:
            self._listed += len(json.dumps(attrs.asdict(reject)))
            if len(self._rejects) >= self._max_rejects or self._listed > _MOST_LISTED:
                raise TooManyRejects(reject)
            self._rejects.append((order, reject))

    @property
    def total(self) -> int:
        """How many records have been exported so far."""
        return sum(self._records.copy().values())

    @property
    def records(self) -> dict[str, int]:
        """How many records each data file holds; one without records is not listed."""
        return {name: count for name, count in self._records.items() if count}

    @property
    def unknown_fields(self) -> dict[str, dict[str, int]]:
        """How many records have each field that the schema does not know, by data file and name.

        They are told as the source gave them, to whom has the source: their names may be personal,
        and a transform may have taken them away for that.
        """
        return _listing(self._unknown)

    @property
    def exported_unknown_fields(self) -> dict[str, dict[str, int]]:
        """The same of those that are in the archive, which may tell of no others."""
        return _listing(self._left)

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """The rejected records, by data file, input and position."""
        ordered = sorted(
            self._rejects, key=lambda item: (item[0], item[1].origin, item[1].position)
        )
        return tuple(reject for _, reject in ordered)


def _listing(counts: Mapping[str, FieldCounts]) -> dict[str, dict[str, int]]:
    return {name: counted.listing() for name, counted in sorted(counts.items())}
