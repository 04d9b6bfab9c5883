"""Plugins: found by name, loaded alone, and when one is broken, the others are not.

Distributions are made as an installer makes them, and the example package is installed.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from distributions import Site
from hypothesis import given
from hypothesis import strategies as st

import cdds
from cdds import plugins, protocols
from cdds.errors import CddsError, JobError, PluginError, SinkError, SourceError
from cdds.sinks import open_sink
from cdds.sources import Records, open_source

NEEDLE = "needle-that-nobody-may-see"

GOOD = """
from cdds.sources import Records
from cdds.errors import SourceError

class Source(Records):
    def __init__(self, url, *, size=1, password=None):
        if "refused" in url:
            raise SourceError("no such thing")
        if "fails" in url:
            raise RuntimeError(url)
        super().__init__(interaction=[{"IXNID": str(number)} for number in range(size)])
        self.url, self.password = url, password

    def create(self, name):
        raise NotImplementedError

def nothing(url):
    return None
"""


def refusal(url: str, /, error: type[CddsError] = PluginError, **options: Any) -> str:
    with pytest.raises(error) as caught:
        open_source(url, **options)
    assert NEEDLE not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("crm://host/x", "crm://host/x"),
        ("crm+postgresql://user:pw@host/db?a=b", "postgresql://user:pw@host/db?a=b"),
        ("crm+postgresql+psycopg://host/db", "postgresql+psycopg://host/db"),
        ("crm+sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("CRM://host", "CRM://host"),
    ],
)
def test_a_source_is_opened_by_the_name_that_its_url_begins_with(
    site: Site, url: str, given: str
) -> None:
    site.install("cdds-crm", "crm = cdds_crm:Source", code=GOOD)
    source: Any = open_source(url, size=3, password=NEEDLE)
    assert (source.url, source.password) == (given, NEEDLE)
    assert open_source(source) is source


@pytest.mark.parametrize(
    "url", ["", "x", "crm", "crm:x", "/a/b", "a b://x", "://x", "simplecache::s3://x", "a\0://x"]
)
def test_what_begins_with_no_name_is_refused(url: str) -> None:
    assert "begins with the name of a plugin" in refusal(url, JobError)


def test_an_unknown_name_lists_those_that_are_known(site: Site) -> None:
    site.install("cdds-crm", "crm = cdds_crm:Source\nerp = cdds_crm:Source", code=GOOD)
    said = refusal(f"foo+postgresql://u:{NEEDLE}@host", JobError)
    assert "there is no source plugin foo; known are " in said
    assert {"crm", "erp"} <= set(said.partition("known are ")[2].split(", "))


@pytest.mark.parametrize("url", ["foo://host", "foo+attic://host", "FOO://host/x", "attic2://h"])
def test_an_unknown_sink_lists_those_that_are_known(site: Site, url: str) -> None:
    """Plugins, and what fsspec knows; a password that somebody put there is not told."""
    site.install("cdds-attic", sinks="attic = cdds_attic:Source", code=GOOD)
    name = url.partition("://")[0]

    with pytest.raises(SinkError) as caught:
        open_sink(url.replace("://", f"://u:{NEEDLE}@"))

    said = str(caught.value)
    assert said.startswith(f"there is no sink {name}; known are ")
    assert {"attic", "memory", "s3"} <= set(said.partition("known are ")[2].split(", "))
    assert NEEDLE not in said


BROKEN = {
    "it raises": ("a = broken:Source", "raise RuntimeError('x')", "RuntimeError at broken.py:1"),
    "it exits": ("a = broken:Source", "import sys\nsys.exit(3)", "SystemExit at broken.py:2"),
    "it raises what is no Exception": (
        "a = broken:Source",
        "from asyncio import CancelledError\nraise CancelledError",
        "CancelledError at broken.py:2",
    ),
    "it raises that when it is asked": (
        "a = broken:Source",
        "def __getattr__(name):\n    raise GeneratorExit",
        "GeneratorExit at broken.py:2",
    ),
    "it is no Python": ("a = broken:Source", "def (", "SyntaxError at broken.py:1"),
    "it needs what is not there": ("a = broken:Source", "import no_such", "no module no_such"),
    "its module is not there": ("a = elsewhere.x:Source", "", "no module elsewhere"),
    "its object is not there": ("a = broken:Other", GOOD, "broken has no Other"),
    "it imports when it is asked": (
        "a = broken:Source",
        "def __getattr__(name):\n    import no_such",
        "no module no_such",
    ),
    "it fails when it is asked": (
        "a = broken:Source",
        "def __getattr__(name):\n    raise RuntimeError(name)",
        "RuntimeError at broken.py:2",
    ),
    "it exits when it is asked": (
        "a = broken:Source",
        "def __getattr__(name):\n    raise SystemExit",
        "SystemExit at broken.py:2",
    ),
    "it is a number": ("a = broken:A", "A = 3", "broken:A is a int, no class or function"),
    "it is a module": ("a = broken", "", "broken is a module, no class or function"),
    "it is written wrongly": ("a = a b c", "", "not written as module:object"),
    "it returns nothing": (
        "a = broken:nothing",
        GOOD,
        "it returned a NoneType, which is no source",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_harms_its_own_name_alone(site: Site, case: str) -> None:
    """One error says which, of which distribution, and what is wrong; the others go on."""
    points, code, said = BROKEN[case]
    site.install("broken", points, code=code)
    site.install("cdds-crm", "crm = cdds_crm:Source", code=GOOD)
    message = refusal("a://host")
    assert message.startswith("the source plugin a of broken 1.0 is broken: ")
    assert said in message
    assert isinstance(open_source("crm://host"), Records)


def test_the_cause_of_a_failure_to_load_is_kept(site: Site) -> None:
    site.install("broken", "a = broken:Source", code="raise RuntimeError('why')")
    with pytest.raises(PluginError) as caught:
        open_source("a://host")
    assert repr(caught.value.__cause__) == "RuntimeError('why')"


def test_a_name_of_two_distributions_is_refused_and_both_are_named(site: Site) -> None:
    for name in ("one", "two"):
        site.install(name, f"crm = {name}:Source\n{name} = {name}:Source", code=GOOD)
    said = refusal("crm://host")
    assert "one 1.0 and two 1.0" in said
    assert isinstance(open_source("one://host"), Records)


def test_a_distribution_that_is_found_twice_is_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("cdds-crm", "crm = cdds_crm:Source", code=GOOD)
    monkeypatch.setattr(sys, "path", [*sys.path, str(site.folder) + "/."])
    assert isinstance(open_source("crm://host"), Records)


@pytest.mark.parametrize("raw", ["[cdds.sources]\nno equals sign\n", "[cdds.sources]\n= x\n[x"])
def test_entry_points_that_cannot_be_read_harm_nobody_else(
    site: Site, raw: str, caplog: pytest.LogCaptureFixture
) -> None:
    site.install("odd", raw=raw)
    site.install("cdds-crm", "crm = cdds_crm:Source", code=GOOD)
    assert isinstance(open_source("crm://host"), Records)


def test_only_the_plugin_that_is_asked_for_is_loaded(site: Site) -> None:
    """Importing the library loads none, and neither does looking for a name."""
    site.install("one", "one = one:Source", "one = one:Source", code=GOOD)
    site.install("two", "two = two:Source", "two = two:Source", code=GOOD)
    program = """
import sys, cdds
print([name in sys.modules for name in ("importlib.metadata", "one", "two")])
cdds.plugins.offered("source"), cdds.sources.open_source("one+x://host")
print([name in sys.modules for name in ("one", "two")])
"""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site.folder)!r})\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[False, False, False]", "[True, False]"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"colour": "red"}, "of cdds-crm 1.0 takes no option colour; it takes password, size"),
        ({"url": "x"}, "takes no option url; it takes password, size"),
    ],
)
def test_an_option_that_a_plugin_does_not_take_is_refused(
    site: Site, options: dict[str, str], said: str
) -> None:
    site.install("cdds-crm", "crm = cdds_crm:Source", code=GOOD)
    assert said in refusal("crm://host", JobError, password=NEEDLE, **options)


OPENED_OTHERWISE = {
    "def Source(url, *, tenant): pass": (JobError, "needs the option tenant"),
    "def Source(url, **options): pass": (JobError, "takes no option url; it takes none"),
    "def Source(url, tenant, /): pass": (PluginError, "cannot be called with a URL"),
    "def Source(*, size): pass": (PluginError, "it takes no URL"),
}


@pytest.mark.parametrize("code", OPENED_OTHERWISE)
def test_how_a_plugin_is_opened_is_told_in_our_words(site: Site, code: str) -> None:
    site.install("cdds-crm", "crm = cdds_crm:Source", code=code)
    kind, said = OPENED_OTHERWISE[code]
    options = {"url": NEEDLE} if "**" in code else {}
    given = {"size": NEEDLE} if "size" in code else options
    assert said in refusal("crm://host", kind, **given)


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, BaseException])
def test_a_plugin_that_exits_where_it_is_opened_ends_nobody(
    site: Site, kind: type[BaseException]
) -> None:
    code = f"def Source(url):\n    raise {kind.__name__}('{NEEDLE}')"
    site.install("cdds-crm", "crm = cdds_crm:Source", code=code)
    message = refusal("crm://host", PluginError)
    assert f"opening it failed with {kind.__name__} at cdds_crm.py:2" in message
    assert NEEDLE not in message


def test_an_interrupt_is_no_failure_of_a_plugin(site: Site) -> None:
    site.install("one", "one = one:Source", code="raise KeyboardInterrupt")
    code = "def Source(url):\n    raise KeyboardInterrupt"
    site.install("two", "two = two:Source", code=code)
    for name in ("one", "two"):
        with pytest.raises(KeyboardInterrupt):
            open_source(f"{name}://host")


def test_a_name_that_a_distribution_offers_twice_is_refused(site: Site) -> None:
    site.install("cdds-crm", "crm = cdds_crm:Source\ncrm = cdds_crm:nothing", code=GOOD)
    assert "is offered 2 times" in refusal("crm://host")


def test_what_cannot_be_read_is_told_once_for_a_kind(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    from cdds.cli import main

    site.install("broken", raw="[cdds.sources]\nno equals sign\n")
    for name in ("one", "two", "three"):
        site.install(name, f"{name} = {name}:Source", code=GOOD)

    assert main(["plugins"]) == 0

    assert capfd.readouterr().err.count("entry points cannot be read") == 1


def test_errors_of_a_plugin_are_its_own_or_say_no_more_than_their_kind(site: Site) -> None:
    """A driver's error may quote the URL with its password: its text is shown by nobody."""
    site.install("cdds-crm", "crm = cdds_crm:Source", code=GOOD)
    assert refusal("crm://refused", SourceError) == "no such thing"
    with pytest.raises(PluginError) as caught:
        open_source(f"crm://u:{NEEDLE}@fails")
    assert "opening it failed with RuntimeError at cdds_crm.py:" in str(caught.value)
    assert NEEDLE not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_plugin_is_asked_before_fsspec_and_never_for_a_path(site: Site, tmp_path: Path) -> None:
    site.install("attic", "", "attic = attic:Source\nmemory = attic:Source", code=GOOD)
    sink: Any = open_sink("attic+s3://host", size=2)
    assert sink.url == "s3://host"
    assert type(open_sink("memory://x")).__name__ == "Source"
    site.install(
        "broken", "", "file = broken:Source\nlocal = broken:Source", code="raise RuntimeError"
    )
    for path in (tmp_path / "x", str(tmp_path / "x"), f"file://{tmp_path}/x", f"local:{tmp_path}"):
        assert isinstance(open_sink(path), cdds.sinks.LocalSink)


@pytest.mark.parametrize("target", ["folder", "file:///folder", cdds.sinks.LocalSink("x")])
def test_only_a_url_takes_options(target: Any) -> None:
    with pytest.raises(JobError, match="take none"):
        open_sink(target, size=2)
    with pytest.raises(JobError, match="takes no options"):
        open_source(Records(), size=2)


def test_what_comes_with_the_library_is_a_plugin_as_any_other(
    monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    table = {"source": {"records": "cdds.sources:Records"}, "sink": {}}
    monkeypatch.setattr(plugins, "_BUILTIN", table)
    (plugin,) = [one for one in plugins.offered("source") if one.name == "records"]
    assert (plugin.distribution, plugin.version) == ("cdds-sdk", cdds.__version__)
    assert plugin.load() is Records


@pytest.mark.parametrize("name", plugins._BUILTIN["source"])
def test_no_other_takes_a_name_of_ours(
    site: Site, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ours is used, and the other is told of, by whichever name its distribution comes."""
    from cdds.cli import main

    site.install("a-first", f"{name} = a_first:Source\ncrm = a_first:Source", code=GOOD)
    found = plugins.get("source", name)
    assert (found.distribution, plugins.failure(found, [])) == ("cdds-sdk", None)
    assert isinstance(open_source("crm://host"), Records)
    assert main(["plugins", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)["plugins"]
    ours, other = sorted(
        (one for one in told if one["name"] == name), key=lambda one: not one["ok"]
    )
    assert (ours["distribution"], other["distribution"]) == ("cdds-sdk", "a-first")
    assert f"source plugin {name} of a-first 1.0 is not used" in other["reason"]


@given(st.text())
def test_any_text_is_a_url_or_refused(text: str) -> None:
    found = plugins.addressed(text)
    assert found is None or (text.lower().startswith(found[0]) and found[1] in text)


def test_an_export_takes_a_url(
    site: Site, tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    site.install("cdds-crm", "crm = cdds_crm:Source", code=GOOD)
    result = cdds.export(
        "crm://host",
        dataset="interaction",
        to=tmp_path / "exports",
        recipients=rsa_key_and_certificate[1],
    )
    assert result.records == {"interaction": 1}


def test_the_command_lists_all_and_says_what_is_broken(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    from cdds.cli import main

    site.install(
        "cdds-crm", "crm = cdds_crm:Source\nCRM = cdds_crm:Source", code="print('hi')" + GOOD
    )
    site.install("broken", "a = broken:Source", "a = broken:Source", code="raise RuntimeError")
    assert main(["plugins", "--json"]) == 0
    printed = capfd.readouterr()
    found = json.loads(printed.out)["plugins"]
    told = {(one["name"], one["kind"]): one for one in found}
    assert told["crm", "source"] == {
        "name": "crm",
        "kind": "source",
        "distribution": "cdds-crm",
        "version": "1.0",
        "ok": True,
        "reason": None,
    }
    assert "no URL can begin with its name" in told["CRM", "source"]["reason"]
    for kind in ("source", "sink"):
        assert not told["a", kind]["ok"]
        assert f"the {kind} plugin a of broken 1.0 is broken" in told["a", kind]["reason"]
    assert main(["plugins"]) == 0
    table = capfd.readouterr().out
    assert "cdds-crm" in table
    assert "RuntimeError at broken.py:1" in table


def test_the_guide_names_each_ability_of_a_snapshot() -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/write-a-plugin.md").read_text()
    told = page.partition("**More abilities**")[2].partition("`cdds.protocols`")[0]
    kinds = [kind for name, kind in vars(protocols).items() if name.endswith("Snapshot")]
    abilities = {name for kind in kinds for name in vars(kind) if name[0] != "_"} - {"records"}
    assert {"lines", "count", "notes"} <= abilities
    assert set(re.findall(r"`(\w+)`", told)) == abilities


# The example package, which is installed as any other


@pytest.fixture
def example() -> None:
    """Require the package of examples/cdds-csv; it is not loaded for that."""
    if find_spec("cdds_csv") is None:
        missing = "examples/cdds-csv is not installed"
        if os.environ.get("CDDS_REQUIRE_JUDGES"):
            pytest.fail(missing)
        pytest.skip(missing)


def test_the_example_is_found_and_loaded_when_it_is_asked_for(example: None, site: Site) -> None:
    """Looking for names, opening another plugin, and a broken one: none of them touches it."""
    site.install("broken", "broken = broken:Source", code="raise RuntimeError")
    site.install("cdds-crm", "crm = cdds_crm:Source", code=GOOD)
    program = f"""
import sys
sys.path.insert(0, {str(site.folder)!r})
import cdds
from cdds.errors import PluginError
print(sorted(one.name for kind in cdds.plugins.KINDS for one in cdds.plugins.offered(kind)))
cdds.sources.open_source("crm://host")
try:
    cdds.sources.open_source("broken://host")
except PluginError:
    print([name for name in sys.modules if name.startswith("cdds_csv")])
cdds.sources.open_source("csv:///")
print([name for name in sys.modules if name.startswith("cdds_csv")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    names, before, after = done.stdout.splitlines()
    assert {"broken", "crm", "csv", "shelf"} <= set(ast.literal_eval(names))
    assert (before, after) == ("[]", "['cdds_csv', 'cdds_csv.source']")


def test_the_example_exports_from_one_end_to_the_other(
    example: None, tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    (tmp_path / "interaction.csv").write_text("IXNID,SUBJECT\n1,a\n2,b\n")
    shelf = f"shelf://{tmp_path}/exports.db"
    result = cdds.export(
        f"csv://{tmp_path}",
        dataset="interaction",
        to=shelf,
        recipients=rsa_key_and_certificate[1],
    )
    assert result.records == {"interaction": 2}
    sink: Any = open_sink(shelf)
    stored = {item.name: item.size for item in sink.stored()}
    assert stored[result.artifacts[0].name] == result.artifacts[0].size
    assert set(stored) == {result.artifacts[0].name, result.digests}
