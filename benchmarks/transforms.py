"""Measures what changing records costs, and what fields cost that the schema does not know.

    python benchmarks/transforms.py [--size 60MB] [--corpus email chat voice]
                                    [--folder DIR] [--markdown]

A figure is MB of records for each second of a processor, validation included: the best of three.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import corpora
from tables import table

from cdds import transforms as t
from cdds.datasets import INTERACTION
from cdds.model import Job, parse_size
from cdds.protocols import Lines
from cdds.records import Change, Gate, Tally, Verdict, json_of_value
from cdds.sources import JsonLines

_FILE = INTERACTION.files[0]
_KEY = b"a key of 32 bytes: no secret at all"
_RUNS = 3

_TRANSFORMS: dict[str, list[Any]] = {
    "nothing is changed": [],
    "drop 2 fields": [t.Drop("FROMADDRESS", "TOADDRESSES")],
    "drop 2 paths below ALLATTRIBUTES": [
        t.Drop("ALLATTRIBUTES.FirstName", "ALLATTRIBUTES.*.Phone")
    ],
    "keep 3 paths": [t.Keep("IXNID", "STARTDATE", "ALLATTRIBUTES.Subject")],
    "mask 1 field": [t.Mask("FROMADDRESS", keep_last=4)],
    "pseudonymise 2 fields": [t.Pseudonymise("CONTACTID", "FROMADDRESS", key=_KEY)],
    "pseudonymise all of ALLATTRIBUTES": [t.Pseudonymise("ALLATTRIBUTES", key=_KEY)],
    "apply a function to 1 field": [t.Apply(str.casefold, "SUBJECT")],
    "apply a function to records": [t.ApplyToRecord(lambda record: record | {"SUBJECT": ""})],
}


def main() -> None:
    """Measure on each corpus and print a table."""
    parser = argparse.ArgumentParser(description="Measure what changing records costs.")
    parser.add_argument("--size", type=parse_size, default="60MB", help="kept in memory")
    names = tuple(corpora.MIXES)
    parser.add_argument("--corpus", nargs="+", choices=names, default=names)
    parser.add_argument("--folder", type=Path, default=corpora.FOLDER, help="for the corpora")
    parser.add_argument("--markdown", action="store_true", help="a table in Markdown")
    options = parser.parse_args()
    columns = [
        _speeds(corpora.corpus(name, options.size, options.folder)) for name in options.corpus
    ]
    rows = [(name, *(f"{column[name]:.0f}" for column in columns)) for name in columns[0]]
    print(table(("MB/s of a processor", *options.corpus), rows, markdown=options.markdown))


def _speeds(corpus: corpora.Corpus) -> dict[str, float]:
    lines = list(JsonLines(interaction=corpus.path).lines("interaction"))
    speeds = {}
    for name, transforms in _TRANSFORMS.items():
        job = Job(dataset=INTERACTION, transforms={"interaction": transforms})
        speeds[name] = _speed(job, lines)
    plain = Job(dataset=INTERACTION)
    drifting = _edited(lines, lambda data: data.replace(b'{"IXNID"', b'{"NEW":1,"IXNID"'))
    speeds["each record has an unknown field"] = _speed(plain, drifting)
    one = _edited(lines, lambda data: data[:-2] + b',"NEW":1}\n')
    speeds["one record of each MiB has"] = _speed(plain, one)
    ignoring = attrs.evolve(plain, match_case=False)
    speeds["case is ignored, and right"] = _speed(ignoring, lines)
    wrong = _edited(lines, lambda data: data.replace(b'"STATUS"', b'"Status"'))
    speeds["case is ignored, and wrong in each"] = _speed(ignoring, wrong)
    return speeds


def _speed(job: Job, lines: list[Lines]) -> float:
    size = sum(len(piece.data) for piece in lines)
    return size / 1_000_000 / min(_seconds(job, lines) for _ in range(_RUNS))


def _seconds(job: Job, lines: list[Lines]) -> float:
    gate = Gate(_FILE, job, Tally(), change=_change(job))
    start = time.process_time()
    for piece in lines:
        gate(piece)
    return time.process_time() - start


def _change(job: Job) -> Change | None:
    transforms = job.transforms.get(_FILE.name)
    if not transforms:
        return None
    return t.Chain(transforms, json_of_value, Verdict(job.schema_of(_FILE)).check)


def _edited(lines: list[Lines], edit: Callable[[bytes], bytes]) -> list[Lines]:
    return [attrs.evolve(piece, data=edit(piece.data)) for piece in lines]


if __name__ == "__main__":
    main()
