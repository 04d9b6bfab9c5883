"""The page that goes through the guide sentence by sentence, and whether it can be relied on.

It is read as text, and the tests that it names are looked up in their files without importing
them. What they show is for a reader to judge; that they are there is judged here.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "guide-conformance.md"
CHAPTERS = [
    "Cloud Data Download Service",
    "Administration",
    "Export",
    "Contact History Export Reference",
]
TOPICS = {"recipient's side", "sources"}
HEAD = ["| no. | the guide says | shown by |", "|---|---|---|"]

TEST = r"`(tests/[\w/]+/test_\w+\.py)((?:::Test\w+)*::test_\w+)`"
SHOWN = re.compile(rf"{TEST}(?:, {TEST})*")
NOT_APPLICABLE = re.compile(r"not applicable: \S.*")
OPEN = re.compile(rf"open: (?:{'|'.join(sorted(TOPICS))})")


@attrs.frozen
class Row:
    """A line of a table, as its cells."""

    cells: tuple[str, ...]

    @property
    def number(self) -> str:
        return self.cells[0]

    @property
    def shown_by(self) -> str:
        return self.cells[-1]

    @property
    def tests(self) -> list[tuple[str, str]]:
        """The files and the names within them."""
        return re.findall(TEST, self.shown_by)


def chapters(page: str) -> dict[str, list[str]]:
    """Return the lines of each section, without those that are empty."""
    _, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    lines = [list(filter(None, section.splitlines())) for section in sections]
    return {title: rest for title, *rest in lines}


def rows(page: str) -> list[Row]:
    return [
        Row(tuple(cell.strip() for cell in line.strip("|").split("|")))
        for lines in chapters(page).values()
        for line in lines[len(HEAD) :]
    ]


@cache
def known_tests(path: Path) -> frozenset[str]:
    """Return the tests of a file, those in classes by ``::TestClass::test_name``."""
    if not path.is_file():
        return frozenset()
    return frozenset(names_in(ast.parse(path.read_text(encoding="utf-8")).body))


def names_in(body: list[ast.stmt], outer: str = "") -> Iterator[str]:
    for item in body:
        match item:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield f"{outer}::{name}"
            case ast.ClassDef(name=name, body=inner):
                yield from names_in(inner, f"{outer}::{name}")


def faults(page: str) -> Iterator[str]:
    """Tell all that is wrong with a page."""
    yield from faults_of_structure(page)
    yield from faults_of_numbers(rows(page))
    for row in rows(page):
        yield from faults_of_row(row)


def faults_of_structure(page: str) -> Iterator[str]:
    found = chapters(page)
    if list(found) != CHAPTERS:
        yield f"the sections are {list(found)}"
    for title, lines in found.items():
        if lines[: len(HEAD)] != HEAD:
            yield f"{title}: there is no such table"
        if len(lines) == len(HEAD):
            yield f"{title}: there is no row"
        yield from (f"{title}: no row: {line}" for line in lines if not is_row(line))


def is_row(line: str) -> bool:
    return line.startswith("|") and line.endswith("|")


def faults_of_numbers(found: list[Row]) -> Iterator[str]:
    """Tell which numbers repeat, and which are missing; they may stand in any order."""
    counted = Counter(row.number for row in found)
    yield from (f"{number}: there are {times}" for number, times in counted.items() if times > 1)
    missing = {f"G{number}" for number in range(1, len(found) + 1)} - set(counted)
    yield from (f"{number}: there is none" for number in sorted(missing))


def faults_of_row(row: Row) -> Iterator[str]:
    if len(row.cells) != 3 or not all(row.cells):
        yield f"{row.number}: not three cells, or one is empty"
    if not any(form.fullmatch(row.shown_by) for form in (SHOWN, NOT_APPLICABLE, OPEN)):
        yield f"{row.number}: none of the three forms: {row.shown_by}"
    for file, name in row.tests:
        if name not in known_tests(ROOT / file):
            yield f"{row.number}: there is no test {file}{name}"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_page_is_without_fault(page: str) -> None:
    """Numbers are unique and complete, forms are kept, tests exist, nothing is empty."""
    assert list(faults(page)) == []


def test_the_page_explains_each_topic(page: str) -> None:
    """No more and no fewer than its rows may use."""
    explained = re.findall(r"^  - `([^`]+)`:", page, flags=re.MULTILINE)
    assert sorted(explained) == sorted(TOPICS)


FIRST = f"tests/unit/{Path(__file__).name}::test_the_page_is_without_fault"
GOOD = "".join(
    f"\n## {title}\n\n{HEAD[0]}\n{HEAD[1]}\n| G{number} | It is | {shown_by} |\n"
    for number, (title, shown_by) in enumerate(
        zip(
            CHAPTERS,
            [f"`{FIRST}`", f"`{FIRST}`, `{FIRST}`", "not applicable: a screen", "open: sources"],
            strict=True,
        ),
        start=1,
    )
)


def test_a_good_page_has_no_fault() -> None:
    """Or what follows would show nothing."""
    assert list(faults(GOOD)) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("| G2 |", "| G1 |", "G1: there are 2"),
        ("| G2 |", "| G5 |", "G2: there is none"),
        ("| G2 |", "| 2 |", "G2: there is none"),
        ("| G4 | It is |", "| G4 | |", "G4: not three cells, or one is empty"),
        ("| G4 | It is |", "| G4 |", "G4: not three cells, or one is empty"),
        ("| G4 | It is |", "| G4 | It is | It is |", "G4: not three cells, or one is empty"),
        ("open: sources", "", "G4: none of the three forms"),
        ("open: sources", "open", "G4: none of the three forms"),
        ("open: sources", "open: something", "G4: none of the three forms"),
        ("not applicable: a screen", "not applicable:", "G3: none of the three forms"),
        ("not applicable: a screen", "not applicable", "G3: none of the three forms"),
        (f"| `{FIRST}` |", f"| {FIRST} |", "G1: none of the three forms"),
        (f"| `{FIRST}` |", f"| `{FIRST}` and more |", "G1: none of the three forms"),
        (f"| `{FIRST}` |", f"| `{FIRST}s` |", "G1: there is no test"),
        (f", `{FIRST}` |", f", `{FIRST}s` |", "G2: there is no test"),
        ("tests/unit/", "tests/nowhere/", "G1: there is no test"),
        ("::test_the", "::TestClass::test_the", "G1: there is no test"),
        ("## Export\n", "## Import\n", "the sections are"),
        ("| no. |", "| number |", f"{CHAPTERS[0]}: there is no such table"),
        ("| G1 |", "G1 |", f"{CHAPTERS[0]}: no row"),
        ("| G4 | It is | open: sources |\n", "", f"{CHAPTERS[3]}: there is no row"),
    ],
)
def test_a_fault_is_told(old: str, new: str, fault: str) -> None:
    """Each by itself, on a page that has no other."""
    assert old in GOOD
    told = list(faults(GOOD.replace(old, new, 1)))
    assert any(one.startswith(fault) for one in told), told


def test_a_test_in_a_class_is_found_by_both_names() -> None:
    """And what stands inside a function is no test."""
    source = "class TestA:\n  async def test_b(self): ...\ndef test_c():\n  def test_d(): ...\n"
    assert list(names_in(ast.parse(source).body)) == ["::TestA::test_b", "::test_c"]
