"""The Jobs page: the guide's rules, one by one, on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hosts import Host, MakeHost, settings_of
from sqlalchemy import event

import cdds
from cdds.catalog import RunEntry
from cdds.errors import (
    AccessDenied,
    Cancelled,
    CertificateError,
    JobError,
    NoCertificate,
    NotEditable,
    NotFound,
    NotResumable,
    NotRunnable,
    StillInProgress,
    UnsupportedSource,
)

NOON = datetime(2030, 5, 6, 12, 30, tzinfo=UTC)


def test_a_job_keeps_what_was_set(host: Host) -> None:
    settings = settings_of(
        title="Ünïcode 'quoted' %_\\ title",
        description="Two\nlines",
        media_types=["Chat", "email"],
        recurrence=cdds.Hourly(5),
        timeframe=cdds.Timeframe.between(NOON, NOON + timedelta(days=1)),
        split_size="100 MB",
        on_invalid="reject",
        max_rejects=7,
        level="small",
    )
    job = host.service.jobs.add(host.alice, settings)
    assert host.service.jobs.get(host.alice, job.id) == job
    assert job.settings == settings
    assert (job.owner, job.tenant, job.created) == ("alice", "acme", host.clock.moment)
    assert job.settings.split_size == 100_000_000


def test_a_title_is_required() -> None:
    for title in ("", "  ", None, 5):
        with pytest.raises(JobError, match="title of a job is missing"):
            settings_of(title=title)


@pytest.mark.parametrize("source", ["Info Mart", "info mart", " InfoMart ", "GIM"])
def test_info_mart_is_refused_by_name(host: Host, source: str) -> None:
    with pytest.raises(UnsupportedSource, match="Info Mart exports are not supported"):
        host.add(source=source)


def test_unknown_sources_and_datasets_are_refused(host: Host) -> None:
    with pytest.raises(JobError, match="no such source; it has UCS"):
        host.add(source="Elsewhere")
    with pytest.raises(JobError, match="no such dataset; it has Interaction, Contact"):
        host.add(dataset="Unknown")
    with pytest.raises(JobError, match="no media types"):
        host.add(dataset="Contact", media_types=["chat"])
    assert host.service.jobs.list(host.alice).items == ()


def test_no_job_without_a_certificate(make_host: MakeHost) -> None:
    host = make_host(certificates=False)
    with pytest.raises(NoCertificate, match="upload one first"):
        host.add()


def test_no_job_with_an_expired_certificate(host: Host) -> None:
    host.clock.advance(days=400)
    with pytest.raises(CertificateError, match="expired"):
        host.add()


def test_an_immediate_one_time_job_is_added_suspended_and_cannot_be_resumed(host: Host) -> None:
    job = host.add()
    assert (job.suspended, job.next_start) == (True, host.clock.moment)
    with pytest.raises(NotResumable):
        host.service.jobs.resume(host.alice, job.id)
    (run,) = host.service.run_due()
    assert run.job_id == job.id
    with pytest.raises(NotResumable):
        host.service.jobs.resume(host.alice, job.id)
    assert host.service.run_due() == ()


def test_a_delayed_one_time_job_is_suspended_when_it_starts(host: Host) -> None:
    start = host.clock.moment + timedelta(hours=2)
    job = host.add(recurrence=cdds.Once(start))
    assert (job.suspended, job.next_start) == (False, start)
    host.clock.advance(hours=1)
    assert host.service.run_due() == ()
    host.clock.advance(hours=1)
    (run,) = host.service.run_due()
    job = host.service.jobs.get(host.alice, job.id)
    assert (run.due, job.suspended, job.next_start) == (start, True, None)
    with pytest.raises(NotResumable):
        host.service.jobs.resume(host.alice, job.id)


def test_a_start_in_the_past_is_refused(host: Host) -> None:
    for start in (host.clock.moment, host.clock.moment - timedelta(seconds=1)):
        with pytest.raises(JobError, match="lies in the past"):
            host.add(recurrence=cdds.Once(start))


def test_a_one_time_job_cannot_be_edited_after_it_is_submitted(host: Host) -> None:
    later = host.clock.moment + timedelta(hours=2)
    for recurrence in (cdds.Once(), cdds.Once(later)):
        job = host.add(recurrence=recurrence)
        with pytest.raises(NotEditable, match="clone it"):
            host.service.jobs.edit(host.alice, job.id, title="Other")
        assert host.service.jobs.get(host.alice, job.id) == job


def test_a_recurring_job_can_be_edited(host: Host) -> None:
    host.clock.moment = host.clock.moment.replace(hour=1, minute=30)
    job = host.add(recurrence=cdds.Hourly(4))
    assert job.next_start == job.created.replace(hour=4, minute=0, second=0)
    host.clock.advance(minutes=5)
    edited = host.service.jobs.edit(
        host.alice, job.id, title="Renamed", recurrence=cdds.Hourly(6), split_size="1 MB"
    )
    assert host.service.jobs.get(host.alice, job.id) == edited
    assert (edited.title, edited.edited) == ("Renamed", host.clock.moment)
    assert edited.next_start == job.created.replace(hour=6, minute=0, second=0)
    with pytest.raises(JobError, match="no setting called 'colour'"):
        host.service.jobs.edit(host.alice, job.id, colour="red")
    with pytest.raises(JobError, match="no such source"):
        host.service.jobs.edit(host.alice, job.id, source="Elsewhere")
    assert host.service.jobs.get(host.alice, job.id) == edited


def test_hourly_starts_count_from_midnight_utc(host: Host) -> None:
    host.clock.moment = host.clock.moment.replace(hour=18, minute=30)
    job = host.add(recurrence=cdds.Hourly(5))
    starts = []
    for _ in range(4):
        starts.append(job.next_start)
        host.clock.moment = job.next_start or host.clock.moment
        (run,) = host.service.run_due()
        assert run.due == starts[-1]
        job = host.service.jobs.get(host.alice, job.id)
    assert [start.hour for start in starts if start] == [20, 0, 5, 10]


def test_suspend_and_resume(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    suspended = host.service.jobs.suspend(host.alice, job.id)
    assert (suspended.suspended, suspended.next_start) == (True, None)
    assert host.service.jobs.suspend(host.alice, job.id) == suspended
    host.clock.advance(hours=3, minutes=1)
    assert host.service.run_due() == ()
    resumed = host.service.jobs.resume(host.alice, job.id)
    assert not resumed.suspended
    assert resumed.next_start == job.settings.recurrence.next_after(host.clock.moment)
    assert host.service.jobs.resume(host.alice, job.id) == resumed


def test_a_delayed_job_can_be_suspended_and_resumed_before_it_starts(host: Host) -> None:
    start = host.clock.moment + timedelta(hours=1)
    job = host.add(recurrence=cdds.Once(start))
    host.service.jobs.suspend(host.alice, job.id)
    host.clock.advance(hours=2)
    assert host.service.run_due() == ()
    host.service.jobs.resume(host.alice, job.id)
    (run,) = host.service.run_due()
    assert run.due == start


def test_suspending_a_running_job_lets_that_run_finish(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    run = host.service.jobs.run_now(
        host.alice, job.id, progress=lambda _: host.service.jobs.suspend(host.alice, job.id)
    )
    assert run.status == "finished"
    assert host.service.jobs.get(host.alice, job.id).suspended


def test_a_job_in_progress_cannot_be_deleted_or_run_again(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    refused: list[type[Exception]] = []

    def interfere(_: cdds.Progress) -> None:
        for call in (host.service.jobs.delete, host.service.jobs.run_now):
            with pytest.raises(StillInProgress) as caught:
                call(host.alice, job.id)
            refused.append(caught.type)
        (listed,) = host.service.jobs.list(host.alice).items
        assert listed.latest_status == "in progress"
        assert listed.progress is not None

    host.service.jobs.run_now(host.alice, job.id, progress=interfere)
    assert len(refused) >= 2
    host.service.jobs.delete(host.alice, job.id)
    with pytest.raises(NotFound):
        host.service.jobs.get(host.alice, job.id)


def test_deleting_a_job_keeps_its_history_and_artifacts(host: Host) -> None:
    run = host.run()
    host.service.jobs.delete(host.alice, run.job_id)
    assert host.service.history.get(host.alice, run.id) == run
    (artifact,) = host.service.artifacts.list(host.alice).items
    assert b"".join(host.service.artifacts.open(host.alice, artifact.name))


def test_a_one_time_job_runs_once_but_again_after_a_failure(host: Host) -> None:
    job = host.add()
    host.failing.append(cdds.errors.SourceError("the source is away"))
    with pytest.raises(cdds.errors.SourceError):
        host.service.jobs.run_now(host.alice, job.id)
    host.failing.clear()
    assert host.service.jobs.run_now(host.alice, job.id).status == "finished"
    with pytest.raises(NotRunnable, match="clone it"):
        host.service.jobs.run_now(host.alice, job.id)


def test_run_now_leaves_the_scheduled_starts_alone(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(6))
    host.service.jobs.suspend(host.alice, job.id)
    assert host.service.jobs.run_now(host.alice, job.id).due is None
    host.service.jobs.resume(host.alice, job.id)
    before = host.service.jobs.get(host.alice, job.id).next_start
    host.service.jobs.run_now(host.alice, job.id)
    assert host.service.jobs.get(host.alice, job.id).next_start == before


def test_cloning_keeps_settings_except_the_changed_ones(host: Host) -> None:
    job = host.add(title="First", media_types=["chat"], recurrence=cdds.Hourly(3))
    clone = host.service.jobs.clone(host.bob_sees_all, job.id, title="Second")
    assert clone.id != job.id
    assert clone.settings == attrs.evolve(job.settings, title="Second")
    assert clone.owner == host.bob_sees_all.user
    assert host.service.jobs.get(host.alice, job.id) == job


def test_other_recipients_need_a_permission(host: Host, holders: tuple[object, ...]) -> None:
    other = holders[1].certificate_file.read_text()  # type: ignore[attr-defined]
    with pytest.raises(AccessDenied, match="choose recipients"):
        host.add(recipients=[other])
    granted = cdds.Principal("alice", "acme", ["use", "choose recipients"])
    job = host.add(granted, recipients=[other], recurrence=cdds.Hourly(1))
    run = host.service.jobs.run_now(granted, job.id)
    assert len(run.fingerprints) == 2
    with pytest.raises(AccessDenied):
        host.service.jobs.clone(host.alice, job.id)
    assert host.service.jobs.edit(host.alice, job.id, title="Kept").settings.recipients == (other,)
    with pytest.raises(CertificateError):
        host.add(granted, recipients=["no certificate"])


def test_the_list_is_filtered_sorted_and_paged(host: Host) -> None:
    titles = ["beta", "Alpha", "gamma", "ALPHA 2", "delta_%"]
    jobs = {title: host.add(title=title, recurrence=cdds.Hourly(1)) for title in titles}
    host.service.jobs.run_now(host.alice, jobs["gamma"].id)
    host.service.jobs.suspend(host.alice, jobs["beta"].id)

    def listed(**arguments: object) -> list[str]:
        page = host.service.jobs.list(host.alice, **arguments)  # type: ignore[arg-type]
        return [job.title for job in page.items]

    assert listed() == ["Alpha", "ALPHA 2", "beta", "delta_%", "gamma"]
    assert listed(title="alpha", descending=True) == ["ALPHA 2", "Alpha"]
    assert listed(title="_%") == ["delta_%"]
    assert listed(status="finished") == ["gamma"]
    assert listed(suspended=True) == ["beta"]
    assert listed(dataset="Contact") == []
    assert listed(sort="latest_start", descending=True)[0] == "gamma"
    assert listed(sort="next_start")[-1] == "beta"
    walked, after = [], None
    while True:
        page = host.service.jobs.list(host.alice, limit=2, after=after)
        walked += [job.title for job in page.items]
        if (after := page.next) is None:
            break
    assert walked == listed()


def test_the_list_with_its_progress_is_one_query(host: Host) -> None:
    statements: list[str] = []

    def count(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    def look(_: cdds.Progress) -> None:
        event.listen(host.catalog._engine, "before_cursor_execute", count)
        (job,) = host.service.jobs.list(host.alice).items
        event.remove(host.catalog._engine, "before_cursor_execute", count)
        assert job.progress is not None
        assert [text for text in statements if not text.startswith("BEGIN")] == statements[-1:]
        statements.clear()

    host.service.jobs.run_now(host.alice, host.add().id, progress=look)
    assert not statements


def test_a_cancel_token_stops_a_run(host: Host) -> None:
    class Set:
        def is_set(self) -> bool:
            return True

    job = host.add(recurrence=cdds.Hourly(1))
    with pytest.raises(Cancelled):
        host.service.jobs.run_now(host.alice, job.id, cancel=Set())
    (run,) = host.service.history.list(host.alice).items
    assert (run.status, run.error, run.file_name) == ("cancelled", None, None)
    assert host.files() == set()


def test_a_clock_that_goes_back_stops_no_job(host: Host) -> None:
    job = host.add(recurrence=cdds.Hourly(1))
    due = job.next_start
    assert due is not None
    host.clock.moment = due + timedelta(seconds=1)
    assert len(host.service.run_due()) == 1
    host.clock.moment = due - timedelta(seconds=1)
    host.service.jobs.run_now(host.alice, job.id)
    host.service.jobs.suspend(host.alice, job.id)
    host.service.jobs.resume(host.alice, job.id)
    host.clock.moment = due + timedelta(seconds=1)
    host.service.run_due()  # which has had this start
    host.clock.moment = due + timedelta(hours=1)
    (run,) = host.service.run_due()
    assert run.due == due + timedelta(hours=1)


def test_suspending_withdraws_a_start_that_is_due(host: Host) -> None:
    job = host.add()
    assert host.service.jobs.suspend(host.alice, job.id).next_start is None
    assert host.service.run_due() == ()
    assert host.service.jobs.run_now(host.alice, job.id).status == "finished"
    hourly = host.add(recurrence=cdds.Hourly(1))
    host.service.jobs.suspend(host.alice, hourly.id)
    host.service.jobs.edit(host.alice, hourly.id, recurrence=cdds.Once())
    assert host.service.run_due() == ()


def test_a_job_in_progress_takes_no_slot_of_those_that_are_due(host: Host) -> None:
    host.clock.moment = host.clock.moment.replace(minute=59, second=30)
    busy = host.add(recurrence=cdds.Hourly(1))
    ran: list[RunEntry] = []

    def look(_: cdds.Progress) -> None:
        if not ran:
            host.clock.advance(seconds=40)  # it is due again, and its lease lasts
            waiting = host.add()
            ran.extend(host.service.run_due(limit=1))
            assert [run.job_id for run in ran] == [waiting.id]

    host.service.jobs.run_now(host.alice, busy.id, progress=look)
    assert ran


def test_interactions_and_contacts_are_two_types(make_host: MakeHost) -> None:
    host = make_host(
        sources={
            "Interaction": lambda _: cdds.sources.Records(interaction=[{"IXNID": "1"}]),
            "Contact": lambda _: cdds.sources.Records(contact=[{"CONTACTID": "1"}]),
        }
    )
    for dataset in ("Interaction", "Contact"):
        run = host.run(title=dataset, source=dataset, dataset=dataset)
        assert set(run.records) == {dataset.lower()}
    pages: tuple[Any, ...] = (
        host.service.jobs.list,
        host.service.history.list,
        host.service.artifacts.list,
    )
    for page in pages:
        for dataset in ("Interaction", "Contact"):
            (item,) = page(host.alice, dataset=dataset).items
            assert item.title == dataset


def test_a_listed_job_tells_its_source_type_and_dates(host: Host) -> None:
    job = host.add(title="Backup", recurrence=cdds.Hourly(1))
    host.clock.advance(minutes=1)
    run = host.service.jobs.run_now(host.alice, job.id)
    (listed,) = host.service.jobs.list(host.alice).items
    assert (listed.settings.source, listed.settings.dataset) == ("UCS", "Interaction")
    assert (listed.created, listed.latest_start) == (job.created, run.started)
    assert (listed.latest_run, listed.latest_status) == (run.id, "finished")
    assert listed.next_start == job.next_start
