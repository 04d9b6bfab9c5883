"""The audit trail: complete, chained, and proof against whoever can write the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hosts import Host
from sqlalchemy import delete, insert, select, text, update

import cdds
from cdds.catalog import AuditHead, Catalog
from cdds.catalog.tables import AUDIT, AUDIT_HEADS
from cdds.errors import AccessDenied, AuditBroken, CatalogError, JobError


def work(host: Host) -> None:
    """Do something of every kind."""
    job = host.add(recurrence=cdds.Hourly(1))
    host.service.jobs.edit(host.alice, job.id, title="x")
    host.service.jobs.suspend(host.alice, job.id)
    host.service.jobs.resume(host.alice, job.id)
    run = host.service.jobs.run_now(host.alice, job.id)
    assert run.file_name is not None
    b"".join(host.service.artifacts.open(host.alice, run.file_name))
    host.service.artifacts.delete(host.alice, [run.file_name])
    host.service.history.delete(host.alice, run.id)
    host.service.jobs.delete(host.alice, job.id)
    host.service.preferences.remove_certificate(host.alice)


def test_every_change_leaves_an_entry(host: Host) -> None:
    before = host.service.audit.head(host.admin)
    work(host)
    entries = host.service.audit.entries(host.admin, after=before.number)
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("job added", "alice"),
        ("job edited", "alice"),
        ("job suspended", "alice"),
        ("job resumed", "alice"),
        ("run started", "alice"),
        ("run finished", ""),
        ("artifact opened", "alice"),
        ("artifact deleted", "alice"),
        ("run deleted", "alice"),
        ("job deleted", "alice"),
        ("certificate removed", "alice"),
    ]
    assert entries[1].details == {"settings": ["title"]}
    assert all(entry.at == host.clock.moment for entry in entries)
    assert host.service.audit.verify(host.admin, before) == host.service.audit.head(host.admin)


def test_the_trail_is_its_tenants_own(host: Host) -> None:
    work(host)
    assert host.service.audit.entries(host.mallory) == ()
    assert host.service.audit.head(host.mallory).number == 0
    for reader in (host.alice, host.bob_changes_all):
        for call in (host.service.audit.entries, host.service.audit.head):
            with pytest.raises(AccessDenied):
                call(reader)
    with pytest.raises(JobError, match="another tenant"):
        host.service.audit.verify(host.admin, host.service.audit.head(host.mallory))


def _drop_last(connection: Any, number: int) -> None:
    connection.execute(delete(AUDIT).where(AUDIT.c.number == number))


def _cut_off(connection: Any, number: int) -> None:
    """Cut the last entry off, and make the head agree: only an anchor outside can tell."""
    _drop_last(connection, number)
    mac = connection.execute(select(AUDIT.c.mac).where(AUDIT.c.number == number - 1)).scalar_one()
    connection.execute(update(AUDIT_HEADS).values(number=number - 1, mac=mac))


FORGERIES: dict[str, Callable[[Any, int], object]] = {
    "actor": lambda c, _: c.execute(update(AUDIT).where(AUDIT.c.number == 4).values(actor="bob")),
    "details": lambda c, _: c.execute(
        update(AUDIT).where(AUDIT.c.number == 5).values(details={"settings": []})
    ),
    "subject": lambda c, _: c.execute(
        update(AUDIT).where(AUDIT.c.number == 4).values(subject="other")
    ),
    "dropped": lambda c, _: c.execute(delete(AUDIT).where(AUDIT.c.number == 4)),
    "first dropped": lambda c, _: c.execute(delete(AUDIT).where(AUDIT.c.number == 1)),
    "last dropped": _drop_last,
    "cut off": _cut_off,
    "renumbered": lambda c, n: (
        c.execute(delete(AUDIT).where(AUDIT.c.number == 4)),
        [
            c.execute(update(AUDIT).where(AUDIT.c.number == k).values(number=k - 1))
            for k in range(5, n + 1)
        ],
    ),
    "swapped": lambda c, _: [
        c.execute(update(AUDIT).where(AUDIT.c.number == a).values(number=b))
        for a, b in ((4, 10_000), (5, 4), (10_000, 5))
    ],
    "all dropped": lambda c, _: (c.execute(delete(AUDIT)), c.execute(delete(AUDIT_HEADS))),
    "mac of no text": lambda c, _: c.execute(
        update(AUDIT).where(AUDIT.c.number == 4).values(mac="\u00e9")
    ),
    "broken details": lambda c, _: c.execute(
        text("UPDATE cdds_audit SET details = '{' WHERE number = 5")
    ),
    "head dropped": lambda c, _: c.execute(delete(AUDIT_HEADS)),
    "appended": lambda c, n: c.execute(
        insert(AUDIT).from_select(
            [column.name for column in AUDIT.c],
            select(
                *[
                    (AUDIT.c.number + 1).label("number") if column.name == "number" else column
                    for column in AUDIT.c
                ]
            ).where(AUDIT.c.number == n),
        )
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_every_forgery_is_found(host: Host, forgery: str) -> None:
    work(host)
    anchor = host.service.audit.head(host.admin)
    assert host.service.audit.verify(host.admin, anchor) == anchor
    with host.catalog.write() as transaction:
        FORGERIES[forgery](transaction._connection, anchor.number)
    with pytest.raises(AuditBroken):
        host.service.audit.verify(host.admin, anchor)
    if forgery not in {"cut off", "all dropped"}:  # which no database can tell by itself
        with pytest.raises(AuditBroken):
            host.service.audit.verify(host.admin)


def test_an_anchor_of_any_earlier_moment_still_holds(host: Host) -> None:
    anchors = [host.service.audit.head(host.admin)]
    for _ in range(3):
        host.clock.advance(hours=1)
        host.add()
        anchors.append(host.service.audit.head(host.admin))
    for anchor in anchors:
        assert host.service.audit.verify(host.admin, anchor) == anchors[-1]
    forged = AuditHead("acme", anchors[1].number, "0" * 64)
    with pytest.raises(AuditBroken):
        host.service.audit.verify(host.admin, forged)


def test_another_key_is_refused(host: Host, catalog_url: str) -> None:
    if catalog_url == "sqlite://":
        pytest.skip("a database in memory has one catalog")
    work(host)
    with pytest.raises(CatalogError, match="not the one that this catalog was made with"):
        Catalog(catalog_url, audit_key=b"x" * 32)
    host.service.audit.verify(host.admin)


def test_entries_are_read_in_parts(host: Host) -> None:
    work(host)
    whole = host.service.audit.entries(host.admin, limit=1000)
    parts: list[object] = []
    while some := host.service.audit.entries(host.admin, after=len(parts), limit=2):
        parts += some
    assert tuple(parts) == whole
    for after, limit in ((-1, 1), (0, 0), (0, 1001), ("x", 1), (0, True)):
        with pytest.raises(JobError):
            host.service.audit.entries(host.admin, after=after, limit=limit)  # type: ignore[arg-type]


def test_retention_is_done_by_nobody(host: Host) -> None:
    host.run()
    host.clock.advance(days=30)
    host.service.retention.sweep()
    last = host.service.audit.entries(host.admin)[-1]
    assert (last.action, last.actor) == ("artifact deleted", "")
    assert last.details["reason"] == "its time was over"
    assert last.at - timedelta(days=30) < host.clock.moment
