"""A host for the tests of the service: what it wires to it, and a clock that it can set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import attrs

import cdds
from cdds.catalog import Catalog, JobEntry, JobSettings
from cdds.service import events

RECORDS = [
    {"IXNID": f"{number:016}", "MEDIATYPEID": "chat" if number % 2 else "email"}
    for number in range(10)
]


@attrs.define
class SetClock:
    """A clock that shows what it was set to."""

    moment: datetime

    def now(self) -> datetime:
        """Return that moment."""
        return self.moment

    def advance(self, **span: float) -> None:
        """Let time pass."""
        self.moment += timedelta(**span)


ALICE = cdds.Principal("alice", "acme")
BOB = cdds.Principal("bob", "acme")
BOB_CHANGES_ALL = cdds.Principal("bob", "acme", ["use", "change all"])
BOB_SEES_ALL = cdds.Principal("bob", "acme", ["use", "see all"])
ADMIN = cdds.Principal("admin", "acme", ["use", "change all", "audit"])
MALLORY = cdds.Principal("mallory", "other", list(cdds.Permission))


@attrs.define
class Host:
    """A host: its service, and what it has wired to it."""

    service: cdds.DownloadService
    catalog: Catalog
    clock: SetClock
    folder: Path
    told: list[events.Event]
    failing: list[Exception]
    alice: cdds.Principal = ALICE
    bob: cdds.Principal = BOB
    bob_changes_all: cdds.Principal = BOB_CHANGES_ALL
    bob_sees_all: cdds.Principal = BOB_SEES_ALL
    admin: cdds.Principal = ADMIN
    mallory: cdds.Principal = MALLORY

    def add(self, principal: cdds.Principal | None = None, **settings: Any) -> JobEntry:
        """Add a job with some settings."""
        return self.service.jobs.add(principal or self.alice, settings_of(**settings))

    def run(self, principal: cdds.Principal | None = None, **settings: Any) -> Any:
        """Add a job and run it."""
        job = self.add(principal, **settings)
        return self.service.jobs.run_now(principal or self.alice, job.id)

    def files(self) -> set[str]:
        """Return the names of all files in the storage."""
        return {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()

    def kinds(self) -> list[str]:
        """Return the kinds of events that the host was told, without the progress of runs."""
        return [type(event).__name__ for event in self.told if not _is_progress(event)]


MakeHost: TypeAlias = Callable[..., Host]


def settings_of(**changes: Any) -> JobSettings:
    """Return sound settings, with some changed."""
    values = {"title": "Backup", "source": "UCS", "dataset": "Interaction"}
    return JobSettings(**values | changes)


def _is_progress(event: events.Event) -> bool:
    return isinstance(event, events.RunProgressed)
