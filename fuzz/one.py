"""Fuzzes one harness in this process: `python -m fuzz.one NAME CORPUS… -OPTION…`.

Folders and options are those of libFuzzer, which ends the process. With ``--planted`` before them
the library has the bug that is planted for the harness.
"""

from __future__ import annotations

import sys

import atheris

from fuzz.harnesses import harness


def main(name: str, *arguments: str) -> None:
    """Fuzz a harness until libFuzzer ends."""
    with atheris.instrument_imports(include=["cdds"]):
        found = harness(name)
    if arguments[:1] == ("--planted",):
        from fuzz.planted import plant  # not before: it loads what is to be instrumented

        plant(name)
        arguments = arguments[1:]
    atheris.Setup([name, *arguments], found.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
