"""A dry run says what an export would hold, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import cdds
from cdds import sample
from cdds import transforms as t
from cdds.cli import main
from cdds.errors import JobError, RecordError

COUNT = 400
WINDOW = cdds.Timeframe.between(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 9, 1, tzinfo=UTC))
CASES: Sequence[dict[str, Any]] = (
    {},
    {"media_types": ["email", "chat"]},
    {"timeframe": WINDOW},
    {"media_types": ["voice"], "timeframe": WINDOW},
    {"split_size": "128 KiB"},
)


def records() -> cdds.sources.Records:
    return cdds.sources.Records(
        interaction=lambda: sample.interactions(COUNT),
        document=lambda: sample.documents(COUNT),
    )


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ucs") / "ucs.db"
    sample.load(f"sqlite:///{path}", COUNT)
    return path


@pytest.fixture
def export(tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path]) -> Callable[..., Any]:
    def run(source: Any, **arguments: Any) -> cdds.ExportResult:
        to, certificate = tmp_path / "exports", rsa_key_and_certificate[1]
        return cdds.export(
            source, dataset="Interaction", to=to, recipients=certificate, **arguments
        )

    return run


@pytest.mark.parametrize("selection", CASES, ids=str)
def test_what_is_read_is_exact(export: Callable[..., Any], selection: dict[str, Any]) -> None:
    found = cdds.estimate(records(), dataset="Interaction", **selection)
    result = export(records(), **selection)
    assert found.is_exact
    assert found.records == result.records
    assert (found.undated, found.unmatched) == (result.undated, result.unmatched)
    assert found.parts == len(result.artifacts)
    assert found.archive_size < sum(artifact.size for artifact in result.artifacts)


@pytest.mark.parametrize("selection", CASES, ids=str)
def test_a_database_counts(
    database: Path, export: Callable[..., Any], selection: dict[str, Any]
) -> None:
    source = cdds.sources.ContactHistory(database)
    found = cdds.estimate(source, dataset="Interaction", **selection)
    held: dict[str, Any] = {name: rows(source, name) for name in ("interaction", "document")}
    exact = cdds.estimate(cdds.sources.Records(**held), dataset="Interaction", **selection)
    assert not found.is_exact
    assert found.records == exact.records == export(source, **selection).records
    assert set(found.files) >= {"manifest.json", "schema/interaction.json"}
    assert len(found.files) == len(exact.files)
    assert found.archive_size == pytest.approx(exact.archive_size, rel=0.2, abs=3000)


@pytest.mark.parametrize(
    "transforms",
    [
        {"document": [t.Drop("CONTENT")]},
        {"document": [t.Keep("ID", "ENTITYID")], "interaction": [t.Keep("IXNID")]},
        {"interaction": [t.Apply(lambda text: text * 500, "SUBJECT")]},
    ],
)
def test_a_database_is_sampled_as_transforms_change_it(
    database: Path, transforms: dict[str, Any]
) -> None:
    source = cdds.sources.ContactHistory(database)
    found = cdds.estimate(source, dataset="Interaction", transforms=transforms)
    held: dict[str, Any] = {name: rows(source, name) for name in ("interaction", "document")}
    exact = cdds.estimate(
        cdds.sources.Records(**held), dataset="Interaction", transforms=transforms
    )
    assert (found.is_exact, exact.is_exact) == (False, True)
    assert found.records == exact.records
    assert found.sizes == pytest.approx(exact.sizes, rel=0.2)
    assert found.archive_size == pytest.approx(exact.archive_size, rel=0.2, abs=3000)


def test_a_sample_that_the_export_would_fail_for_fails_the_dry_run(database: Path) -> None:
    def fail(_: object) -> object:
        raise ValueError

    source = cdds.sources.ContactHistory(database)
    rule = {"document": [t.Apply(fail, "ID")]}
    with pytest.raises(RecordError, match="the function"):
        cdds.estimate(source, dataset="Interaction", transforms=rule)


def test_what_an_export_would_leave_out_is_not_counted(
    database: Path, export: Callable[..., Any]
) -> None:
    """A database knows nothing of what is invalid; the sample tells."""

    def even(key: str) -> str:
        return key if int(key, 36) % 2 == 0 else ""

    schema = {"type": "string", "minLength": 1}
    options: dict[str, Any] = {
        "on_invalid": "reject",
        "transforms": {"interaction": [t.Apply(even, "IXNID", schema=schema)]},
    }
    source = cdds.sources.ContactHistory(database)

    found = cdds.estimate(source, dataset="Interaction", **options)

    result = export(source, **options)
    assert result.rejects
    assert found.records["interaction"] == result.records["interaction"] > 0


def test_a_run_from_a_database_ends_with_all_of_it_read(
    export: Callable[..., Any], database: Path
) -> None:
    seen: list[cdds.Progress] = []
    export(cdds.sources.ContactHistory(f"sqlite:///{database}"), progress=seen.append)
    assert seen[-1].done
    assert seen[-1].bytes_total == seen[-1].bytes_read > 0


@pytest.mark.parametrize("source", [None, 3, object(), ["x.jsonl"], cdds.sources.ContactHistory])
def test_what_is_no_source_is_refused(export: Callable[..., Any], source: Any) -> None:
    with pytest.raises(JobError, match="source"):
        cdds.estimate(source, dataset="Interaction")
    with pytest.raises(JobError, match="source"):
        export(source)


def rows(source: cdds.sources.ContactHistory, name: str) -> list[Any]:
    with source.snapshot(cdds.datasets.INTERACTION, cdds.Selection.all()) as snapshot:
        return list(snapshot.records(name))


def test_nothing_selected_is_an_archive_of_its_manifest(database: Path) -> None:
    for source in (records(), cdds.sources.ContactHistory(database)):
        found = cdds.estimate(source, dataset="Interaction", media_types=["telegram"])
        assert found.records == found.sizes == {}
        assert found.files == ("manifest.json",)
        assert found.parts == 1


def test_an_invalid_record_fails_a_dry_run_or_is_told() -> None:
    source = cdds.sources.Records(interaction=[{"IXNID": "1"}, {"IXNID": 2}, {"IXNID": "3"}])
    with pytest.raises(RecordError, match="IXNID"):
        cdds.estimate(source, dataset="Interaction")
    found = cdds.estimate(source, dataset="Interaction", on_invalid="reject")
    assert found.records == {"interaction": 2}
    assert [reject.position for reject in found.rejects] == [2]


def test_the_command_line_tells_and_writes_nothing(
    tmp_path: Path,
    database: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["export", "--dataset", "interaction", "--source", f"ucs+sqlite:///{database}"]
    assert main([*words, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert f"interaction  {COUNT}" in shown
    assert "manifest.json" in shown
    assert main([*words, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["records"]["interaction"] == COUNT
    assert list(tmp_path.iterdir()) == []


def test_only_a_dry_run_needs_no_recipient(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", "--dataset", "interaction", "--source", f"ucs+sqlite:///{database}"]
    for missing, given in (("--recipient", ["--to", "x"]), ("--to", ["--recipient", "x"])):
        with pytest.raises(SystemExit) as ended:
            main([*words, *given])
        assert ended.value.code == 2
        assert f"are required: {missing}" in capsys.readouterr().err


def test_the_last_days_end_now_or_when_they_are_said_to() -> None:
    before = datetime.now(UTC)
    span = cdds.Timeframe.last(days=1.5)
    assert span.start is not None
    assert span.end is not None
    assert before <= span.end <= datetime.now(UTC)
    assert span.end - span.start == timedelta(days=1.5)
    end = datetime(2025, 1, 2, tzinfo=UTC)
    assert cdds.Timeframe.last(days=1, until=end) == cdds.Timeframe.between(
        datetime(2025, 1, 1, tzinfo=UTC), end
    )
    assert cdds.Selection.last(days=1).timeframe is not None
    assert cdds.Selection.all(["Chat"]).media_types == frozenset({"chat"})
    between = cdds.Selection.between(end - timedelta(days=1), end, ["chat"])
    assert (between.timeframe, between.media_types) == (
        cdds.Timeframe.last(days=1, until=end),
        frozenset({"chat"}),
    )


@pytest.mark.parametrize("days", [-1, 10**9, float("nan"), "7", None], ids=str)
def test_days_that_make_no_span_are_refused(days: Any) -> None:
    with pytest.raises(JobError):
        cdds.Timeframe.last(days=days)
