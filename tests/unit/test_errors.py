"""Errors and public names: one tree, drawn and complete, and an import that costs nothing."""

from __future__ import annotations

import builtins
import copy
import importlib
import inspect
import os
import pickle
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import cdds
from cdds import errors
from cdds.errors import CddsError, RecordError
from cdds.reject import Reject

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and value.__module__ == errors.__name__
]
every_error = pytest.mark.parametrize("error", CLASSES)


def made(error: type[Any]) -> Any:
    if issubclass(error, RecordError):
        return error(Reject("interaction", "i.jsonl", 7, "it is odd", "IXNID", "0001"))
    return error("what is wrong")


def drawn() -> dict[str, str]:
    """Return each class of the tree in the docstring, and the one above it."""
    stack: list[str] = []
    found: dict[str, str] = {}
    for indent, name in re.findall(
        r"^    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)", inspect.getdoc(errors) or "", re.MULTILINE
    ):
        depth = len(indent) // 4
        found[name] = stack[depth - 1] if depth else "Exception"
        stack[depth:] = [name]
    return found


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Every class is drawn below its base, and nothing else is drawn."""
    assert drawn() == {
        error.__name__: next(
            base.__name__
            for base in error.__bases__
            if issubclass(base, CddsError) or base is Exception
        )
        for error in CLASSES
    }


@every_error
def test_every_error_is_below_the_root(error: type[Exception]) -> None:
    """One except clause catches everything that this library raises itself."""
    assert issubclass(error, CddsError)
    assert error.__doc__
    assert error.__name__ not in vars(builtins)


@every_error
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_survives_pickling(error: type[Exception], protocol: int) -> None:
    """Workers in other processes report that way."""
    one = made(error)
    for again in (pickle.loads(pickle.dumps(one, protocol)), copy.copy(one)):
        assert type(again) is error
        assert (str(again), again.args) == (str(one), one.args)
        assert getattr(again, "reject", None) == getattr(one, "reject", None)


@every_error
def test_every_error_has_words(error: type[Exception]) -> None:
    """Its text is a sentence for a person."""
    assert str(made(error))


def modules() -> list[str]:
    names = [info.name for info in pkgutil.walk_packages(cdds.__path__, "cdds.")]
    return [name for name in names if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_no_module_defines_public_errors_of_its_own(name: str) -> None:
    """They stand in the tree; what never leaves a room may stand there."""
    module = importlib.import_module(name)
    own = [
        value.__name__
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == name
    ]
    private = {"Damaged", "Irregular", "Refusal"}
    assert name == errors.__name__ or all(found[0] == "_" or found in private for found in own)


# Public names


@pytest.mark.parametrize("name", cdds.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    """By attribute and by ``from cdds import``."""
    found = getattr(cdds, name)
    scope: dict[str, Any] = {}
    exec(f"from cdds import {name}", scope)
    assert scope[name] is found
    assert isinstance(found, (str, ModuleType)) or found.__module__.startswith("cdds")


def test_the_public_names_are_these() -> None:
    """A name that comes or goes is a decision."""
    assert list(cdds.__all__) == sorted(cdds.__all__)
    assert set(cdds.__all__) == set(dir(cdds))
    assert len(set(cdds.__all__)) == len(cdds.__all__)
    assert {"export", "Exporter", "Job", "Packager", "Envelope", "CddsError"} <= set(cdds.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As for any module, so that `hasattr` works."""
    assert not hasattr(cdds, "nothing_of_that_name")
    with pytest.raises(ImportError):
        exec("from cdds import nothing_of_that_name")


@pytest.mark.parametrize("room", ["archive", "crypto", "records", "sinks", "sources", "datasets"])
def test_every_room_exports_what_it_says(room: str) -> None:
    """`__all__` of a room is true."""
    module = importlib.import_module(f"cdds.{room}")
    assert all(hasattr(module, name) for name in module.__all__)


HEAVY = ["cryptography", "sqlalchemy", "fsspec", "tqdm", "jsonschema", "ijson"]


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after running the code."""
    program = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Only what the call at hand needs is loaded."""
    assert not loaded_by("import cdds") & {*HEAVY, "attrs", "msgspec", "orjson", "isal", "asyncio"}


@pytest.mark.parametrize(
    ("code", "unneeded"),
    [
        ("import cdds; cdds.Job, cdds.Timeframe, cdds.errors, cdds.datasets", HEAVY),
        ("import cdds; cdds.Packager", HEAVY),
        ("import cdds; cdds.sources.JsonLines(interaction='x')", HEAVY),
        ("import cdds; cdds.sources.Records()", HEAVY),
        ("import cdds; cdds.sinks.LocalSink('x')", HEAVY),
        ("import cdds; cdds.sinks.open_sink('file:///x')", HEAVY),
        ("import cdds; cdds.Envelope", [name for name in HEAVY if name != "cryptography"]),
        ("import cdds; cdds.export", [name for name in HEAVY if name != "cryptography"]),
    ],
)
def test_a_room_loads_only_what_it_needs(code: str, unneeded: list[str]) -> None:
    """Each heavy library waits for the call that needs it."""
    assert not loaded_by(code) & set(unneeded)


def test_verifying_loads_only_what_it_needs() -> None:
    """Neither what makes tables of records nor what reads from elsewhere."""
    made = Path(__file__).parents[1] / "exports" / "format-1"
    words = str(next(made.glob("*/*.sha256"))), "--key", str(made / "test-only.key.pem")
    loaded = loaded_by(f"from cdds import cli; assert cli.main(['verify', *{words!r}]) == 0")
    assert not loaded & {"pyarrow", "pandas", "fsspec", "sqlalchemy", "tqdm"}
