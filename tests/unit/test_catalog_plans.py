"""How the databases answer the catalog's queries: along an index, whatever is asked for.

The plan is asked for of the very statement that the catalog sends, with its parameters. SQLite is
asked twice: as it is in use, where nobody has it count its rows, and after ``ANALYZE``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import attrs
import pytest
import sqlalchemy
from filling import LARGE_TENANT, USER, Filling, Size

from cdds.catalog import Catalog, Page, Transaction, artifacts, jobs, runs
from cdds.catalog.paging import Order, Sorts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIZE = Size(jobs=5000, runs=20_000, artifacts=20_000)
KINDS = ("sqlite", "sqlite, analyzed", "postgresql")

Owners: TypeAlias = frozenset[str] | None
Read: TypeAlias = Callable[[Transaction], Any]
Statement: TypeAlias = tuple[str, Any]


@attrs.frozen
class Step:
    """How one table is read: by which index, and from where to where in it."""

    table: str
    index: str
    condition: str


@attrs.frozen
class Plan:
    """What a database does to answer a statement."""

    steps: tuple[Step, ...]
    sorts: bool

    def of(self, table: str) -> Step:
        (step,) = (step for step in self.steps if step.table == table)
        return step


@attrs.frozen
class Database:
    """A catalog that holds much, and what it has been asked."""

    catalog: Catalog
    filling: Filling

    def plans(self, read: Read) -> list[Plan]:
        """Return how each query of a read is answered."""
        return self.answer(read)[1]

    def answer(self, read: Read) -> tuple[Any, list[Plan]]:
        with listening(self.catalog._engine) as statements, self.catalog.read() as transaction:
            answer = read(transaction)
        return answer, [self._explain(*statement) for statement in statements]

    def _explain(self, statement: str, parameters: Any) -> Plan:
        with self.catalog._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                explain = f"EXPLAIN QUERY PLAN {statement}"
                rows = connection.exec_driver_sql(explain, parameters).all()
                return sqlite_plan([row.detail for row in rows])
            explain = f"EXPLAIN (FORMAT JSON) {statement}"
            return postgresql_plan(
                connection.exec_driver_sql(explain, parameters).scalar_one()[0]["Plan"]
            )


@contextmanager
def listening(engine: sqlalchemy.Engine) -> Iterator[list[Statement]]:
    statements: list[Statement] = []

    def listen(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, parameters))

    sqlalchemy.event.listen(engine, "before_cursor_execute", listen)
    try:
        yield statements
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", listen)


def sqlite_plan(details: Sequence[str]) -> Plan:
    pattern = re.compile(
        r"(?:SEARCH|SCAN) (\w+)(?: USING (?:COVERING )?INDEX (\w+))?(?: \((.*)\))?"
    )
    found = filter(None, map(pattern.match, details))
    steps = tuple(Step(match[1], match[2] or "", match[3] or "") for match in found)
    return Plan(steps, any("TEMP B-TREE" in detail for detail in details))


def postgresql_plan(root: dict[str, Any]) -> Plan:
    nodes = list(walk(root))
    steps = [
        Step(node["Relation Name"], index_of(node), node.get("Index Cond", ""))
        for node in nodes
        if "Relation Name" in node
    ]
    return Plan(tuple(steps), any("Sort" in node["Node Type"] for node in nodes))


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)


def index_of(node: dict[str, Any]) -> str:
    """Return the index that a table is read by, or nothing; a bitmap of one index counts too."""
    if node["Node Type"] == "Bitmap Heap Scan":
        (node,) = node["Plans"]
    name: str = node.get("Index Name", "")
    return name


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, new_catalog_url: Any) -> Iterator[Database]:
    kind, _, analyzed = request.param.partition(", ")
    filling = Filling(size=SIZE, now=NOW)
    with new_catalog_url(kind) as url, Catalog(url, audit_key=b"k" * 32) as catalog:
        filling.insert(catalog._engine)
        if analyzed or kind == "postgresql":  # which does so by itself, after a while
            filling.analyze(catalog._engine)
        yield Database(catalog, filling)


def _ways(sorts: Sorts) -> list[tuple[str, bool, Owners]]:
    return list(itertools.product(sorts, (False, True), (None, frozenset({USER}))))


def _index(table: str, scope: str, sorts: Sorts, sort: str) -> str:
    return "_".join((table, scope, *(column.name for column in sorts[sort][:-1])))


def _check_pages(
    database: Database, page: Callable[[Transaction, Order], Page[Any]], order: Order, index: str
) -> None:
    """Check that the first page and the next are read along an index, from where they begin."""
    table = "_".join(index.split("_")[:2])
    first, (plan,) = database.answer(lambda transaction: page(transaction, order))
    assert plan.of(table).index == index
    assert not plan.sorts
    assert all(step.index for step in plan.steps)
    assert first.next is not None
    order = attrs.evolve(order, after=first.next)
    (plan,) = database.plans(lambda transaction: page(transaction, order))
    step = plan.of(table)
    assert step.index == index
    last = "name" if table == "cdds_artifacts" else "id"
    assert re.search(rf"\b{last}\)? ?[<>]", step.condition)  # it begins at the token
    assert not plan.sorts
    assert all(step.index for step in plan.steps)


@pytest.mark.parametrize(("sort", "descending", "owners"), _ways(jobs.SORTS))
def test_pages_of_jobs_are_read_along_an_index(
    database: Database, sort: str, descending: bool, owners: Owners
) -> None:
    _check_pages(
        database,
        lambda transaction, order: transaction.jobs.page(LARGE_TENANT, owners, order),
        Order(sort=sort, descending=descending),
        _index("cdds_jobs", "owner" if owners else "tenant", jobs.SORTS, sort),
    )


@pytest.mark.parametrize(("sort", "descending", "owners"), _ways(runs.SORTS))
def test_pages_of_runs_are_read_along_an_index(
    database: Database, sort: str, descending: bool, owners: Owners
) -> None:
    _check_pages(
        database,
        lambda transaction, order: transaction.runs.page(LARGE_TENANT, owners, order),
        Order(sort=sort, descending=descending),
        _index("cdds_runs", "owner" if owners else "tenant", runs.SORTS, sort),
    )


@pytest.mark.parametrize(("sort", "descending", "owners"), _ways(runs.JOB_SORTS))
def test_pages_of_the_runs_of_a_job_are_read_along_an_index(
    database: Database, sort: str, descending: bool, owners: Owners
) -> None:
    job_id = database.filling.busiest_job
    _check_pages(
        database,
        lambda transaction, order: transaction.runs.page(
            LARGE_TENANT, owners, order, job_id=job_id
        ),
        Order(sort=sort, descending=descending),
        _index("cdds_runs", "job_id", runs.JOB_SORTS, sort),
    )


@pytest.mark.parametrize(("sort", "descending", "owners"), _ways(artifacts.SORTS))
def test_pages_of_artifacts_are_read_along_an_index(
    database: Database, sort: str, descending: bool, owners: Owners
) -> None:
    _check_pages(
        database,
        lambda transaction, order: transaction.artifacts.page(LARGE_TENANT, owners, NOW, order),
        Order(sort=sort, descending=descending),
        _index("cdds_artifacts", "owner" if owners else "tenant", artifacts.SORTS, sort),
    )


@pytest.mark.parametrize("owners", [None, frozenset({USER})])
@pytest.mark.parametrize("status", ["in progress", "failed"])
def test_runs_of_one_status_are_read_along_an_index(
    database: Database, status: str, owners: Owners
) -> None:
    order = Order(sort="started", descending=True)
    (plan,) = database.plans(
        lambda transaction: transaction.runs.page(LARGE_TENANT, owners, order, status=status)
    )
    scope = "owner" if owners else "tenant"
    assert plan.of("cdds_runs").index == f"cdds_runs_{scope}_status_started"


@pytest.mark.parametrize("owners", [None, frozenset({USER})])
def test_artifacts_of_a_run_and_of_a_job_are_found_by_its_id(
    database: Database, owners: Owners
) -> None:
    order = Order(sort="created", descending=True)
    job_id = database.filling.busiest_job
    with database.catalog.read() as transaction:
        some = transaction.artifacts.page(LARGE_TENANT, owners, NOW, order, job_id=job_id)
    (by_run,) = database.plans(
        lambda transaction: transaction.artifacts.page(
            LARGE_TENANT, owners, NOW, order, run_id=some.items[0].run_id
        )
    )
    (by_job,) = database.plans(
        lambda transaction: transaction.artifacts.page(
            LARGE_TENANT, owners, NOW, order, job_id=job_id
        )
    )
    assert by_run.of("cdds_artifacts").index == "cdds_artifacts_run"
    assert by_job.of("cdds_artifacts").index == "cdds_artifacts_job"
    assert not by_job.sorts


BACKGROUND: dict[str, Read] = {
    "cdds_jobs_due": lambda transaction: transaction.jobs.due(NOW, 100),
    "cdds_runs_in_progress": lambda transaction: transaction.runs.lapsed(NOW),
    "cdds_artifacts_expires": lambda transaction: transaction.artifacts.expired(NOW, 200),
    "cdds_artifacts_removing": lambda transaction: transaction.artifacts.removing(200, "export-1"),
    "cdds_artifacts_untold": lambda transaction: transaction.artifacts.expiring(
        NOW + timedelta(days=3), 200
    ),
    "cdds_runs_hidden": lambda transaction: transaction.runs.removable(None, 200),
}


@pytest.mark.parametrize("index", BACKGROUND)
def test_the_work_of_the_background_reads_only_what_it_is_about(
    database: Database, index: str
) -> None:
    (plan,) = database.plans(BACKGROUND[index])
    assert plan.steps[0].index == index
    assert all(step.index for step in plan.steps)


@pytest.mark.parametrize("later", [0, 2, 48])
@pytest.mark.parametrize("without", [0, 1, 64])
def test_what_is_due_is_read_along_an_index_the_longest_due_first(
    database: Database, later: int, without: int
) -> None:
    now = NOW + timedelta(hours=later)
    unwanted = [f"{number:08}" for number in range(without)]
    (plan,) = database.plans(lambda transaction: transaction.jobs.due(now, 10, unwanted))
    step = plan.of("cdds_jobs")
    assert step.index == "cdds_jobs_due"
    assert re.search(r"next_start\)? ?<", step.condition)  # it ends at the present moment
    assert not plan.sorts


OF_A_JOB: dict[str, Callable[[Transaction, str], Any]] = {
    "cdds_runs_job_id_started": lambda transaction, job_id: transaction.runs.ended(job_id),
}


@pytest.mark.parametrize("index", OF_A_JOB)
@pytest.mark.parametrize("has_runs", [True, False])
def test_what_a_plan_needs_to_know_of_a_job_is_found_by_its_id(
    database: Database, index: str, has_runs: bool
) -> None:
    job_id = database.filling.busiest_job if has_runs else "00000000"
    found, (plan,) = database.answer(lambda transaction: OF_A_JOB[index](transaction, job_id))
    assert (found is not None) == has_runs
    step = plan.of("cdds_runs")
    if has_runs:
        assert step.index == index
        assert re.search(r"job_id\)? ?=", step.condition)
        assert not plan.sorts
    else:  # a few are found by any index of a job, and sorted
        others = {"cdds_runs_due", "cdds_runs_dealt_with", "cdds_runs_job_id_status_started"}
        assert step.index in {*OF_A_JOB, *others}


def test_runs_that_lapsed_are_found_among_those_in_progress(database: Database) -> None:
    found, (plan,) = database.answer(lambda transaction: transaction.runs.lapsed(NOW))
    assert found
    assert plan.of("cdds_runs").index == "cdds_runs_in_progress"


def test_old_runs_are_found_by_their_end(database: Database) -> None:
    before = NOW - timedelta(days=20)
    found, plans = database.answer(lambda transaction: transaction.runs.removable(before, 200))
    assert [plan.steps[0].index for plan in plans] == ["cdds_runs_hidden", "cdds_runs_finished"]
    assert [plan.of("cdds_artifacts").index for plan in plans] == ["cdds_artifacts_run"] * 2
    assert found == []  # all of them still have artifacts
