"""A configuration is taken as a whole or refused as a whole, and holds no secret."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from terminals import Terminal

from cdds import transforms as t
from cdds.cli import hosting
from cdds.cli.configuration import read_configuration

NEEDLE = "needle-that-nobody-may-see"


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


# --- refused --------------------------------------------------------------------------------------

CATALOG = '[catalog]\nurl = "cdds.db"\naudit_key_file = "audit.key"\n'
SINK = '[sink]\nurl = "exports"\n'
SOURCE = '[sources.UCS]\nkind = "json-lines"\ninteraction = "{tenant}.jsonl"\n'
GOOD = CATALOG + SINK + SOURCE

BAD = {
    "empty": ("", "has no section catalog"),
    "no TOML": ("[catalog\n", "is no TOML"),
    "a long number": (GOOD + "[scheduler]\nworkers = " + "9" * 5000, "is no TOML"),
    "a large number": (GOOD + "[scheduler]\nworkers = " + "9" * 30, "workers: "),
    "nan": (GOOD + "[scheduler]\nworkers = nan\n", "workers: Expected `int`"),
    "a large file": ("#" * 1_100_000, "too large"),
    "for nobody": (GOOD + "tenants = []\n", "would be for nobody"),
    "a duplicate key": (GOOD + CATALOG, "is no TOML"),
    "deep": ("a = " + "[" * 100_000, "is no TOML"),
    "no catalog": (SINK + SOURCE, "has no section catalog"),
    "no sink": (CATALOG + SOURCE, "has no section sink"),
    "no sources": (CATALOG + SINK, "has no section sources"),
    "empty sources": (CATALOG + SINK + "[sources]\n", "[sources] is empty"),
    "an unknown section": (GOOD + "[colours]\n", "unknown section colours; known are catalog"),
    "a section that is none": ("sink = 3\n" + CATALOG + SOURCE, "[sink] is no table"),
    "a source that is none": (CATALOG + SINK + "[sources]\nUCS = 3\n", "is no table"),
    "an unknown key": (GOOD + "[scheduler]\nworker = 2\n", "unknown key worker; known are workers"),
    "no url": (GOOD.replace('url = "cdds.db"\n', ""), "[catalog] has no key url"),
    "an empty url": (GOOD.replace('"cdds.db"', '" "'), "[catalog] url is empty"),
    "a url with NUL": (GOOD.replace('"cdds.db"', r'"a\u0000b"'), "cannot be printed"),
    "a number for a text": (GOOD.replace('"cdds.db"', "3"), "[catalog] url: Expected `str`"),
    "a text for a number": (GOOD + '[scheduler]\nworkers = "2"\n', "workers: Expected `int`"),
    "a truth for a number": (GOOD + "[scheduler]\nworkers = true\n", "workers: Expected `int`"),
    "no workers": (GOOD + "[scheduler]\nworkers = 0\n", "workers: Expected `int` >= 1"),
    "many workers": (GOOD + "[scheduler]\nworkers = 65\n", "workers: Expected `int` <= 64"),
    "a bare number": (GOOD + "[scheduler]\npoll_interval = 1\n", "no span of time"),
    "a span in words": (GOOD + '[scheduler]\nstop_timeout = "soon"\n', "no span of time"),
    "no span": (GOOD + '[scheduler]\nstop_timeout = "0s"\n', "no span of time"),
    "a long stop": (GOOD + '[scheduler]\nstop_timeout = "2d"\n', "stop_timeout is at most 1d"),
    "a long wait": (GOOD + '[scheduler]\npoll_interval = "6m"\n', "poll_interval is at most 5m"),
    "a long lease": (GOOD + '[scheduler]\nlease = "61m"\n', "lease is at most 1h"),
    "a short lease": (GOOD + '[scheduler]\nlease = "9s"\n', "lease is at least 10s"),
    "a long pause": (GOOD + '[scheduler]\nretry_pause = "25h"\n', "retry_pause is at most 1d"),
    "kept too long": (GOOD + '[retention]\nartifacts = "31d"\n', "artifacts is at most 30d"),
    "25 hours": (GOOD + "[retention]\nsweep_every_hours = 25\n", "Expected `int` <= 24"),
    "no audit key": (GOOD.replace('audit_key_file = "audit.key"\n', ""), "has no audit key"),
    "two audit keys": (GOOD.replace("[sink]", 'audit_key_env = "K"\n[sink]'), "choose one"),
    "a password for SQLite": (GOOD.replace("[sink]", 'password_env = "K"\n[sink]'), "SQLite"),
    "a URL of SQLite": (GOOD.replace('"cdds.db"', '"sqlite:///cdds.db"'), "the path of the file"),
    "no kind": (GOOD.replace('kind = "json-lines"\n', ""), "has no key kind"),
    "another kind": (GOOD.replace("json-lines", "csv"), "kind is one of json-lines, json-array"),
    "no file": (GOOD.replace('interaction = "{tenant}.jsonl"\n', ""), "names no file"),
    "an unknown data file": (GOOD.replace("interaction", "letter"), "unknown key letter"),
    "all tenants alike": (GOOD.replace("{tenant}", "all"), "is the same for every tenant"),
    "a source without a name": (GOOD.replace("sources.UCS", 'sources." "'), "no name"),
    "an unknown cipher": (GOOD + '[sealing]\ncipher = "rot13"\n', "cipher is one of aes-256-cbc"),
    "an unknown change": (
        GOOD + '[records.contact]\nhide = ["MERGEID"]\n',
        "[records.contact] has the unknown key hide; known are keep, drop, mask, pseudonymise",
    ),
    "changes of no dataset": (GOOD + "[records.survey]\n", "[records] has the unknown key survey"),
    "one field and no list": (
        GOOD + '[records.contact]\ndrop = "MERGEID"\n',
        "contact.drop: Expected `array`",
    ),
    "changes that are none": (GOOD + "[records]\ncontact = 3\n", "contact: Expected `object`"),
    "case in words": (GOOD + '[records]\nignore_case = "yes"\n', "ignore_case: Expected `bool`"),
    "a path of nothing": (GOOD + '[records.contact]\ndrop = [" "]\n', "contact.drop is empty"),
    "an unknown field": (
        GOOD + '[records.contact]\ndrop = ["MERGED"]\n',
        "[records.contact] transforms: the schema knows no field 'MERGED'",
    ),
    "a pseudonym without a key": (
        GOOD + '[records.contact]\npseudonymise = ["CONTACTID"]\n',
        "give the key as pseudonym_key_file",
    ),
    "a key without a pseudonym": (
        GOOD + '[records]\npseudonym_key_env = "KEY"\n',
        "[records] pseudonymise goes with a key",
    ),
    "two keys of pseudonyms": (
        GOOD + '[records]\npseudonym_key_env = "KEY"\npseudonym_key_file = "k"\n',
        "choose one",
    ),
    "a key that is missing": (
        GOOD
        + '[records]\npseudonym_key_env = "NO_SUCH_KEY"\n'
        + '[records.contact]\npseudonymise = ["CONTACTID"]\n',
        "NO_SUCH_KEY should hold a secret, and is not set",
    ),
    "half a signer": (GOOD + '[signing]\nkey_file = "k"\n', "has no key certificate_file"),
    "options for a folder": (GOOD.replace("[sources", "options = { a = 1 }\n[sources"), "a folder"),
}


@pytest.mark.parametrize("text", [bad[0] for bad in BAD.values()], ids=list(BAD))
@pytest.mark.parametrize("words", [["jobs", "list"], ["serve"]], ids=" ".join)
def test_a_bad_configuration_is_refused_and_nothing_is_made(
    bare: Terminal, text: str, words: list[str]
) -> None:
    bare.configure(text)
    before = bare.files()
    refusal = bare(*words).refusal
    (said,) = (said for bad, said in BAD.values() if bad == text)
    assert said in refusal
    assert str(bare.config) in refusal or "NO_SUCH_KEY" in text
    assert bare.files() == before


def test_a_configuration_that_is_no_text_is_refused(bare: Terminal) -> None:
    bare.config.write_bytes(b"\xff")
    assert "it is not UTF-8" in bare("jobs", "list").refusal


def test_a_configuration_that_cannot_be_read_is_refused(bare: Terminal) -> None:
    missing = bare.home / "missing.toml"
    assert "No such file" in bare("jobs", "list", "--config", missing).refusal
    assert "Is a directory" in bare("jobs", "list", "--config", bare.home).refusal


# --- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cdds.db", f"postgresql://cdds:{NEEDLE}@host/cdds"),
        ("cdds.db", f"postgresql://cdds:{NEEDLE}/@host/cdds"),
        ("cdds.db", f"postgresql://host/cdds?user=cdds&password={NEEDLE}"),
        ('"cdds.db"', f'"cdds.db"\npassword = "{NEEDLE}"'),
        ('"cdds.db"', f'"cdds.db"\naudit_key = "{NEEDLE}"'),
        ("exports", f"sftp://cdds:{NEEDLE}@host/exports"),
        ('"exports"', f'"s3://bucket"\noptions = {{ key = "x", secret = "{NEEDLE}" }}'),
        ('"exports"', f'"s3://b"\noptions = {{ client_kwargs = {{ aws_secret = "{NEEDLE}" }} }}'),
        ('"exports"', f'"abfs://b"\noptions = {{ account_key = "{NEEDLE}" }}'),
        ('"exports"', f'"abfs://b"\noptions = {{ connection_string = "{NEEDLE}" }}'),
        ('"exports"', f'"abfs://b"\noptions = {{ sas = "{NEEDLE}" }}'),
        ('"exports"', f'"s3://b"\noptions = {{ headers = {{ x-api-key = "{NEEDLE}" }} }}'),
        ('"exports"', f'"s3://b"\noptions = {{ a = [{{ secret = "{NEEDLE}" }}] }}'),
        ('"exports"', f'"s3://b"\noptions = {{ a = [[1, {{ api_key = "{NEEDLE}" }}]] }}'),
        ("data/{tenant}/inter", f"https://cdds:{NEEDLE}@host/{{tenant}}/inter"),
    ],
)
def test_a_secret_in_the_configuration_is_refused_without_telling_it(
    bare: Terminal, old: str, new: str
) -> None:
    bare.configure(changed(bare.config.read_text(), old, new))
    before = bare.files()
    refusal = bare("jobs", "list").refusal
    assert "secrets come from a file or the environment" in refusal
    assert NEEDLE not in refusal
    assert bare.files() == before


def test_a_missing_secret_is_refused_and_nothing_is_made(
    bare: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bare.files()
    text = bare.config.read_text()
    monkeypatch.delenv("AUDIT_KEY", raising=False)
    for new, said in (
        ('audit_key_env = "AUDIT_KEY"', "AUDIT_KEY should hold a secret, and is not set"),
        ('audit_key_file = "missing.key"', "missing.key: No such file"),
        ('audit_key_file = "/dev/null"', "is empty"),
        ('audit_key_file = "/dev/zero"', "larger than any secret"),
    ):
        bare.configure(changed(text, 'audit_key_file = "audit.key"', new))
        done = bare("jobs", "list")
        assert done.code == 1
        assert said in done.err.splitlines()[-1]
        assert bare.files() == before


def test_a_short_audit_key_is_refused_and_nothing_is_made(bare: Terminal) -> None:
    (bare.home / "audit.key").write_bytes(b"k" * 15)
    before = bare.files()
    assert "16 bytes" in bare("jobs", "list").refusal
    assert bare.files() == before


def test_the_audit_key_is_the_file_byte_for_byte_or_the_text_of_the_variable(
    bare: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "a key of 16 bytes or more, \N{KEY}"
    (bare.home / "audit.key").write_bytes(key.encode())
    assert bare("jobs", "list").code == 0
    text = bare.config.read_text()
    bare.configure(changed(text, 'audit_key_file = "audit.key"', 'audit_key_env = "AUDIT_KEY"'))
    monkeypatch.setenv("AUDIT_KEY", key)
    assert bare("jobs", "list").code == 0
    monkeypatch.setenv("AUDIT_KEY", key + "\n")
    assert key not in bare("jobs", "list").refusal


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_secret_that_everybody_can_read_gives_a_warning(bare: Terminal, mode: int) -> None:
    path = bare.home / "audit.key"
    path.chmod(mode)
    done = bare("jobs", "list")
    assert done.code == 0
    assert ("everybody can read it" in done.err) is bool(mode & stat.S_IROTH)


class _Seen(Exception):
    """What a catalog was opened with."""


@pytest.mark.parametrize("place", ["file", "env"])
def test_the_password_of_postgresql_goes_to_the_catalog_alone(
    bare: Terminal, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path = bare.home / "password"
    path.write_text(f"{NEEDLE}\nsecond line")
    path.chmod(0o600)
    monkeypatch.setenv("PASSWORD", NEEDLE)
    value = {"file": "password", "env": "PASSWORD"}[place]
    url = f'"postgresql://cdds@127.0.0.1:9/cdds"\npassword_{place} = "{value}"'
    bare.configure(changed(bare.config.read_text(), '"cdds.db"', url))
    opened: list[Any] = []

    def catalog(*given: Any, **named: Any) -> Any:
        opened.append((*given, named["password"]))
        raise _Seen

    with monkeypatch.context() as patched:
        patched.setattr(hosting, "Catalog", catalog)
        assert "_Seen" in bare("jobs", "list").refusal
    assert opened == [("postgresql://cdds@127.0.0.1:9/cdds", NEEDLE)]
    refusal = bare("jobs", "list").refusal  # nobody listens there
    assert "postgresql" in refusal
    assert NEEDLE not in refusal


def test_a_catalog_in_postgresql_is_opened_with_a_password(
    terminal: Terminal, postgres: Any, new_catalog_url: Callable[[str], Any], tmp_path: Path
) -> None:
    path = terminal.home / "password"
    path.write_text(NEEDLE)
    path.chmod(0o600)
    with new_catalog_url("postgresql") as url:
        location = url.replace(":@", "@")
        text = f'"{location}"\npassword_file = "password"'
        terminal.configure(changed(terminal.config.read_text(), '"cdds.db"', text))
        assert terminal("jobs", "list", "--json").json == {"jobs": [], "next": None}


def test_no_secret_stands_in_the_arguments_of_a_process_or_its_output(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_KEY", NEEDLE)
    text = terminal.config.read_text().replace("audit_key_file", "audit_key_env")
    terminal.configure(text.replace('"audit.key"', '"AUDIT_KEY"').replace("cdds.db", "two.db"))
    for words in (["jobs", "list"], ["jobs", "list", "--json"], ["preferences", "show"]):
        done = subprocess.run(
            [sys.executable, "-m", "cdds", *words], capture_output=True, text=True, check=True
        )
        assert NEEDLE not in done.stdout + done.stderr + " ".join(done.args)


# --- taken ----------------------------------------------------------------------------------------


def test_what_is_left_out_has_its_default(bare: Terminal) -> None:
    configuration = read_configuration(bare.config)
    scheduler, retention = configuration.scheduler, configuration.retention
    assert (scheduler.workers, scheduler.stop_timeout) == (2, timedelta(seconds=30))
    assert scheduler.poll_interval == timedelta(seconds=5)
    assert scheduler.lease == scheduler.retry_pause == timedelta(minutes=1)
    assert (retention.artifacts, retention.history) == (timedelta(days=30), None)
    assert configuration.signing is None


def test_every_key_is_taken(bare: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the page that explains them shows only what is taken."""
    bare.configure(
        bare.config.read_text()
        + """
        [sources.Contacts]
        kind = "json-array"
        tenants = ["acme", "other"]
        contact = "contacts.json"
        contactattribute = "attributes.json"
        [scheduler]
        workers = 4
        stop_timeout = "2m"
        poll_interval = "7s"
        lease = "10m"
        retry_pause = "30s"
        [retention]
        artifacts = "12h"
        history = "365d"
        sweep_every_hours = 2
        reconcile_every_hours = 12
        remind_every_hours = 6
        [sealing]
        cipher = "aes-256-gcm"
        key_transport = "oaep"
        format = "pem"
        """
    )
    configuration = read_configuration(bare.config)
    assert configuration.retention.history == timedelta(days=365)
    assert configuration.retention.artifacts == timedelta(hours=12)
    assert configuration.scheduler.stop_timeout == timedelta(minutes=2)
    assert configuration.scheduler.lease == timedelta(minutes=10)
    assert configuration.scheduler.retry_pause == timedelta(seconds=30)
    with hosting.hosted(configuration) as service:
        assert set(service._context.sources) == {"Contact History", "Contacts"}
        assert service._context.lifetime == timedelta(hours=12)
        assert service._context.lease == timedelta(minutes=10)
        assert service._context.retry_pause == timedelta(seconds=30)


@pytest.mark.parametrize("place", ["file", "env"])
def test_what_is_changed_in_records_is_what_the_words_of_an_export_say(
    bare: Terminal, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """And the page that explains them shows what is taken."""
    page = Path(__file__).parents[2] / "docs/how-to/protect-personal-data.md"
    (text,) = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    key = b"sixteen bytes and"
    if place == "env":
        text = changed(text, 'file = "pseudonyms.key"', 'env = "KEY_OF_PSEUDONYMS"')
        monkeypatch.setenv("KEY_OF_PSEUDONYMS", key.decode())
    else:
        (bare.home / "pseudonyms.key").write_bytes(key)
    bare.configure(bare.config.read_text() + text)

    with hosting.hosted(read_configuration(bare.config)) as service:
        assert service._context.match_case is False
        assert service._context.transforms == {
            "Interaction": {
                "interaction": (
                    t.Drop("FROMADDRESS"),
                    t.Mask("PHONENUMBER", keep_last=4),
                    t.Pseudonymise("IXNID", key=key),
                ),
                "document": (t.Drop("CONTENT"), t.Pseudonymise("ENTITYID", key=key)),
            },
            "Contact": {},
        }


def test_a_short_key_of_pseudonyms_is_refused_and_nothing_is_made(bare: Terminal) -> None:
    (bare.home / "short.key").write_bytes(NEEDLE.encode()[:15])
    (bare.home / "short.key").chmod(0o600)
    changes = 'pseudonym_key_file = "short.key"\n[records.contact]\npseudonymise = ["CONTACTID"]\n'
    bare.configure(f"{bare.config.read_text()}[records]\n{changes}")
    before = bare.files()
    refusal = bare("jobs", "list").refusal
    assert "[records.contact]" in refusal
    assert "at least 16" in refusal
    assert NEEDLE[:15] not in refusal
    assert bare.files() == before


@pytest.mark.parametrize("ignores", [True, False])
def test_case_is_ignored_in_runs_where_it_is_told(terminal: Terminal, ignores: bool) -> None:
    (terminal.home / "data" / "acme" / "interactions.jsonl").write_text('{"ixnid": "1"}\n')
    (terminal.home / "data" / "acme" / "documents.jsonl").write_text("")
    text = terminal.config.read_text()
    terminal.configure(f"{text}[records]\nignore_case = {str(ignores).lower()}\n")
    job_id = terminal.add()
    if ignores:
        run_id, _ = terminal.run(job_id)
        run = terminal("history", "show", run_id, "--json").json["run"]
        assert run["records"] == {"interaction": 1}
    else:
        assert "IXNID is required" in terminal("jobs", "run", job_id).refusal


@pytest.mark.parametrize(("lease", "milliseconds"), [(10, 3333), (60, 20_000), (3600, 30_000)])
def test_a_busy_database_is_not_waited_for_beyond_a_lease(
    bare: Terminal, lease: int, milliseconds: int
) -> None:
    """Or a run whose sign of life waits would count as dead."""
    bare.configure(bare.config.read_text() + f'[scheduler]\nlease = "{lease}s"\n')
    with (
        hosting.hosted(read_configuration(bare.config)) as service,
        service._context.catalog._engine.connect() as connection,
    ):
        found = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    assert found == milliseconds


def test_a_signer_signs_and_the_seal_is_the_one_that_is_asked_for(
    terminal: Terminal, rsa_key: Any, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    protection = BestAvailableEncryption(NEEDLE.encode())
    key = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    (terminal.home / "signer.key").write_bytes(key)
    (terminal.home / "signer.password").write_text(NEEDLE)
    for name in ("signer.key", "signer.password"):
        (terminal.home / name).chmod(0o600)
    signing = 'key_file = "signer.key"\ncertificate_file = "cert.pem"\n'
    signing += 'password_file = "signer.password"\n'
    text = terminal.config.read_text() + f'[signing]\n{signing}[sealing]\nformat = "der"\n'
    terminal.configure(text)
    run_id, (name,) = terminal.run(terminal.add())
    assert name.endswith(".zip.p7m")
    signature = f"export-{run_id}.sha256.p7s"
    assert (terminal.home / "exports" / signature).exists()
    folder = terminal.home / "downloads"
    told = terminal("artifacts", "download", "--run", run_id, "--to", folder, "--json").json
    assert [item["name"] for item in told["downloaded"]][-1] == signature


# --- tenants --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tenant", ["..", ".", ".hidden", "../acme", "a/b", "a\\b", "*", "a?b", "[a]", "a:b", "{tenant}"]
)
def test_a_tenant_cannot_lead_elsewhere(terminal: Terminal, tenant: str) -> None:
    words = ["--tenant", tenant]
    certificate = terminal.home / "cert.pem"
    assert terminal("preferences", "set", certificate, *words).code == 0
    job_id = terminal.add(*words)
    refusal = terminal("jobs", "run", job_id, *words).refusal
    assert "cannot stand in a path" in refusal
    assert not (terminal.home / "exports").exists()


def test_a_source_for_some_tenants_is_for_no_others(
    terminal: Terminal, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    text = terminal.config.read_text().replace("{tenant}", "acme")
    tenants = 'kind = "json-lines"\ntenants = ["acme"]'
    terminal.configure(text.replace('kind = "json-lines"', tenants))
    terminal.run(terminal.add())
    other = ["--tenant", "other"]
    assert terminal("preferences", "set", terminal.home / "cert.pem", *other).code == 0
    refusal = terminal("jobs", "run", terminal.add(*other), *other).refusal
    assert "no records of this tenant" in refusal


def test_json_arrays_are_a_kind_of_source(terminal: Terminal) -> None:
    array = terminal.home / "data" / "acme" / "interactions.json"
    array.write_text(json.dumps([{"IXNID": "1"}, {"IXNID": "2"}]))
    text = terminal.config.read_text().replace("json-lines", "json-array")
    text = text.replace("interactions.jsonl", "interactions.json")
    terminal.configure("\n".join(line for line in text.splitlines() if "document" not in line))
    run_id, _ = terminal.run(terminal.add())
    run = terminal("history", "show", run_id, "--json").json["run"]
    assert run["records"] == {"interaction": 2}
    assert os.path.exists(array)  # noqa: PTH110
