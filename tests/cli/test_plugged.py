"""Sources and sinks of plugins on the command line and in a configuration."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from distributions import Site
from terminals import Terminal

from cdds import sample
from cdds.sources import ContactHistory

NEEDLE = "needle-that-nobody-may-see"

CRM = """
import json, pathlib
from cdds.sources import Records

class Crm(Records):
    def __init__(self, url, **options):
        path = pathlib.Path(__file__).with_name("opened.json")
        opened = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps([*opened, [url, options]]))
        super().__init__(interaction=[{"IXNID": "1"}])
"""

SOURCE = """
[catalog]
url = "cdds.db"
audit_key_file = "audit.key"
[sink]
url = "exports"
[sources."Contact History"]
"""


def opened(site: Site) -> list[object]:
    """Return what sources were opened with."""
    path = site.folder / "opened.json"
    return list(json.loads(path.read_text())) if path.exists() else []


@pytest.fixture
def crm(site: Site) -> Site:
    """Return a place where a CRM is installed."""
    site.install("cdds-crm", "crm = cdds_crm:Crm", code=CRM)
    return site


def words(terminal: Terminal, certificate: Path, *ends: str | Path) -> list[str | Path]:
    target = terminal.home / "target"
    return ["export", "--dataset", "interaction", "--recipient", certificate, "--to", target, *ends]


def test_help_tells_of_the_source_that_needs_no_plugin(terminal: Terminal) -> None:
    help_ = " ".join(terminal("export", "--help").out.split())
    assert "ucs+sqlite:///FILE" in help_
    assert "ucs+postgresql://USER@HOST/NAME" in help_


def test_an_export_takes_the_url_of_a_source(
    bare: Terminal, crm: Site, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    (bare.home / "password").write_text(f"{NEEDLE}\nsecond line")
    (bare.home / "password").chmod(0o600)
    ends: list[str | Path] = [
        "--source",
        "crm+https://me@host/x",
        "--source-password-file",
        bare.home / "password",
    ]
    done = bare(*words(bare, rsa_key_and_certificate[1], *ends, "--json"))
    assert done.json["records"] == {"interaction": 1}
    assert opened(crm) == [["https://me@host/x", {"password": NEEDLE}]]


@pytest.mark.parametrize(
    "ends",
    [
        [],
        ["--source", "crm://x", "--records", "x.jsonl"],
        ["--source", "crm://x", "--attachments", "x.jsonl"],
        ["--records", "x.jsonl", "--source-password-file", "x"],
        ["--source", "crm://x", "--source", "crm://y"],
        ["--records", "x.jsonl", "--rows-per-second", "5"],
        ["--records", "x.jsonl", "--statement-timeout", "5s"],
        ["--source", "ucs+sqlite:///x", "--statement-timeout", "5"],
        ["--source", "ucs+sqlite:///x", "--rows-per-second", "many"],
        ["--source", "ucs+sqlite:///x", "--rows-per-second", "5", "--rows-per-second", "6"],
    ],
)
def test_a_source_or_records_and_not_both(
    bare: Terminal, crm: Site, rsa_key_and_certificate: tuple[Path, Path], ends: list[str]
) -> None:
    done = bare(*words(bare, rsa_key_and_certificate[1], *ends))
    assert (done.code, done.out) == (2, "")
    assert opened(crm) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"crm+https://me:{NEEDLE}@host", "give it as --source-password-file"),
        (f"crm://host/x?password={NEEDLE}", "give it as --source-password-file"),
        ("foo://host", "there is no source plugin foo; known are "),
        ("host", "begins with the name of a plugin"),
        ("broken://host", "the source plugin broken of broken 1.0 is broken: importing it failed"),
    ],
)
def test_a_source_that_cannot_be_opened_is_one_line(
    bare: Terminal,
    crm: Site,
    rsa_key_and_certificate: tuple[Path, Path],
    url: str,
    said: str,
) -> None:
    crm.install("broken", "broken = broken:X", code=f"raise RuntimeError({NEEDLE!r})")
    refusal = bare(*words(bare, rsa_key_and_certificate[1], "--source", url)).refusal
    assert said in refusal
    assert NEEDLE not in refusal
    assert not (bare.home / "target").exists()


@pytest.mark.parametrize("more", [["--dry-run"], []])
@pytest.mark.parametrize("limit", [["--rows-per-second", "5"], ["--statement-timeout", "5s"]])
def test_what_is_no_database_has_no_limits_of_one(
    bare: Terminal,
    crm: Site,
    rsa_key_and_certificate: tuple[Path, Path],
    limit: list[str],
    more: list[str],
) -> None:
    """Though a plugin may take options of these names, it may mean something else by them."""
    ends = ["--source", "crm+https://host", *limit, *more]
    refusal = bare(*words(bare, rsa_key_and_certificate[1], *ends)).refusal
    assert "are for databases" in refusal
    assert opened(crm) == []


@pytest.mark.parametrize("scheme", ["ucs", "UCS"])
def test_a_database_is_read_within_the_limits_that_are_given(
    bare: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    rsa_key_and_certificate: tuple[Path, Path],
    scheme: str,
) -> None:
    url = f"sqlite:///{bare.home / 'ucs.db'}"
    sample.load(url, 3, 1, seed=1)
    given: list[object] = []
    before = ContactHistory.__init__

    def noted(self: ContactHistory, url: str, **options: Any) -> None:
        given.append(options)
        before(self, url, **options)

    monkeypatch.setattr(ContactHistory, "__init__", noted)
    limits = ["--rows-per-second", "2.5e3", "--statement-timeout", "2m"]
    ends = ["--source", f"{scheme}+{url}", *limits]
    done = bare(*words(bare, rsa_key_and_certificate[1], *ends, "--json"))

    assert done.json["records"]["interaction"] == 3
    assert given == [{"rows_per_second": 2500.0, "timeout": timedelta(minutes=2)}]
    ends = ["--source", f"{scheme}+{url}", "--rows-per-second", "0.5"]
    assert "1 or more" in bare(*words(bare, rsa_key_and_certificate[1], *ends)).refusal
    ends = ["--source", f"{scheme}+{url}", "--statement-timeout", "8d"]
    assert "up to 7 days" in bare(*words(bare, rsa_key_and_certificate[1], *ends)).refusal


def test_a_configured_source_is_opened_for_its_tenant(
    terminal: Terminal, crm: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its password and its options go to the plugin; nothing is opened before a run needs it."""
    monkeypatch.setenv("CRM_PASSWORD", NEEDLE)
    url = 'url = "crm+https://me@host/{tenant}"\npassword_env = "CRM_PASSWORD"\n'
    terminal.configure(SOURCE + url + 'options = { size = 3, schema = "of_{tenant}" }\n')
    job = terminal.add()
    assert opened(crm) == []
    terminal.run(job)
    options = {"size": 3, "schema": "of_acme", "password": NEEDLE}
    assert opened(crm) == [["https://me@host/acme", options]]


@pytest.mark.parametrize("tenant", ["a@b", "a&b", "a b", "a=b", "..", "a/b"])
def test_a_tenant_cannot_change_a_url(terminal: Terminal, crm: Site, tenant: str) -> None:
    terminal.configure(SOURCE + 'url = "crm://host/{tenant}"\n')
    named = ["--tenant", tenant]
    assert terminal("preferences", "set", terminal.home / "cert.pem", *named).code == 0
    refusal = terminal("jobs", "run", terminal.add(*named), *named).refusal
    assert "the name of this tenant cannot stand in a path" in refusal
    assert opened(crm) == []


def test_a_broken_source_fails_its_own_runs_alone(terminal: Terminal, site: Site) -> None:
    site.install("broken", "broken = broken:X", code="raise RuntimeError")
    good = terminal.config.read_text()
    terminal.configure(good + '[sources.Broken]\nurl = "broken://{tenant}"\n')
    job = terminal.add()
    broken = terminal("jobs", "clone", job, "--source", "Broken", "--title", "x").words[0]
    refusal = terminal("jobs", "run", broken).refusal
    assert "the source plugin broken of broken 1.0 is broken" in refusal
    terminal.run(job)


BAD = {
    "both": ('url = "crm://{tenant}"\nkind = "json-lines"', "kind or url, or has both"),
    "neither": ("", "no key kind or url"),
    "files": ('url = "crm://{tenant}"\ninteraction = "x"', "it names no files: interaction"),
    "no URL": ('url = "data/{tenant}"', "does not begin with the name of a plugin"),
    "an unknown name": ('url = "foo://{tenant}"', "there is no source plugin foo; known are "),
    "a password": (f'url = "crm://u:{NEEDLE}@{{tenant}}"', "use password_file"),
    "two passwords": (
        'url = "crm://{tenant}"\npassword_file = "a"\npassword_env = "b"',
        "password_file and password_env are both given",
    ),
    "a secret option": (
        f'url = "crm://{{tenant}}"\noptions = {{ api_token = "{NEEDLE}" }}',
        "api_token would be a secret",
    ),
    "all tenants alike": ('url = "crm://x"', "url is the same for every tenant"),
    "an unknown key": ('url = "crm://{tenant}"\ncolour = 1', "unknown key colour"),
    "options for files": (
        'kind = "json-lines"\ninteraction = "{tenant}"\noptions = { a = 1 }',
        "take no options and no password",
    ),
    "no password": (
        'url = "crm://{tenant}"\npassword_env = "NO_SUCH"',
        "NO_SUCH should hold a secret",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_source_that_makes_no_sense_is_refused_and_nothing_is_made(
    bare: Terminal, crm: Site, case: str
) -> None:
    text, said = BAD[case]
    bare.configure(SOURCE + text + "\n")
    before = bare.files()
    refusal = bare("jobs", "list").refusal
    assert said in refusal
    assert NEEDLE not in refusal
    assert bare.files() == before
