"""Records changed on their way, as their recipient gets them, and as hosts and operators ask."""

from __future__ import annotations

import itertools
import json
import re
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cdds
from cdds import sample
from cdds import transforms as t
from cdds.errors import JobError

COUNT = 300
KEY = secrets.token_bytes(32)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with interactions and their documents."""
    home = tmp_path_factory.mktemp("inputs")
    for name, records in {
        "interactions.jsonl": sample.interactions(COUNT, seed=5),
        "documents.jsonl": sample.documents(COUNT, seed=5),
    }.items():
        with (home / name).open("wb") as file:
            sample.write_lines(records, file)
    (home / "pseudonyms.key").write_bytes(KEY)
    (home / "pseudonyms.key").chmod(0o600)
    return home


def source(inputs: Path) -> cdds.sources.JsonLines:
    return cdds.sources.JsonLines(
        interaction=inputs / "interactions.jsonl", document=inputs / "documents.jsonl"
    )


def parsed(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


RULES: dict[str, list[Any]] = {
    "interaction": [
        t.Drop("FROMADDRESS", "ALLATTRIBUTES.FirstName"),
        t.Mask("SUBJECT", keep_last=3),
        t.Pseudonymise("IXNID", "CONTACTID", key=KEY),
    ],
    "document": [t.Keep("ENTITYID", "THENAME"), t.Pseudonymise("ENTITYID", key=KEY)],
}


def run(*words: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cdds", "export", "--dataset", "interaction", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("split_size", [None, "64 KiB"])
def test_the_recipient_gets_changed_records_that_fit_their_schemas(
    inputs: Path,
    export: Callable[..., cdds.ExportResult],
    open_export: Callable[..., Any],
    split_size: str | None,
) -> None:
    result = export(source(inputs), transforms=RULES, split_size=split_size)
    opened = open_export()  # holds each line against the schema beside it
    given = parsed((inputs / "interactions.jsonl").read_bytes())
    got = parsed(opened.data("Interaction"))
    assert result.records["interaction"] == len(got) == len(given)
    for before, after in zip(given, got, strict=True):
        changed = {"IXNID", "CONTACTID", "SUBJECT", "ALLATTRIBUTES"}
        assert {n: v for n, v in after.items() if n not in changed} == {
            n: v for n, v in before.items() if n not in {*changed, "FROMADDRESS"}
        }
        assert "FirstName" not in after.get("ALLATTRIBUTES", {})
        assert len(after.get("SUBJECT", "")) == len(before.get("SUBJECT", ""))
    parents = {before["IXNID"]: after["IXNID"] for before, after in zip(given, got, strict=True)}
    documents = parsed((inputs / "documents.jsonl").read_bytes())
    kept = parsed(opened.data("Interaction-Attachment"))
    assert [document["ENTITYID"] for document in kept] == [
        parents[document["ENTITYID"]] for document in documents
    ]
    listed = {e["data_file"]: e["transforms"] for e in opened.manifest["files"] if "records" in e}
    assert listed == {name: [rule.listing() for rule in rules] for name, rules in RULES.items()}
    everything = b"".join(opened.files.values())
    assert KEY not in everything
    assert KEY.hex().encode() not in everything


def test_a_function_that_fails_leaves_nothing_behind(
    inputs: Path, export: Callable[..., cdds.ExportResult], target: Path
) -> None:
    def fail(record: dict[str, Any]) -> dict[str, Any]:
        raise ValueError(record)

    with pytest.raises(cdds.errors.RecordError, match="fail failed with ValueError"):
        export(source(inputs), transforms={"document": [t.ApplyToRecord(fail)]})
    assert not target.exists() or not list(target.iterdir())


@pytest.mark.parametrize("make", [t.ApplyToRecord, lambda function: t.Apply(function, "IXNID")])
@pytest.mark.parametrize("last", [1, 7])
def test_a_cancel_does_not_wait_for_the_function_to_see_all_records(
    inputs: Path,
    export: Callable[..., cdds.ExportResult],
    target: Path,
    make: Callable[[Any], cdds.model.Transform],
    last: int,
) -> None:
    cancel, calls = threading.Event(), itertools.count(1)
    seen = 0

    def slow(value: Any) -> Any:
        nonlocal seen
        seen = next(calls)
        if seen == last:
            cancel.set()
        return value

    with pytest.raises(cdds.errors.Cancelled):
        export(source(inputs), transforms={"interaction": [make(slow)]}, cancel=cancel)
    assert last <= seen < last + 10  # threads that were in the function already
    assert not target.exists() or not list(target.iterdir())


def test_the_command_line_changes_the_same(
    inputs: Path,
    target: Path,
    open_export: Callable[..., Any],
    rsa_key_and_certificate: tuple[Path, Path],
) -> None:
    words = [
        "--records",
        inputs / "interactions.jsonl",
        "--attachments",
        inputs / "documents.jsonl",
    ]
    words += [
        "--recipient",
        rsa_key_and_certificate[1],
        "--to",
        target,
        "--job-id",
        "job",
        "--json",
    ]
    words += ["--drop", "FROMADDRESS", "--drop", "ALLATTRIBUTES.FirstName", "--mask", "SUBJECT:3"]
    words += ["--pseudonymise", "interaction:IXNID", "--pseudonymise", "CONTACTID"]
    words += ["--keep", "document:ENTITYID", "--keep", "document:THENAME"]
    words += ["--pseudonymise", "document:ENTITYID", "--ignore-case"]
    words += ["--pseudonym-key-file", inputs / "pseudonyms.key"]
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["unknown_fields"] == {}
    opened = open_export()
    listed = {e["data_file"]: e["transforms"] for e in opened.manifest["files"] if "records" in e}
    assert listed == {name: [rule.listing() for rule in rules] for name, rules in RULES.items()}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--drop", "SUBJEKT"], 1, "did you mean 'SUBJECT'"),
        (["--mask", "SUBJECT:99999"], 1, "1000"),
        (["--pseudonymise", "SUBJECT"], 2, "go together"),
        (["--pseudonym-key-file", "no-such-file"], 2, "go together"),
        (["--pseudonymise", "SUBJECT", "--pseudonym-key-file", "no-such-file"], 1, "no-such-file"),
        (["--pseudonymise", "SUBJECT", "--pseudonym-key-file", "SHORT"], 1, "at least 16"),
    ],
)
def test_the_command_line_refuses_what_makes_no_sense(
    words: list[str],
    code: int,
    said: str,
    inputs: Path,
    target: Path,
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
) -> None:
    (tmp_path / "SHORT").write_bytes(b"hush")
    (tmp_path / "SHORT").chmod(0o600)
    given = [tmp_path / word if word == "SHORT" else word for word in words]
    ends = ["--records", inputs / "interactions.jsonl", "--recipient", rsa_key_and_certificate[1]]
    done = run(*ends, "--to", target, *given)
    assert done.returncode == code
    assert said in done.stderr
    assert "hush" not in done.stderr
    assert not target.exists()


def test_a_service_makes_its_transforms_in_every_run_and_stores_none_of_them(
    inputs: Path,
    target: Path,
    open_export: Callable[..., Any],
    tmp_path: Path,
    rsa_key_and_certificate: tuple[Path, Path],
) -> None:
    database = tmp_path / "catalog.db"
    with cdds.Catalog(f"sqlite:///{database}", audit_key=b"k" * 32) as catalog:
        wiring: dict[str, Any] = {
            "catalog": catalog,
            "sink": target,
            "sources": {"UCS": lambda _: source(inputs)},
        }
        unknown = {"Interaction": {"interaction": [t.Drop("NO")]}}
        wrongs: list[Any] = [{"interaction": RULES}, unknown, {"Interaction": {"docs": []}}, []]
        for wrong in wrongs:
            with pytest.raises(JobError, match="transforms"):
                cdds.DownloadService(**wiring, transforms=wrong)
        service = cdds.DownloadService(**wiring, transforms={"Interaction": RULES})
        alice = cdds.Principal("alice", "acme")
        service.preferences.set_certificate(alice, rsa_key_and_certificate[1].read_bytes())
        settings = cdds.JobSettings(title="All", source="UCS", dataset="Interaction")
        run = service.jobs.run_now(alice, service.jobs.add(alice, settings).id)
        assert run.status == "finished"
    stored = database.read_bytes()
    assert KEY not in stored
    assert b"pseudonymise" not in stored
    manifest = open_export().manifest
    listed = {e["data_file"]: e["transforms"] for e in manifest["files"] if "records" in e}
    assert listed == {name: [rule.listing() for rule in rules] for name, rules in RULES.items()}


def test_drift_is_reported_and_warned_of_without_names(
    export: Callable[..., cdds.ExportResult], open_export: Callable[..., Any]
) -> None:
    records = [{"IXNID": str(number), "NEWFIELD": "x"} for number in range(5)]
    result = export(cdds.sources.Records(interaction=records))
    assert result.unknown_fields == {"interaction": {"NEWFIELD": 5}}
    assert open_export().manifest["unknown_fields"] == result.unknown_fields
    (warning,) = result.warnings
    assert "interaction" in warning
    assert "NEWFIELD" not in warning


def test_a_record_that_a_source_cannot_say_in_json_is_told_by_its_key(
    export: Callable[..., cdds.ExportResult],
) -> None:
    records = [{"IXNID": "77", "STATUS": float("nan")}]
    with pytest.raises(cdds.errors.RecordError) as caught:
        export(cdds.sources.Records(interaction=records))
    assert (caught.value.reject.key, caught.value.reject.position) == ("77", 1)


def test_the_page_says_what_works(
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rsa_key_and_certificate: tuple[Path, Path],
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in inputs.iterdir():
        shutil.copy(path, tmp_path)
    shutil.copy(rsa_key_and_certificate[1], "recipient.pem")
    page = Path(__file__).parents[2] / "docs/how-to/protect-personal-data.md"
    names: dict[str, Any] = {}
    blocks = "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
    exec(compile(blocks, page.name, "exec"), names)
    assert names["result"].records["interaction"] == COUNT
    assert cdds.Job(dataset=cdds.datasets.INTERACTION, transforms=names["policy"]["Interaction"])
