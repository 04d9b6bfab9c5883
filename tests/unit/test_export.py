"""An export that is opened gives what was exported, proven, or one error and nothing at all."""

from __future__ import annotations

import base64
import errno
import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from exports import exported, interaction
from hypothesis import given, settings
from hypothesis import strategies as st

import cdds
from cdds import Envelope
from cdds.errors import (
    ArchiveError,
    Cancelled,
    CddsError,
    DecryptionError,
    ExportError,
    JobError,
    MessageError,
)
from cdds.manifest import FORMAT_VERSION, MAX_SCHEMA_SIZE
from cdds.recipient.export import Export
from cdds.recipient.extraction import Extraction

FORMS = [
    {"format": "smime", "cipher": "aes-256-cbc"},
    {"format": "der", "cipher": "aes-256-gcm"},
    {"format": "pem", "cipher": "aes-128-cbc"},
]
NAME = "Interaction"
END_OF_CONTENTS = 10  # bytes after the ciphertext
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def document(number: int) -> dict[str, Any]:
    return {"ID": f"d{number}", "ENTITYID": f"{number:016}", "THENAME": "a.txt", "CONTENT": "YQ=="}


RECORDS = {
    "interaction": [interaction(number, 2000) for number in range(800)],
    "document": [document(number) for number in range(0, 800, 7)],
}
SMALL = {"interaction": [interaction(1)]}


def opened(*files: Path, **options: Any) -> cdds.Export:
    return cdds.open_export(list(files), **options)


def outcome(files: Sequence[Path], key: Path) -> Any:
    """Return the records of an export, or the error that there is."""
    try:
        with opened(*files, key=key) as export:
            return list(export.records(NAME))
    except CddsError as error:
        return error


@pytest.fixture
def small(tmp_path: Path, certificate: Path) -> Path:
    (file,) = exported(tmp_path / "small", certificate, SMALL)
    return file


@pytest.mark.parametrize("split_size", [None, 300_000])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["cipher"])
def test_any_file_opens_all_of_an_export(
    form: Mapping[str, str], split_size: int | None, tmp_path: Path, certificate: Path, key: Path
) -> None:
    files = exported(tmp_path, certificate, RECORDS, form=form, split_size=split_size)
    assert (len(files) > 2) == (split_size is not None)

    for file in files:
        with opened(file, key=key) as export:
            assert [part.name for part in export.files.parts] == [file.name for file in files]
            assert export.names == (NAME, "Interaction-Attachment")
            assert export.manifest is not None
            assert [file.get("records") for file in export.manifest["files"][:2]] == [800, 115]
            for proof in ("first", "end"):
                assert list(export.records(NAME, proof=proof)) == RECORDS["interaction"]
                assert list(export.records("document", proof=proof)) == RECORDS["document"]
            assert "properties" in export.schema(NAME)


@pytest.mark.parametrize("split_size", [None, 300_000])
def test_what_is_extracted_is_what_openssl_and_seven_zip_extract(
    split_size: int | None, tmp_path: Path, certificate: Path, key: Path, judge: Callable[..., str]
) -> None:
    files = exported(tmp_path / "out", certificate, RECORDS, split_size=split_size)
    plain = tmp_path / "plain"
    plain.mkdir()
    for file in files:
        command: list[Any] = [
            judge("openssl"),
            "smime",
            "-decrypt",
            "-binary",
            "-inkey",
            key,
            "-in",
            file,
        ]
        subprocess.run([*command, "-out", plain / file.stem], check=True)
    unpacked = tmp_path / "unpacked"
    command = [judge("7zz"), "x", "-y", plain / files[-1].stem, f"-o{unpacked}"]
    subprocess.run(command, check=True, capture_output=True)

    with opened(files[0], key=key) as export:
        paths = export.extract(tmp_path / "extracted")

    assert {path.relative_to(tmp_path / "extracted") for path in paths} == {
        path.relative_to(unpacked) for path in unpacked.rglob("*") if path.is_file()
    }
    for path in paths:
        assert (
            path.read_bytes() == (unpacked / path.relative_to(tmp_path / "extracted")).read_bytes()
        )
    assert [path.name for path in (tmp_path / "extracted").glob(".*")] == []


@pytest.mark.parametrize("seal", [False, True])
@pytest.mark.parametrize("how", ["zip", "zip -s", "7zz -v"])
def test_archives_of_others_open(
    how: str, seal: bool, tmp_path: Path, certificate: Path, key: Path, judge: Callable[..., str]
) -> None:
    data = {"a.txt": b"a" * 10, "folder/b.bin": random.Random(1).randbytes(200_000)}
    for name, content in data.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    command: list[Any] = {
        "zip": [judge("zip"), "-qr", out / "a.zip", "."],
        "zip -s": [judge("zip"), "-qr", "-s", "64k", out / "a.zip", "."],
        "7zz -v": [judge("7zz"), "a", "-v50k", out / "a.zip", "."],
    }[how]
    subprocess.run(command, check=True, cwd=tmp_path / "in", capture_output=True)
    files = sorted(out.iterdir())
    if seal:
        for file in files:
            sealing: list[Any] = [
                judge("openssl"),
                "cms",
                "-encrypt",
                "-binary",
                "-aes256",
                "-in",
                file,
            ]
            target = file.with_name(file.name + ".smime")
            subprocess.run([*sealing, "-out", target, certificate], check=True)
            file.unlink()
        files = sorted(out.iterdir())

    with opened(files[-1], key=key if seal else None) as export:
        assert export.manifest is None
        assert set(export.names) == set(data)
        export.extract(tmp_path / "extracted")

    for name, content in data.items():
        assert (tmp_path / "extracted" / name).read_bytes() == content


@settings(max_examples=20, deadline=None)
@given(
    values=st.lists(
        st.dictionaries(
            st.text(max_size=5),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats(allow_nan=False, allow_infinity=False)
                | st.text(),
                lambda inner: st.lists(inner, max_size=3),
                max_leaves=5,
            ),
            max_size=5,
        ),
        min_size=1,
        max_size=20,
    )
)
def test_records_are_what_json_says(
    values: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = "".join(json.dumps(value) + "\n" for value in values)
    expected = [json.loads(line) for line in data.splitlines()]
    file = tmp_path_factory.mktemp("plain") / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", data)

    with opened(file) as export:
        assert list(export.records("a.json")) == expected
        assert list(export.records("a.json", proof="end")) == expected


@pytest.mark.parametrize("form", FORMS)
def test_an_interrupted_copy_goes_on_where_it_was(
    form: dict[str, str], tmp_path: Path, certificate: Path, key: Path
) -> None:
    """From any byte on, without reading what is before it; any other byte is refused."""
    files = exported(tmp_path, certificate, RECORDS, form=form)
    with opened(*files, key=key) as export:
        data = b"".join(export.data(NAME))
        for start in (0, 1, len(data) // 3, len(data) - 1, len(data)):
            assert b"".join(export.iter_unverified(NAME, start=start)) == data[start:]
        for start in (-1, len(data) + 1):
            with pytest.raises(JobError, match=f"no byte {start}"):
                b"".join(export.iter_unverified(NAME, start=start))


def test_an_integer_of_any_size_and_half_a_surrogate_pair_are_kept(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.json", f'{{"a":{10**40}}}\n\n{{"b":"\\ud800"}}\n')

    with opened(tmp_path / "a.zip") as export:
        assert list(export.records("a.json")) == [{"a": 10**40}, {"b": "\ud800"}]


def bent(files: Sequence[Path], at: int) -> None:
    """Change a byte of base64, or of another file, so that its form stays what it was."""
    data = bytearray(files[0].read_bytes())
    data[at] = ord("B") if data[at] == ord("A") else ord("A")
    files[0].write_bytes(data)


@pytest.mark.parametrize("has_digests", [True, False])
@pytest.mark.parametrize("proof", ["first", "end"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["cipher"])
def test_of_damaged_data_nothing_is_given_out_to_the_end(
    form: Mapping[str, str],
    proof: Any,
    has_digests: bool,
    tmp_path: Path,
    certificate: Path,
    key: Path,
) -> None:
    files = exported(tmp_path, certificate, RECORDS, form=form)
    if not has_digests:
        next(tmp_path.glob("*.sha256")).unlink()
    size = files[0].stat().st_size
    bent(files, size // 3 - size // 3 % 77 + 5)
    got: list[Any] = []

    with opened(files[0], key=key) as export:
        with pytest.raises((DecryptionError, ExportError)) as caught:
            got.extend(export.records(NAME, proof=proof))
        with pytest.raises((DecryptionError, ExportError)):
            export.extract(tmp_path / "extracted")

    assert len(got) < 800
    assert proof == "end" or not got
    assert not (tmp_path / "extracted").exists()
    if has_digests:
        assert files[0].name in str(caught.value)
    else:
        assert "cannot be told" in str(caught.value)


def test_a_changed_byte_anywhere_gives_one_error_or_the_same_records(
    small: Path, key: Path
) -> None:
    next(small.parent.glob("*.sha256")).unlink()
    data = small.read_bytes()
    told = set()
    for at in range(7, len(data), 41):
        small.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        got = outcome([small], key)
        if isinstance(got, MessageError):
            continue
        told.add(str(got) if isinstance(got, CddsError) else None)
        assert isinstance(got, DecryptionError) or got == SMALL["interaction"], at
    assert len(told - {None}) == 1


def test_every_prefix_is_refused(small: Path, key: Path) -> None:
    data = small.read_bytes()
    for size in [*range(0, len(data) - 3, 97), len(data) - 3]:  # two line ends may be missing
        small.write_bytes(data[:size])
        assert isinstance(outcome([small], key), CddsError), size


def test_a_key_is_asked_for(small: Path) -> None:
    with pytest.raises(JobError, match="private key"):
        opened(small)


def test_several_keys_after_a_rotation(small: Path, key: Path, holders: tuple[Any, ...]) -> None:
    keys = iter([holders[1].key, holders[2].key, key])
    with opened(small, keys=keys) as export:
        assert len(list(export.records(NAME))) == 1


def test_an_unknown_name_is_told_with_those_that_are_there(small: Path, key: Path) -> None:
    with opened(small, key=key) as export, pytest.raises(JobError, match="it has Interaction"):
        export.data("Contact")


def test_of_many_names_those_that_are_told_are_few(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(1000):
            archive.writestr(f"{number}.txt", b"")
    with opened(tmp_path / "a.zip") as export, pytest.raises(JobError, match="980 more") as told:
        export.data("Contact")
    assert len(str(told.value)) < 500


def test_the_manifest_is_one_of_the_files(small: Path, key: Path, tmp_path: Path) -> None:
    with opened(small, key=key) as export:
        assert json.loads(b"".join(export.data("manifest.json"))) == export.manifest
        (path,) = export.extract(tmp_path / "extracted", "manifest.json")
    assert json.loads(path.read_bytes()) == export.manifest


def test_one_name_is_as_good_as_a_list_of_it(small: Path, key: Path, tmp_path: Path) -> None:
    with opened(small, key=key) as export:
        (one,) = export.extract(tmp_path / "one", NAME)
        (same,) = export.extract(tmp_path / "same", [NAME])
    assert one.name == same.name
    assert one.read_bytes() == same.read_bytes()


def test_a_proof_that_there_is_not_gives_out_nothing(small: Path, key: Path) -> None:
    mistyped: Any = "frist"
    with opened(small, key=key) as export:
        for reading in (export.data, export.records):
            with pytest.raises(JobError, match="first, end"):
                next(reading(NAME, proof=mistyped))


def test_nothing_is_read_of_an_export_that_is_closed(
    small: Path, key: Path, tmp_path: Path
) -> None:
    with opened(small, key=key) as export:
        begun = export.records(NAME)
    for read in (
        lambda: next(begun),
        lambda: next(export.data(NAME)),
        lambda: next(export.iter_unverified(NAME)),
        lambda: export.extract(tmp_path / "extracted"),
        lambda: export.to_zip(tmp_path / "one.zip"),
    ):
        with pytest.raises(JobError, match="is closed"):
            read()
    assert not (tmp_path / "extracted").exists()
    assert not (tmp_path / "one.zip").exists()


def test_files_under_the_name_of_another_run_are_refused(small: Path, key: Path) -> None:
    other = small.with_name(f"export-{'0' * 8}-0000-0000-0000-{'0' * 12}.zip.smime")
    small.rename(other)
    assert isinstance(outcome([other], key), DecryptionError)


def test_a_manifest_may_tell_of_any_name_of_the_schema(
    tmp_path: Path, certificate: Path, key: Path
) -> None:
    """Also of half a surrogate pair, which is no UTF-8."""
    name = "\ud800"
    schema = {"type": "object", "properties": {name: {"type": "integer"}}}
    thing = cdds.DataFile(name="thing", label="Thing", schema=schema)
    lines = tmp_path / "things.jsonl"
    lines.write_text('{"\\ud800": "no number"}\n{"\\ud800": 1}\n')
    job = cdds.Job(dataset=cdds.Dataset("Things", (thing,)), on_invalid="reject")
    exporter = cdds.Exporter(
        sink=cdds.sinks.LocalSink(tmp_path / "to"), envelope=Envelope([certificate])
    )
    result = exporter.run(job, cdds.sources.JsonLines(thing=lines))
    with opened(tmp_path / "to" / result.artifacts[0].name, key=key) as export:
        assert export.manifest is not None
        assert [reject["field"] for reject in export.manifest["rejects"]] == [name]
        assert list(export.records("Thing")) == [{name: 1}]
        assert export.schema("Thing") == schema


def manifest_of(files: Mapping[str, Any], /, **changed: Any) -> bytes:
    listed = [{"name": name, "bytes": size, "sha256": "0" * 64} for name, size in files.items()]
    said = {"format": "cdds-manifest", "format_version": 1, "job_id": "job", "files": listed}
    return json.dumps(said | changed).encode()


@pytest.mark.parametrize(
    ("manifest", "rule"),
    [
        (manifest_of({"a.txt": 1}), "the SHA-256 of its data"),
        (manifest_of({"a.txt": 2}), "another size"),
        (manifest_of({}), "which the manifest omits"),
        (manifest_of({"a.txt": 1, "b.txt": 1}), "which the manifest lists"),
        (manifest_of({"a.txt": 1}, format_version=2), "install a later one"),
        (manifest_of({"a.txt": 1}, format="other"), "no manifest"),
        (manifest_of({"a.txt": 1, "a/": 0}), "which the manifest lists"),
        (manifest_of({"a.txt": 1})[:-1] + b', "x": %s}' % (b"1" * 5000), "no manifest"),
        (manifest_of({"a.txt": 1})[:-1] + b', "x": "\xff"}', "no manifest"),
        (manifest_of({"a.txt": 1}) + b" " * 16 * 1024 * 1024, "is larger than"),
        (b"[" * 100_000, "no manifest"),
        (b"\xff", "no manifest"),
        (b"", "no manifest"),
    ],
)
def test_a_manifest_that_does_not_fit_the_archive(
    manifest: bytes, rule: str, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", b"a")
        archive.writestr("manifest.json", manifest)

    with pytest.raises(ArchiveError, match=rule), opened(tmp_path / "a.zip") as export:
        export.extract(tmp_path / "extracted")
    assert not (tmp_path / "extracted").exists()


@pytest.mark.parametrize("line", [b"[]", b"{", b'{"a":"\xff"}', b"[" * 100_000, b"x"])
def test_what_is_no_record_is_told_by_its_line(line: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.json", b'{"a":1}\n\n' + line + b"\n")

    with (
        opened(tmp_path / "a.zip") as export,
        pytest.raises(ArchiveError, match=r"a\.json, line 3"),
    ):
        list(export.records("a.json"))


def pieces_then(error: BaseException) -> Iterator[bytes]:
    yield b"data"
    raise error


@pytest.mark.parametrize("error", [ArchiveError("x"), KeyboardInterrupt(), MemoryError()])
def test_extracting_that_fails_leaves_nothing(error: BaseException, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    with pytest.raises(type(error)), Extraction(target, ["a", "b/c"]) as extraction:
        extraction.write("a", [b"data"])
        extraction.write("b/c", pieces_then(error))
    assert list(tmp_path.iterdir()) == []


@attrs.define
class SetAtLook:
    """A cancel token that is set at one of the looks at it."""

    number: int
    looks: int = 0

    def is_set(self) -> bool:
        self.looks += 1
        return self.looks > self.number


@pytest.mark.parametrize("write", [Export.extract, Export.to_zip])
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-256-gcm"])
def test_cancelled_at_any_look_it_leaves_nothing(
    cipher: str, write: Callable[..., object], tmp_path: Path, certificate: Path, key: Path
) -> None:
    (file,) = exported(
        tmp_path / "in", certificate, RECORDS, form={"format": "der", "cipher": cipher}
    )
    looks = itertools.count()
    with opened(file, key=key) as export:
        for number in looks:
            try:
                write(export, tmp_path / "new" / "out", cancel=SetAtLook(number))
            except Cancelled:
                assert [path.name for path in tmp_path.iterdir()] == ["in"]
            else:
                break
    assert next(looks) > 5
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"mine")
    with pytest.raises(ExportError, match="is there already"), Extraction(tmp_path, ["a", "b/c"]):
        pytest.fail("it has begun")

    (tmp_path / "b" / "c").unlink()
    with (
        pytest.raises(ExportError, match="is there already"),
        Extraction(tmp_path, ["a", "b/c"]) as extraction,
    ):
        extraction.write("a", [b"data"])
        extraction.write("b/c", [b"data"])
        (tmp_path / "b" / "c").write_bytes(b"mine")
    assert (tmp_path / "b" / "c").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.fixture
def _no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file system have no hard links."""

    def refused(path: Path, target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(target), None, str(path))

    monkeypatch.setattr(Path, "hardlink_to", refused)


@pytest.mark.usefixtures("_no_links")
def test_files_get_their_names_where_there_are_no_links(tmp_path: Path) -> None:
    with Extraction(tmp_path / "out", ["a", "b/c"]) as extraction:
        extraction.write("a", [b"1"])
        extraction.write("b/c", [b"2"])
    found = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {tmp_path / "out" / "a": b"1", tmp_path / "out" / "b" / "c": b"2"}


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_appears_while_others_are_named_is_left_alone(
    has_links: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if not has_links:
        request.getfixturevalue("_no_links")
    link, theirs = Path.hardlink_to, tmp_path / "c"

    def appearing(path: Path, target: Path) -> None:
        if path == theirs:
            path.write_bytes(b"theirs")
        link(path, target)

    monkeypatch.setattr(Path, "hardlink_to", appearing)
    names = ["a", "b/b", "c", "d"]
    with (
        pytest.raises(ExportError, match="c is there already"),
        Extraction(tmp_path, names) as extraction,
    ):
        for name in names:
            extraction.write(name, [b"ours"])
    assert [path.name for path in tmp_path.rglob("*")] == ["c"]
    assert theirs.read_bytes() == b"theirs"


@pytest.mark.usefixtures("_no_links")
@pytest.mark.parametrize("call", range(2))
def test_an_interrupt_over_a_reserved_name_leaves_nothing(
    call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = Path.replace, itertools.count()

    def interrupted(path: Path, target: Path) -> None:
        if next(calls) == call:
            raise KeyboardInterrupt
        replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), Extraction(tmp_path / "out", ["a", "b"]) as extraction:
        extraction.write("a", [b"data"])
        extraction.write("b", [b"data"])
    assert list(tmp_path.iterdir()) == []


ENDLESS = """
import sys
from pathlib import Path
from cdds.recipient.extraction import Extraction
with Extraction(Path(sys.argv[1]), ["a"]) as extraction:
    def pieces():
        yield b"data"
        print(flush=True)
        sys.stdin.read()
    extraction.write("a", pieces())
"""


def test_what_a_kill_leaves_the_next_extraction_removes_and_nothing_else(tmp_path: Path) -> None:
    """Nothing of a process that lives, and no folder of another name."""
    others = {".cdds-mine", ".cdds-staged-a.0123456789abcdef", "0123456789abcdef"}
    for name in others:
        (tmp_path / name).mkdir()
        (tmp_path / name / "0").write_bytes(b"mine")
    (tmp_path / ".cdds-0123456789abcdef").symlink_to(".cdds-mine")

    def staged() -> set[str]:
        found = {path.name for path in tmp_path.iterdir()}
        return found - others - {".cdds-0123456789abcdef"}

    command = [sys.executable, "-c", ENDLESS, str(tmp_path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as dead, subprocess.Popen(command, **pipes) as living:
        assert dead.stdout is not None
        assert living.stdout is not None
        dead.stdout.readline()
        living.stdout.readline()
        assert len(staged()) == 2
        dead.kill()
        dead.wait()
        assert len(staged()) == 2

        with Extraction(tmp_path, ["b"]) as extraction:
            extraction.write("b", [b"data"])
            assert len(staged()) == 2  # its own, and that of the living
        assert len(staged()) == 2  # the file, and that of the living
        living.communicate(b"")
        assert living.returncode == 0
    assert staged() == {"a", "b"}
    assert all((tmp_path / name / "0").exists() for name in others)


def test_an_empty_staging_folder_may_be_one_that_is_not_locked_yet(tmp_path: Path) -> None:
    (tmp_path / ".cdds-0123456789abcdef").mkdir()
    with Extraction(tmp_path, ["a"]) as extraction:
        extraction.write("a", [b"data"])
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("held", [{"report.txt"}, {"0", "report.txt"}, {"0/below"}])
def test_a_folder_that_no_extraction_has_left_stays_whatever_its_name(
    held: set[str], tmp_path: Path
) -> None:
    folder = tmp_path / ".cdds-0123456789abcdef"
    for name in held:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"mine")
    with Extraction(tmp_path, ["a"]) as extraction:
        extraction.write("a", [b"data"])
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == held


def test_a_staging_folder_of_another_user_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".cdds-0123456789abcdef").mkdir()
    (tmp_path / ".cdds-0123456789abcdef" / "0").write_bytes(b"of another")
    somebody_else = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody_else)
    with Extraction(tmp_path, ["a"]) as extraction:
        extraction.write("a", [b"data"])
    assert (tmp_path / ".cdds-0123456789abcdef" / "0").read_bytes() == b"of another"


def test_what_has_taken_the_place_of_the_staging_folder_stays(tmp_path: Path) -> None:
    with suppress(KeyError), Extraction(tmp_path, ["a"]) as extraction:
        extraction.write("a", [b"data"])
        (staging,) = tmp_path.iterdir()
        staging.rename(tmp_path / "moved")
        staging.mkdir()
        (staging / "0").write_bytes(b"of another")
        raise KeyError
    assert (staging / "0").read_bytes() == b"of another"
    assert list((tmp_path / "moved").iterdir()) == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_folder_that_somebody_else_makes_meanwhile_is_taken_and_stays(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, make = tmp_path / "target", Path.mkdir

    def made_before(folder: Path, *args: Any, **options: Any) -> None:
        if folder == target:
            make(folder)
        make(folder, *args, **options)

    monkeypatch.setattr(Path, "mkdir", made_before)
    with suppress(KeyError), Extraction(target, ["a"]) as extraction:
        extraction.write("a", [b"data"])
        if fails:
            raise KeyError
    assert [path.name for path in target.iterdir()] == ([] if fails else ["a"])


def test_no_link_is_followed_out_of_the_folder(tmp_path: Path) -> None:
    outside, target = tmp_path / "outside", tmp_path / "target"
    outside.mkdir()
    target.mkdir()
    (target / "schema").symlink_to(outside)
    with (
        pytest.raises(ExportError, match="symbolic link"),
        Extraction(target, ["schema/a"]) as extraction,
    ):
        extraction.write("schema/a", [b"data"])
    assert list(outside.iterdir()) == []
    assert [path.name for path in target.iterdir()] == ["schema"]


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="in a folder of that name"):
        Extraction(tmp_path, ["a", "a/b"])


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(ExportError, match="nothing can be extracted"),
        Extraction(tmp_path / "file" / "below", ["a"]),
    ):
        pytest.fail("it has begun")


def test_tables(tmp_path: Path, certificate: Path, key: Path) -> None:
    import pyarrow.parquet

    files = exported(tmp_path, certificate, RECORDS)
    with opened(files[0], key=key) as export:
        table = export.to_arrow(NAME).read_all()
        export.to_parquet(NAME, tmp_path / "a.parquet")
        frame = export.to_pandas(NAME)

    assert table["IXNID"].to_pylist() == [record["IXNID"] for record in RECORDS["interaction"]]
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet")["SUBJECT"] == table["SUBJECT"]
    assert len(frame) == 800


def test_a_table_of_damaged_data_leaves_no_file(
    tmp_path: Path, certificate: Path, key: Path
) -> None:
    files = exported(tmp_path, certificate, RECORDS)
    bent(files, files[0].stat().st_size // 154 * 77 + 5)
    with opened(files[0], key=key) as export, pytest.raises((DecryptionError, ExportError)):
        export.to_parquet(NAME, tmp_path / "a.parquet")
    with suppress(FileNotFoundError):
        (tmp_path / "a.parquet").stat()
        pytest.fail("there is a file")


@pytest.mark.parametrize("made", sorted((Path(__file__).parents[1] / "exports").glob("*/*/")))
def test_exports_of_every_format_version_open(made: Path) -> None:
    records = json.loads((made.parent / "records.json").read_text())
    (digests,) = made.glob("*.sha256")

    with opened(digests, key=made.parent / "test-only.key.pem") as export:
        assert export.manifest is not None
        assert f"format-{export.manifest['format_version']}" == made.parent.name
        assert list(export.records("interaction")) == records["interaction"]
        assert [record["ID"] for record in export.records("document")] == ["d1"]


def test_an_export_of_the_present_format_version_is_kept() -> None:
    kept = Path(__file__).parents[1] / "exports" / f"format-{FORMAT_VERSION}"
    assert len(list(kept.glob("*/*.sha256"))) > 1


def with_padding_changed(message: bytes) -> bytes:
    """Make of the last byte of the content, by the block before it, one that no padding ends in."""
    head, body = message.split(b"\n\n", 1)
    octets = bytearray(base64.b64decode(body))
    octets[-(END_OF_CONTENTS + 17)] ^= 0x80
    return head + b"\n\n" + base64.encodebytes(octets)


@pytest.mark.parametrize("is_split", [False, True])
def test_bad_padding_is_told_from_good_by_nothing_else_that_is_wrong(
    is_split: bool, tmp_path: Path, certificate: Path, key: Path
) -> None:
    files = exported(tmp_path, certificate, RECORDS, split_size=300_000 if is_split else None)
    next(tmp_path.glob("*.sha256")).unlink()
    good = files[0].read_bytes()
    told = set()
    for message in (good, with_padding_changed(good)):
        files[0].write_bytes(message)
        if is_split:  # another one is malformed where it is opened
            files[1].write_bytes(files[1].read_bytes()[:50_000])
        else:  # it is malformed where only the archive's end is looked for
            files[0].write_bytes(message[:-60_000] + b"!" + message[-59_999:])
        error = outcome(files, key)
        told.add((type(error), str(error)))
    assert len(told) == 1


@pytest.mark.parametrize("blank", [b"", b"\n" * 5_000_000])
def test_of_a_forged_record_nothing_is_told_before_all_are_proven(
    blank: bytes, tmp_path: Path, certificate: Path, key: Path
) -> None:
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "a.zip", "w") as archive:
        archive.writestr("a.json", (b'{"a":"%s"}\n' % (b"x" * 90)) * 20_000 + blank)
    sealed = b"".join(
        Envelope(certificate, format="der").encrypt([(tmp_path / "in" / "a.zip").read_bytes()])
    )
    got: list[Any] = []
    for change in (0, 1):
        forged = bytearray(sealed)
        forged[300_000] ^= change
        (tmp_path / "a.zip").write_bytes(forged)
        del got[:]
        with opened(tmp_path / "a.zip", key=key) as export:
            if change:
                with pytest.raises(DecryptionError, match="cannot be told") as caught:
                    got.extend(export.records("a.json", proof="end"))
                assert caught.value.__suppress_context__  # the fault itself is not shown
                assert "line" not in repr(caught.value.__context__)
            else:
                got.extend(export.records("a.json", proof="end"))
                assert len(got) == 20_000


SCHEMA = b'{"properties": {"a": {"type": "string"}}}'


def archive_of(folder: Path, files: Mapping[str, bytes], said: Mapping[str, Any]) -> Path:
    """Make an export of which the manifest says something more of some files."""
    listed: list[dict[str, Any]] = [
        {
            "name": name,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            **said.get(name, {}),
        }
        for name, data in files.items()
    ]
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr("manifest.json", manifest_of({}, files=listed))
    return folder / "a.zip"


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"other": {"data_file": "x"}}, "two data files x"),
        ({"other-job.json": {"data_file": "y"}, "other": {"data_file": "z"}}, "two data files oth"),
        ({"X-job.json": {"data_file": "x", "schema": "none"}}, "lists no schema"),
        ({"X-job.json": {"data_file": "x", "schema": "X-job.json"}}, "lists no schema"),
    ],
)
def test_a_manifest_of_data_files_that_cannot_be_told_apart_or_read(
    said: Mapping[str, Any], rule: str, tmp_path: Path
) -> None:
    files = {"X-job.json": b"", "s": SCHEMA, "other": b"", "other-job.json": b""}
    said = {"X-job.json": {"data_file": "x", "schema": "s"}, **said}
    with pytest.raises(ArchiveError, match=rule):
        opened(archive_of(tmp_path, files, said))


def test_a_data_file_goes_before_a_file_that_has_its_name(tmp_path: Path) -> None:
    files = {"X": b'{"b": 2}\n', "X-job.json": b'{"a": 1}\n'}
    with opened(archive_of(tmp_path, files, {"X-job.json": {"data_file": "x"}})) as export:
        assert list(export.records("X")) == [{"a": 1}]


@pytest.mark.parametrize(
    ("schema", "rule"),
    [
        (b"", "no JSON Schema"),
        (b"[]", "no JSON Schema"),
        (b"\xff", "no JSON Schema"),
        (b"[" * 100_000, "no JSON Schema"),
        (SCHEMA + b" " * MAX_SCHEMA_SIZE, "is larger than"),
    ],
)
def test_a_schema_that_is_none_leaves_no_table(schema: bytes, rule: str, tmp_path: Path) -> None:
    files = {"X-job.json": b'{"a": "1"}\n', "s": schema}
    said = {"X-job.json": {"data_file": "x", "schema": "s"}}
    with (
        opened(archive_of(tmp_path, files, said)) as export,
        pytest.raises(ArchiveError, match=rule),
    ):
        export.to_parquet("X", tmp_path / "a.parquet")
    assert not (tmp_path / "a.parquet").exists()


def test_folders_in_the_archive_need_no_mention(tmp_path: Path) -> None:
    file = archive_of(tmp_path, {"a/b": b"b"}, {})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("a/", b"")
    with opened(file) as export:
        export.extract(tmp_path / "extracted")
    assert (tmp_path / "extracted" / "a" / "b").read_bytes() == b"b"


def test_no_link_is_followed_to_a_folder_that_is_there(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "outside" / "schema").mkdir(parents=True)
    target.mkdir()
    (target / "link").symlink_to(tmp_path / "outside")
    with (
        pytest.raises(ExportError, match="symbolic link"),
        Extraction(target, ["link/schema/a"]) as extraction,
    ):
        extraction.write("link/schema/a", [b"data"])
    assert list((tmp_path / "outside" / "schema").iterdir()) == []


def test_a_path_of_very_many_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "a/" * 1_500 + "b"
    with Extraction(Path("out"), [name]) as extraction:
        extraction.write(name, [b"data"])
    assert Path("out", name).read_bytes() == b"data"
    Path("out", name).unlink()
    os.removedirs(Path("out", name).parent)  # which is too deep for others


def test_names_of_many_steps_take_no_more_memory_than_the_names() -> None:
    names = [f"{number}/" + "a/" * 1_500 + "b" for number in range(200)]
    tracemalloc.start()
    try:
        Extraction(Path("out"), names)
        assert tracemalloc.get_traced_memory()[1] < 10 * sum(map(len, names))
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("names", [["a", "a b", "a-b", "a/b"], ["c/a/b", "c/a", "c/a.b"]])
def test_a_file_and_a_folder_of_one_name_are_found_among_names_that_are_alike(
    names: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ArchiveError, match="in a folder of that name"):
        Extraction(tmp_path, names)
    Extraction(tmp_path, names[:1] + names[2:3])


@pytest.mark.parametrize("name", ["mkdir", "hardlink_to", "unlink", "rmdir"])
@pytest.mark.parametrize("call", range(4))
def test_an_interrupt_right_after_a_step_of_extracting_leaves_nothing(
    name: str, call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner: Any = os if name == "unlink" else Path
    step, calls = getattr(owner, name), itertools.count()

    def interrupted(*args: Any, **options: Any) -> None:
        step(*args, **options)
        if next(calls) == call:
            raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, interrupted)
    with suppress(KeyboardInterrupt), Extraction(tmp_path / "out", ["a", "b/c"]) as extraction:
        extraction.write("a", [b"data"])
        extraction.write("b/c", [b"data"])
    monkeypatch.undo()
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left == (set() if next(calls) > call else {"out", "out/a", "out/b", "out/b/c"})
