"""`cdds decrypt` and `cdds cat` as a recipient meets them: files, output, exit codes."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

import cdds
from cdds import cli, sample

Words: TypeAlias = "list[str | Path]"
Run: TypeAlias = "Callable[..., Done]"

CDDS = [sys.executable, "-m", "cdds"]
DOCS = Path(__file__).parents[2] / "docs"
PATIENCE = 60
"""Seconds after which a process is taken to hang; nothing is asserted about time."""

CONTENT = bytes(range(256)) * 4096  # more than a pipe holds
CIPHERS = pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-256-gcm"])


@attrs.frozen
class Done:
    """What a command ended with."""

    code: int
    out: bytes
    err: str

    @property
    def refusal(self) -> str:
        """The one line that says why it was refused; standard output has nothing."""
        assert self.out == b""
        return self.failure

    @property
    def failure(self) -> str:
        """The one line that says why it failed."""
        assert self.code == 1
        assert self.err.startswith("cdds: error: ")
        assert self.err.count("\n") == 1
        return self.err

    @property
    def data(self) -> bytes:
        """What it printed, where all is well."""
        assert (self.code, self.err) == (0, "")
        return self.out


@pytest.fixture
def run(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Return what runs a command in an empty folder."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)

    def main(*words: str | Path, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capfdbinary.readouterr()
        return Done(code, printed.out, printed.err.decode())

    return main


@attrs.frozen
class Given:
    """An export, and the records that went into it."""

    files: tuple[Path, ...]
    records: bytes = attrs.field(repr=False)
    names: frozenset[str] = frozenset(
        {
            "Interaction-job.json",
            "Interaction-Attachment-job.json",
            "schema/interaction.json",
            "schema/document.json",
            "manifest.json",
        }
    )


def given_export(folder: Path, certificate: Path, **options: Any) -> Given:
    records = list(sample.interactions(1500))
    result = cdds.export(
        cdds.sources.Records(interaction=records, document=sample.documents(20)),
        dataset="Interaction",
        to=folder,
        recipients=certificate,
        job_id="job",
        **options,
    )
    lines = io.BytesIO()
    sample.write_lines(records, lines)
    return Given(tuple(folder / artifact.name for artifact in result.artifacts), lines.getvalue())


@pytest.fixture(scope="module")
def split(
    tmp_path_factory: pytest.TempPathFactory, rsa_key_and_certificate: tuple[Path, Path]
) -> Given:
    """Return an export in parts; no test writes to it."""
    folder = tmp_path_factory.mktemp("split")
    return given_export(folder, rsa_key_and_certificate[1], split_size="64 KiB")


@pytest.fixture(scope="module", params=["aes-256-cbc", "aes-256-gcm"])
def whole(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    rsa_key_and_certificate: tuple[Path, Path],
) -> Given:
    """Return an export in one file, with and without authentication."""
    folder = tmp_path_factory.mktemp("whole")
    return given_export(folder, rsa_key_and_certificate[1], cipher=request.param)


@pytest.fixture
def key(rsa_key_and_certificate: tuple[Path, Path]) -> Words:
    """Return the words of the right key."""
    return ["--key", rsa_key_and_certificate[0]]


@pytest.fixture
def wrong_key(holders: Any) -> Words:
    """Return the words of another key of the same size."""
    return ["--key", holders[1].key_file]


@pytest.fixture
def message(rsa_key_and_certificate: tuple[Path, Path], tmp_path: Path) -> Callable[..., Path]:
    """Return what seals `CONTENT` into a file."""

    def make(**form: Any) -> Path:
        path = tmp_path / "message"
        envelope = cdds.Envelope([rsa_key_and_certificate[1]], **form)
        path.write_bytes(b"".join(map(bytes, envelope.encrypt([CONTENT]))))
        return path

    return make


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def assert_nothing_here() -> None:
    assert os.listdir() == []  # noqa: PTH208


def damaged(path: Path, tmp_path: Path) -> Path:
    """Return a copy that differs in one character of base64, in the middle of the content."""
    data = bytearray(path.read_bytes())
    place = len(data) // 2
    while chr(data[place]).isspace():
        place += 1
    data[place] = ord("B") if data[place] == ord("A") else ord("A")
    copy = tmp_path / "damaged" / path.name
    copy.parent.mkdir()
    copy.write_bytes(data)
    return copy


# --- decrypt --------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [0, 1, -1])
def test_any_file_extracts_all_of_the_export(
    run: Run, split: Given, key: Words, named: int
) -> None:
    assert len(split.files) > 2
    printed = run("decrypt", split.files[named], *key, "--to", "new/folder").data.decode()
    extracted = files(Path("new/folder"))
    assert extracted.keys() == split.names
    assert set(printed.splitlines()) == {f"new/folder/{name}" for name in split.names}
    assert extracted["Interaction-job.json"] == split.records


def test_several_files_may_be_named(run: Run, split: Given, key: Words) -> None:
    run("decrypt", *split.files, *key, "--to", "out").data  # noqa: B018
    assert files(Path("out")).keys() == split.names


def test_the_current_folder_is_the_default(run: Run, whole: Given, key: Words) -> None:
    assert set(run("decrypt", *whole.files, *key).data.decode().splitlines()) == whole.names
    assert files(Path()).keys() == whole.names


def test_json_tells_names_and_paths(run: Run, whole: Given, key: Words) -> None:
    printed = run("decrypt", *whole.files, *key, "--to", "out", "--json").data
    assert printed.count(b"\n") == 1
    extracted = json.loads(printed)["extracted"]
    assert {one["name"]: one["path"] for one in extracted} == {
        name: f"out/{name}" for name in whole.names
    }


def test_nothing_is_overwritten(run: Run, whole: Given, key: Words) -> None:
    Path("manifest.json").write_bytes(b"mine")
    assert "manifest.json is there already" in run("decrypt", *whole.files, *key).refusal
    assert files(Path()) == {"manifest.json": b"mine"}


def test_a_missing_part_is_told_by_its_name(
    run: Run, split: Given, key: Words, tmp_path: Path
) -> None:
    digests = split.files[-1].with_name(split.files[-1].name.replace(".zip.smime", ".sha256"))
    for path in (split.files[0], split.files[-1], digests):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    done = run("decrypt", tmp_path / split.files[0].name, *key, "--to", "out")
    assert split.files[1].name in done.refusal
    assert_nothing_here()


def test_one_plain_zip_of_all_of_the_export(
    run: Run, split: Given, key: Words, judge: Callable[[str], str]
) -> None:
    stem = split.files[0].name.partition(".")[0]
    printed = run("decrypt", split.files[1], *key, "--zip", "--to", "new/folder").data.decode()
    assert printed == f"new/folder/{stem}.zip\n"
    assert [path.name for path in Path("new/folder").iterdir()] == [f"{stem}.zip"]
    subprocess.run([judge("7zz"), "x", "-bd", "-oout", printed.strip()], check=True)
    assert files(Path("out")).keys() == split.names
    assert files(Path("out"))["Interaction-job.json"] == split.records

    told = json.loads(run("decrypt", *split.files, *key, "--zip", "--json").data)
    assert told == {"extracted": [{"name": f"{stem}.zip", "path": f"{stem}.zip"}]}
    refusal = run("decrypt", *split.files, *key, "--zip").refusal
    assert "is there already" in refusal


def test_the_name_of_the_zip_file_leads_nowhere_else(
    run: Run, split: Given, key: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL may hold an escaped slash in the name of a file."""
    open_export = cdds.open_export

    def renamed(*words: Any, **options: Any) -> cdds.Export:
        export = open_export(*words, **options)
        export.files = attrs.evolve(export.files, stem="a/../../evil")
        return export

    monkeypatch.setattr(cdds, "open_export", renamed)
    assert run("decrypt", *split.files, *key, "--zip", "--to", "out").data == b"out/evil.zip\n"


# --- cat ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", [[], ["--proof", "first"], ["--proof", "end"]])
def test_cat_prints_the_data_as_they_stand(
    run: Run, split: Given, whole: Given, key: Words, proof: Words
) -> None:
    for given in (split, whole):
        words = ["cat", given.files[-1], *key, "--name", "Interaction", *proof]
        assert run(*words).data == given.records
    assert_nothing_here()


def test_cat_takes_the_name_of_any_file(run: Run, whole: Given, key: Words) -> None:
    schema = json.loads(run("cat", *whole.files, *key, "--name", "schema/interaction.json").data)
    assert "IXNID" in schema["properties"]


def test_an_unknown_name_is_refused_with_those_that_there_are(
    run: Run, whole: Given, key: Words
) -> None:
    assert "Interaction-Attachment" in run("cat", *whole.files, *key, "--name", "x").refusal


@pytest.mark.parametrize("proof", ["first", "end"])
def test_damaged_data_never_end_well(
    run: Run, whole: Given, key: Words, tmp_path: Path, proof: str
) -> None:
    """And not a byte of them is printed where they are to be proven first."""
    path = damaged(whole.files[0], tmp_path)
    done = run("cat", path, *key, "--name", "Interaction", "--proof", proof)
    assert done.failure
    assert len(done.out) < len(whole.records)
    assert proof == "end" or done.out == b""


# --- what does not open ---------------------------------------------------------------------------


def test_a_wrong_key_leaves_nothing(run: Run, split: Given, whole: Given, wrong_key: Words) -> None:
    for given in (split, whole):
        assert "cannot be opened" in run("decrypt", *given.files, *wrong_key).refusal
        cat = run("cat", *given.files, *wrong_key, "--name", "Interaction", "--proof", "end")
        assert "cannot be opened" in cat.refusal
    assert_nothing_here()


def test_damage_leaves_nothing(run: Run, whole: Given, key: Words, tmp_path: Path) -> None:
    done = run("decrypt", damaged(whole.files[0], tmp_path), *key, "--to", "out")
    assert done.refusal
    assert_nothing_here()


def test_one_of_several_keys_opens(run: Run, whole: Given, key: Words, wrong_key: Words) -> None:
    for keys in ([*wrong_key, *key], [*key, *wrong_key]):
        words = ["cat", *whole.files, *keys, "--name", "Interaction"]
        assert run(*words).data == whole.records


def test_a_certificate_of_another_key_is_refused(
    run: Run, whole: Given, key: Words, holders: Any
) -> None:
    right, other = holders[0].certificate_file, holders[1].certificate_file
    assert run("decrypt", *whole.files, *key, "--cert", other, "--to", "a").refusal
    assert_nothing_here()
    assert run("decrypt", *whole.files, *key, "--cert", right, "--to", "a").data


PASSWORD = b"correct horse"


@pytest.fixture
def encrypted_key(rsa_key: Any, tmp_path: Path) -> Path:
    path = tmp_path / "encrypted.pem"
    protection = BestAvailableEncryption(PASSWORD)
    path.write_bytes(rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
    return path


def secret(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_a_password_comes_from_the_first_line_of_a_file(
    run: Run, whole: Given, encrypted_key: Path, tmp_path: Path
) -> None:
    password = secret(tmp_path / "password", PASSWORD + b"\nand more\n")
    words = ["cat", *whole.files, "--key", encrypted_key, "--password-file", password]
    assert run(*words, "--name", "Interaction").data == whole.records


@pytest.mark.parametrize("content", [None, b"", b"\n", b"battery staple"])
@pytest.mark.parametrize("command", [["decrypt"], ["decrypt", "--raw", "out"]])
def test_a_password_that_is_missing_or_wrong_is_refused(
    run: Run,
    whole: Given,
    encrypted_key: Path,
    tmp_path: Path,
    command: Words,
    content: bytes | None,
) -> None:
    path = tmp_path / "password"
    if content is not None:
        secret(path, content)
    done = run(*command, *whole.files, "--key", encrypted_key, "--password-file", path)
    assert "password" in done.refusal
    assert "battery" not in done.err
    assert_nothing_here()


def test_without_a_key_a_sealed_export_is_refused_and_any_other_opens(
    run: Run, whole: Given, key: Words
) -> None:
    commands: list[Words] = [["cat", "--name", "Interaction"], ["decrypt", "--to", "out"]]
    for name, *words in commands:
        assert "needs a private key" in run(name, *whole.files, *words).refusal
    assert_nothing_here()

    run("decrypt", *whole.files, *key, "--zip", "--to", "plain").data  # noqa: B018
    (plain,) = Path("plain").iterdir()
    assert run("cat", plain, "--name", "Interaction").data == whole.records
    run("decrypt", plain, "--to", "out").data  # noqa: B018
    assert files(Path("out")).keys() == whole.names


@pytest.mark.parametrize("words", [["cat", "--name", "Interaction"], ["decrypt"]])
def test_authentication_that_is_demanded_comes_from_the_cipher_or_the_signer(
    run: Run, key: Words, rsa_key_and_certificate: tuple[Path, Path], tmp_path: Path, words: Words
) -> None:
    certificate = rsa_key_and_certificate[1]
    signer = cdds.Signer.load(rsa_key_and_certificate[0], certificate)
    in_cbc = given_export(tmp_path / "cbc", certificate)
    in_gcm = given_export(tmp_path / "gcm", certificate, cipher="aes-256-gcm")
    signed = given_export(tmp_path / "signed", certificate, signer=signer)
    demand: Words = [*words[1:], *key, "--require-authenticated"]

    refusal = run(words[0], *in_cbc.files, *demand).refusal
    assert "nothing authenticates" in refusal
    assert "nothing authenticates" in run(words[0], *signed.files, *demand).refusal
    assert "no signature" in run(words[0], *in_gcm.files, *demand, "--signer", certificate).refusal
    assert_nothing_here()
    for given, options in ((in_gcm, []), (signed, ["--signer", certificate])):
        assert run(words[0], *given.files, *demand, *options).code == 0
        for path in Path().iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    "words",
    [
        ["decrypt", "x", "--raw", "-"],
        ["decrypt", "x", "--cert", "c"],
        ["decrypt", "x", "--password-file", "p"],
        ["decrypt", "--key", "k"],
        ["decrypt", "-", "--key", "k"],
        ["decrypt", "x", "y", "--key", "k", "--raw", "-"],
        ["decrypt", "x", "--key", "k", "--raw", "-", "--to", "d"],
        ["decrypt", "x", "--key", "k", "--raw", "-", "--json"],
        ["decrypt", "x", "--key", "k", "--raw", "a", "--raw", "b"],
        ["decrypt", "x", "--key", "k", "--raw", "-", "--zip"],
        ["decrypt", "x", "--key", "k", "--raw", "-", "--signer", "c"],
        ["decrypt", "x", "--key", "k", "--raw", "-", "--require-authenticated"],
        ["cat", "x", "--key", "k"],
        ["cat", "x", "--name", "Interaction", "--cert", "c"],
        ["cat", "x", "--key", "k", "--name", "a", "--name", "b"],
        ["cat", "x", "--key", "k", "--name", "a", "--proof", "never"],
    ],
    ids=" ".join,
)
def test_wrong_usage(run: Run, words: list[str]) -> None:
    done = run(*words)
    assert (done.code, done.out) == (2, b"")
    assert_nothing_here()


# --- decrypt --raw --------------------------------------------------------------------------------


@CIPHERS
@pytest.mark.parametrize("form", ["SMIME", "DER", "PEM"])
def test_the_content_of_what_openssl_sealed_comes_as_it_is(
    run: Run,
    judge: Callable[[str], str],
    rsa_key_and_certificate: tuple[Path, Path],
    tmp_path: Path,
    key: Words,
    cipher: str,
    form: str,
) -> None:
    """Into a file and to standard output, from a file and from standard input."""
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(CONTENT)
    words = [judge("openssl"), "cms", "-encrypt", "-binary", f"-{cipher}", "-outform", form]
    ends = ["-in", str(plain), "-out", str(sealed), str(rsa_key_and_certificate[1])]
    subprocess.run([*words, *ends], check=True, capture_output=True)
    data = sealed.read_bytes()
    done = [
        run("decrypt", sealed, *key, "--raw", "new/out"),
        run("decrypt", sealed, *key, "--raw", "-"),
        run("decrypt", "-", *key, "--raw", "-", stdin=data),
        run("decrypt", "-", *key, "--raw", "out", stdin=data),
    ]
    assert [one.out for one in done] == [b"", CONTENT, CONTENT, b""]
    assert files(Path()) == {"new/out": CONTENT, "out": CONTENT}
    for one in done:
        assert one.code == 0
        if cipher.endswith("cbc"):
            assert one.err.startswith("cdds: warning: nothing authenticates")
            assert one.err.count("\n") == 1
        else:
            assert one.err == ""


def test_raw_takes_a_url_too(run: Run, message: Callable[..., Path], key: Words) -> None:
    assert run("decrypt", f"file://{message()}", *key, "--raw", "-").out == CONTENT


def test_raw_overwrites_nothing(run: Run, message: Callable[..., Path], key: Words) -> None:
    Path("out").write_bytes(b"mine")
    assert "is there already" in run("decrypt", message(), *key, "--raw", "out").refusal
    assert files(Path()) == {"out": b"mine"}


def test_what_cannot_be_decrypted_leaves_no_file(
    run: Run, message: Callable[..., Path], key: Words, wrong_key: Words, tmp_path: Path
) -> None:
    path = message(cipher="aes-256-gcm")  # of which it can be told for sure
    texts = {run("decrypt", path, *wrong_key, "--raw", "out").refusal}
    changed = damaged(path, tmp_path)
    texts.add(run("decrypt", changed, *key, "--raw", "out").refusal)
    assert len(texts) == 1
    assert_nothing_here()
    assert run("decrypt", changed, *key, "--raw", "-").failure in texts


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_what_is_cut_off_leaves_no_file(
    run: Run, message: Callable[..., Path], key: Words, kept: float
) -> None:
    data = message().read_bytes()
    assert run("decrypt", "-", *key, "--raw", "out", stdin=data[: int(len(data) * kept)]).refusal
    assert_nothing_here()


# --- pipes and signals ----------------------------------------------------------------------------


@contextmanager
def started(command: Words, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process, and see to it that it ends."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([*map(str, command)], **streams, **options) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_reader_that_stops_early_has_seen_enough(split: Given, key: Words) -> None:
    assert len(split.records) > 256 * 1024  # more than a pipe holds
    words: Words = [*CDDS, "cat", split.files[0], *key, "--name", "Interaction"]
    with started(words) as process:
        assert process.stdout.read(100) == split.records[:100]  # type: ignore[union-attr]
        process.stdout.close()  # type: ignore[union-attr]
        assert process.stderr.read() == b""  # type: ignore[union-attr]
        assert process.wait(PATIENCE) == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
@pytest.mark.parametrize("ends", [["cat", "--name", "Interaction"], ["decrypt", "--raw", "-"]])
def test_a_full_standard_output_is_told_in_one_line(
    split: Given, key: Words, ends: list[str]
) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [*CDDS, ends[0], split.files[0], *key, *ends[1:]],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    text = b"cdds: error: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, text)


STOPS = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)


@pytest.fixture
def _heeded() -> Iterator[None]:
    """Let children heed signals, also when these tests run in the background of a shell."""
    before = {
        number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)
    } | {signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def assert_stopped(process: subprocess.Popen[bytes], code: int) -> None:
    assert process.wait(PATIENCE) == code
    assert process.stderr.read() == b"cdds: stopped\n"  # type: ignore[union-attr]


@STOPS
@pytest.mark.usefixtures("_heeded")
def test_a_message_that_is_waited_for_leaves_nothing_when_stopped(
    message: Callable[..., Path], key: Words, tmp_path: Path, number: int, code: int
) -> None:
    target = tmp_path / "new" / "out"
    data = message().read_bytes()
    with started([*CDDS, "decrypt", "-", *key, "--raw", target]) as process:
        process.stdin.write(data[: len(data) // 2])  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        wait_for(target.parent.exists)
        process.send_signal(number)
        assert_stopped(process, code)
        assert not target.parent.exists()


SLOW_DISK = """
import os, sys, time
os.fsync = lambda _: time.sleep(3600)
from cdds.__main__ import run
sys.exit(run())
"""


@STOPS
@pytest.mark.parametrize("form", [[], ["--zip"]], ids=["files", "zip"])
@pytest.mark.usefixtures("_heeded")
def test_an_extraction_that_is_stopped_leaves_nothing(
    split: Given, key: Words, tmp_path: Path, form: Words, number: int, code: int
) -> None:
    """Here it is the disk that keeps it waiting."""
    target = tmp_path / "new" / "out"
    words: Words = ["decrypt", split.files[0], *key, "--to", target, *form]
    with started([sys.executable, "-c", SLOW_DISK, *words]) as process:
        wait_for(lambda: any(path.stat().st_size for path in list(target.glob(".*/*"))))
        process.send_signal(number)
        assert_stopped(process, code)
        assert not target.parent.exists()


def is_full(pipe: Any) -> bool:
    """Tell whether little or nothing can be written before something is read."""
    count = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    return int.from_bytes(count, sys.byteorder) > fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) - 4096


def test_a_reader_that_is_slow_misses_nothing(split: Given, key: Words) -> None:
    """Whatever signals interrupt what is written, such as those of the command's own timer."""
    words: Words = [*CDDS, "cat", split.files[0], *key, "--name", "Interaction"]
    with started(words) as process:
        wait_for(lambda: is_full(process.stdout))
        for _ in range(3):
            process.send_signal(signal.SIGALRM)
        assert process.communicate(timeout=PATIENCE) == (split.records, b"")


@STOPS
@pytest.mark.usefixtures("_heeded")
def test_a_reader_that_waits_does_not_keep_cat_from_ending(
    split: Given, key: Words, number: int, code: int
) -> None:
    """As a pager does."""
    words: Words = [*CDDS, "cat", split.files[0], *key, "--name", "Interaction"]
    with started(words) as process:
        wait_for(lambda: is_full(process.stdout))
        process.send_signal(number)
        assert_stopped(process, code)


# --- the page that explains them ------------------------------------------------------------------


@attrs.frozen
class Kms:
    """What stands for the client of a KMS, with a key that it does not give away."""

    key: Any = attrs.field(repr=False)

    class exceptions:  # noqa: N801  # as such clients call it
        class InvalidCiphertextException(Exception):
            """What such clients raise."""

    def decrypt(self, **asked: Any) -> dict[str, bytes]:
        assert asked["EncryptionAlgorithm"] == "RSAES_OAEP_SHA_256"
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        return {"Plaintext": self.key.decrypt(asked["CiphertextBlob"], oaep)}


@pytest.fixture
def page(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rsa_key: Any,
    holders: Any,
    rsa_key_and_certificate: tuple[Path, Path],
) -> str:
    """Return the page with the name of a real export, in a folder that has what it speaks of."""
    monkeypatch.chdir(tmp_path)
    key, certificate = rsa_key_and_certificate
    Path("key.pem").write_bytes(key.read_bytes())
    Path("old-key.pem").write_bytes(holders[1].key_file.read_bytes())
    Path("recipient.pem").write_bytes(certificate.read_bytes())
    Path("signer.pem").write_bytes(certificate.read_bytes())
    signer = cdds.Signer.load(key, certificate)
    form: dict[str, Any] = {"split_size": "64 KiB", "key_transport": "oaep", "signer": signer}
    given = given_export(Path("exports"), certificate, **form)
    stem = given.files[0].name.partition(".")[0]
    return (DOCS / "how-to" / "open-an-export.md").read_text().replace("export-…", stem)


def test_the_commands_of_the_page_work(page: str, judge: Callable[[str], str]) -> None:
    script = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [judge("sh"), "-eu", "-c", script],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    warnings = done.stderr.splitlines()
    assert [line.partition(", ")[0] for line in warnings] == [
        "cdds: warning: nothing authenticates this message"
    ] * 2
    extracted = files(Path("opened"))
    assert Path("interactions.jsonl").read_bytes() == extracted["Interaction-job.json"]
    assert Path("signed.jsonl").read_bytes() == extracted["Interaction-job.json"]
    assert Path("content").read_bytes() == Path("content-too").read_bytes()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_python_of_the_page_works(
    page: str, rsa_key: Any, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    fs = pytest.importorskip("s3fs").S3FileSystem
    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    fs().mkdir("exports")
    fs().put("exports/", "exports/", recursive=True)
    names: dict[str, Any] = {"kms": Kms(rsa_key)}
    blocks = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    exec(compile(blocks, "open-an-export.md", "exec"), names)
    folders = ["folder", "with-several-keys", "with-a-kms", "from-s3"]
    assert all(files(Path(folder)) == files(Path("folder")) for folder in folders)
    assert len(names["frame"]) == 1500
    assert Path("interactions.parquet").exists()
