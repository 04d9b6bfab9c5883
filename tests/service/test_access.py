"""Who may do what: every call of every page, by every kind of principal, on every database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from hosts import Host, MakeHost, settings_of

import cdds
from cdds.access import Action
from cdds.errors import AccessDenied, JobError, NotFound, SinkError

# Every call on a thing of alice's, by its action.
CALLS: dict[str, tuple[Action, Callable[[Host, cdds.Principal, Any], object]]] = {
    "job get": (Action.SEE, lambda h, p, t: h.service.jobs.get(p, t.job)),
    "job edit": (Action.CHANGE, lambda h, p, t: h.service.jobs.edit(p, t.job, title="x")),
    "job suspend": (Action.CHANGE, lambda h, p, t: h.service.jobs.suspend(p, t.job)),
    "job resume": (Action.CHANGE, lambda h, p, t: h.service.jobs.resume(p, t.job)),
    "job run": (Action.RUN, lambda h, p, t: h.service.jobs.run_now(p, t.job)),
    "run get": (Action.SEE, lambda h, p, t: h.service.history.get(p, t.run)),
    "run artifacts": (Action.SEE, lambda h, p, t: h.service.history.artifacts(p, t.run)),
    "run cancel": (Action.RUN, lambda h, p, t: h.service.history.cancel(p, t.run)),
    "artifact get": (Action.SEE, lambda h, p, t: h.service.artifacts.get(p, t.name)),
    "artifact open": (
        Action.DOWNLOAD,
        lambda h, p, t: b"".join(h.service.artifacts.open(p, t.name)),
    ),
    "digests open": (
        Action.DOWNLOAD,
        lambda h, p, t: b"".join(h.service.artifacts.open(p, t.digests)),
    ),
    "artifact download": (
        Action.DOWNLOAD,
        lambda h, p, t: list(h.service.artifacts.download(p, [t.name])),
    ),
    "artifact delete": (
        Action.DELETE,
        lambda h, p, t: h.service.artifacts.delete(p, [t.name]),
    ),
    "run delete": (Action.DELETE, lambda h, p, t: h.service.history.delete(p, t.run)),
    "job delete": (Action.DELETE, lambda h, p, t: h.service.jobs.delete(p, t.job)),
}


class Things:
    """A job of alice's, with a run and an artifact."""

    def __init__(self, host: Host) -> None:
        self.job = host.add(recurrence=cdds.Hourly(1)).id
        run = host.service.jobs.run_now(host.alice, self.job)
        self.run, self.name, self.digests = run.id, run.file_name, run.digests


@pytest.mark.parametrize("call", CALLS)
def test_each_call_by_each_kind_of_principal(host: Host, call: str) -> None:
    action, do = CALLS[call]
    things = Things(host)
    nobody = cdds.Principal("bob", "acme", [])
    with pytest.raises(AccessDenied):
        do(host, nobody, things)
    for stranger in (host.mallory, cdds.Principal("alice", "other"), host.bob):
        with pytest.raises(NotFound):
            do(host, stranger, things)
    if action is Action.SEE:
        do(host, host.bob_sees_all, things)
    else:
        with pytest.raises(AccessDenied, match="belongs to another user"):
            do(host, host.bob_sees_all, things)
    do(host, host.bob_changes_all, things)


def test_lists_hold_what_a_principal_sees(host: Host) -> None:
    host.run(host.alice)
    host.run(host.bob)
    pages: Iterable[Callable[[cdds.Principal], Any]] = (
        host.service.jobs.list,
        host.service.history.list,
        host.service.artifacts.list,
    )
    for page in pages:
        assert {item.owner for item in page(host.alice).items} == {"alice"}
        assert {item.owner for item in page(host.bob_sees_all).items} == {"alice", "bob"}
        assert page(host.mallory).items == ()
        with pytest.raises(AccessDenied):
            page(cdds.Principal("alice", "acme", []))


def test_the_tenants_of_a_source_are_kept_apart(make_host: MakeHost) -> None:
    asked = []

    def source(tenant: str) -> cdds.sources.Records:
        asked.append(tenant)
        return cdds.sources.Records(interaction=[{"IXNID": tenant}])

    host = make_host(sources={"UCS": source})
    host.run()
    assert asked == ["acme"]


def test_a_host_can_bring_rules_of_its_own(make_host: MakeHost) -> None:
    class Team:
        """Everybody sees alice's things beside their own, and nobody deletes anything."""

        def owners(self, principal: cdds.Principal, action: Action) -> Iterable[str] | None:
            if action is Action.DELETE:
                return ()
            return {principal.user, "alice"} if action is Action.SEE else {principal.user}

    host = make_host(policy=Team())
    job = host.add()
    host.add(host.bob)
    assert {item.owner for item in host.service.jobs.list(host.bob).items} == {"alice", "bob"}
    assert host.service.jobs.list(host.alice).items == (job,)
    with pytest.raises(AccessDenied):
        host.service.jobs.delete(host.alice, job.id)


def test_a_call_needs_a_principal(host: Host) -> None:
    for nobody in (None, "alice", object()):
        with pytest.raises(AccessDenied, match="needs a Principal"):
            host.service.jobs.list(nobody)  # type: ignore[arg-type]


def test_principals_are_checked() -> None:
    for user, tenant in (("", "t"), ("u", " "), ("u\n", "t"), (None, "t"), ("u" * 201, "t")):
        with pytest.raises(JobError):
            cdds.Principal(user, tenant)  # type: ignore[arg-type]
    with pytest.raises(JobError, match="permissions are among"):
        cdds.Principal("u", "t", ["fly"])


def test_a_service_is_refused_what_it_cannot_work_with(host: Host) -> None:
    class WriteOnly:
        def create(self, name: str) -> None: ...

    sound: dict[str, Any] = {
        "catalog": host.catalog,
        "sink": host.folder,
        "sources": {"UCS": lambda _: cdds.sources.Records(interaction=[])},
    }
    with pytest.raises(SinkError, match="read, list and remove"):
        cdds.DownloadService(**sound | {"sink": WriteOnly()})
    wrongs: tuple[dict[str, Any], ...] = (
        {"lifetime": timedelta(days=31)},
        {"lifetime": timedelta()},
        {"lease": timedelta()},
        {"history_lifetime": timedelta(days=-1)},
        {"sources": {}},
        {"sources": {"UCS": cdds.sources.Records(interaction=[])}},
    )
    for wrong in wrongs:
        with pytest.raises(JobError):
            cdds.DownloadService(**sound | wrong)


def test_settings_are_refused_unless_they_are_settings(host: Host) -> None:
    with pytest.raises(JobError, match="takes JobSettings"):
        host.service.jobs.add(host.alice, {"title": "x"})  # type: ignore[arg-type]
    assert settings_of().title == "Backup"


def test_a_policy_may_call_the_service(make_host: MakeHost) -> None:
    class Asking:
        """Rules that look at the service itself, which would wait for itself in a transaction."""

        def owners(self, principal: cdds.Principal, action: Action) -> Iterable[str] | None:
            if action is not Action.SET_CERTIFICATE:
                host.service.preferences.certificate(principal)
            return {principal.user}

    host = make_host(policy=Asking())
    run = host.run()
    assert host.service.history.get(host.alice, run.id) == run
    host.service.artifacts.delete(host.alice, [run.file_name])
    host.service.history.delete(host.alice, run.id)


def test_recipients_are_chosen_by_the_rights_on_the_job(
    make_host: MakeHost, holders: tuple[Any, ...]
) -> None:
    class Own:
        """Everybody changes everything, and chooses recipients for their own jobs."""

        def owners(self, principal: cdds.Principal, action: Action) -> Iterable[str] | None:
            return {principal.user} if action is Action.CHOOSE_RECIPIENTS else None

    host = make_host(policy=Own())
    other = holders[1].certificate_file.read_text()
    job = host.add(recurrence=cdds.Hourly(1))
    with pytest.raises(AccessDenied, match="choose recipients"):
        host.service.jobs.edit(host.bob, job.id, recipients=[other])
    assert host.service.jobs.edit(host.alice, job.id, recipients=[other]).settings.recipients
