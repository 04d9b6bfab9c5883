"""The command line as its users meet it: a process with words, output and an exit code."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

import cdds
from cdds import cli, sample
from cdds.__main__ import run as run_words
from cdds.cli.stopping import stoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography import x509

Words: TypeAlias = "list[str | Path]"
Record: TypeAlias = dict[str, Any]

CDDS = [sys.executable, "-m", "cdds"]
PATIENCE = 60
"""Seconds after which a process is taken to hang; nothing is asserted about time."""

INTERACTIONS = 120


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a sample; no test writes to it."""
    home = tmp_path_factory.mktemp("given")
    for name, records in {
        "interactions.jsonl": sample.interactions(INTERACTIONS),
        "documents.jsonl": sample.documents(INTERACTIONS),
        "contacts.jsonl": sample.contacts(5),
        "attributes.jsonl": sample.contact_attributes(5),
    }.items():
        with (home / name).open("wb") as file:
            sample.write_lines(records, file)
    return home


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Return a folder that is not there yet."""
    return tmp_path / "exports" / "new"


@pytest.fixture
def words(given: Path, target: Path, rsa_key_and_certificate: tuple[Path, Path]) -> Words:
    """Return the words of an export that succeeds."""
    return export_words(given / "interactions.jsonl", target, rsa_key_and_certificate[1])


def export_words(records: Path, target: Path, certificate: Path) -> Words:
    ends: Words = ["--records", records, "--recipient", certificate, "--to", target]
    return ["export", "--dataset", "interaction", *ends]


def replaced(words: Words, option: str, value: str | Path) -> Words:
    place = words.index(option) + 1
    return [*words[:place], value, *words[place + 1 :]]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*CDDS, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def run_json(*words: str | Path) -> dict[str, Any]:
    done = run(*words, "--json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def write_records(path: Path, *records: Record) -> Path:
    with path.open("wb") as file:
        sample.write_lines(records, file)
    return path


def assert_refused(done: subprocess.CompletedProcess[str]) -> str:
    """Assert that the work was refused in one line, and return what it says."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("cdds: error: ")
    assert done.stderr.endswith("\n")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


# --- standard output ------------------------------------------------------------------------------


def test_prints_the_names_of_the_artifacts_and_nothing_else(words: Words, target: Path) -> None:
    done = run(*words)
    (name,) = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in target.iterdir()} == {
        name,
        name.replace(".zip.smime", ".sha256"),
    }


def test_prints_the_names_of_a_split_set_in_order(words: Words, target: Path) -> None:
    names = run(*words, "--split-size", "64 KiB").stdout.splitlines()
    assert len(names) > 2
    assert [name.partition(".")[2] for name in names] == [
        *(f"z{number:02}.smime" for number in range(1, len(names))),
        "zip.smime",
    ]
    assert {path.name for path in target.iterdir()} > set(names)


def test_json_is_one_object_that_tells_the_whole_result(words: Words, target: Path) -> None:
    result = run_json(*words, "--split-size", "100kB")
    assert list(result) == [
        "run_id",
        "artifacts",
        "digests",
        "records",
        "rejects",
        "unknown_fields",
        "warnings",
    ]
    assert result["digests"] == f"export-{result['run_id']}.sha256"
    assert result["records"] == {"interaction": INTERACTIONS}
    assert (result["rejects"], result["unknown_fields"], result["warnings"]) == ([], {}, [])
    for artifact in result["artifacts"]:
        content = (target / artifact["name"]).read_bytes()
        assert artifact == {
            "name": artifact["name"],
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    lines = (target / result["digests"]).read_text().splitlines()
    assert lines == [f"{item['sha256']}  {item['name']}" for item in result["artifacts"]]


def test_a_reader_that_stops_early_does_no_harm(words: Words, target: Path) -> None:
    with subprocess.Popen(
        [*CDDS, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert len(list(target.iterdir())) == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_full_standard_output_is_told_in_one_line(words: Words) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [*CDDS, *map(str, words)], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"cdds: error: the export is complete, see export-")
    assert done.stderr.endswith(b"standard output cannot be written: No space left on device\n")


# --- standard error -------------------------------------------------------------------------------


def run_on_terminal(*words: str | Path) -> tuple[bytes, bytes]:
    """Run with a terminal as standard error, and return both outputs."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(
        [*CDDS, *map(str, words)], stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = read_terminal(ours)
        assert process.stdout is not None
        printed = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0, shown
    return printed, shown


def read_terminal(terminal: int) -> bytes:
    shown = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux: nobody has the other end any more
            return shown
        if not part:
            return shown
        shown += part


def test_a_terminal_sees_a_progress_bar_and_standard_output_does_not(words: Words) -> None:
    printed, shown = run_on_terminal(*words)
    assert b"export:" in shown
    assert printed.count(b"\n") == 1
    assert printed.endswith(b".zip.smime\n")


@pytest.mark.parametrize("silence", ["--no-progress", "-q", "--quiet"])
def test_a_terminal_sees_no_bar_when_it_is_not_wanted(words: Words, silence: str) -> None:
    assert run_on_terminal(*words, silence)[1] == b""


@pytest.fixture
def undated(words: Words, tmp_path: Path) -> Words:
    """Return the words of an export that warns of a record without a timestamp."""
    records = write_records(tmp_path / "undated.jsonl", {"IXNID": "1"})
    return [*replaced(words, "--records", records), "--from", "2025-01-01"]


def test_warnings_go_to_standard_error(undated: Words) -> None:
    done = run(*undated)
    assert done.returncode == 0
    assert done.stderr.startswith("cdds: warning: 1 records have no timestamp")
    assert done.stderr.count("\n") == 1
    assert done.stdout.endswith(".zip.smime\n")


def test_quiet_keeps_warnings_to_the_json(undated: Words) -> None:
    done = run(*undated, "-q", "--json")
    assert done.stderr == ""
    assert len(json.loads(done.stdout)["warnings"]) == 1


# --- what is exported -----------------------------------------------------------------------------


def test_attachments_are_the_documents_of_interactions(words: Words, given: Path) -> None:
    result = run_json(*words, "--attachments", given / "documents.jsonl")
    assert result["records"]["interaction"] == INTERACTIONS
    assert result["records"]["document"] > 0


def test_attachments_are_the_attributes_of_contacts(words: Words, given: Path) -> None:
    words = replaced(words, "--dataset", "contact")
    words = replaced(words, "--records", given / "contacts.jsonl")
    records = run_json(*words, "--attachments", given / "attributes.jsonl")["records"]
    assert records["contact"] == 5
    assert records["contactattribute"] > 5


def array_of(lines: Path, array: Path) -> Path:
    records = [json.loads(line) for line in lines.read_bytes().splitlines()]
    opener = gzip.open if array.suffix == ".gz" else open
    with opener(array, "wt", encoding="utf-8") as file:
        json.dump(records, file, indent=1)
    return array


@pytest.mark.parametrize("name", ["records.json", "records.json.gz"])
def test_a_json_file_may_hold_an_array(
    words: Words, given: Path, tmp_path: Path, name: str
) -> None:
    array = array_of(given / "interactions.jsonl", tmp_path / name)
    result = run_json(*replaced(words, "--records", array))
    assert result["records"] == {"interaction": INTERACTIONS}


def test_a_json_file_may_hold_lines(words: Words, given: Path, tmp_path: Path) -> None:
    lines = tmp_path / "Interaction-1.json"
    lines.write_bytes((given / "interactions.jsonl").read_bytes())
    result = run_json(*replaced(words, "--records", lines))
    assert result["records"] == {"interaction": INTERACTIONS}


def test_lines_and_an_array_do_not_go_together(words: Words, given: Path, tmp_path: Path) -> None:
    array = array_of(given / "documents.jsonl", tmp_path / "documents.json")
    assert "of one kind" in assert_refused(run(*words, "--attachments", array))


def test_a_fault_in_an_array_is_told_with_file_and_number(words: Words, tmp_path: Path) -> None:
    array = tmp_path / "records.json"
    array.write_text('[{"IXNID": "1"}, {"STATUS": 3}]')
    message = assert_refused(run(*replaced(words, "--records", array)))
    assert f"{array}:2: " in message


@pytest.mark.parametrize(
    "choice",
    [
        ["--media-type", "chat", "Email"],
        ["--media-type", "chat", "--media-type", "Email"],
    ],
)
def test_media_types_are_listed_or_repeated(
    words: Words, tmp_path: Path, choice: list[str]
) -> None:
    records = [
        {"IXNID": name, "MEDIATYPEID": name} for name in ("chat", "email", "voice", "callback")
    ]
    path = write_records(tmp_path / "media.jsonl", *records)
    result = run_json(*replaced(words, "--records", path), *choice)
    assert result["records"] == {"interaction": 2}


@pytest.mark.parametrize(
    ("span", "selected"),
    [
        (["--from", "2025-03-02"], 2),
        (["--from", "20250302"], 2),
        (["--until", "2025-03-02"], 1),
        (["--from", "2025-03-02", "--until", "2025-03-02T12:00"], 1),
        (["--from", "2025-03-02T12:00:00Z"], 1),
        (["--from", "2025-03-02 14:00:00.001+02:00"], 0),
        (["--until", "2025-03-02T02:00+02:00"], 1),
        (["--from", "2025-03-02", "--until", "2025-03-02"], 0),
    ],
)
def test_a_time_frame_is_half_open_and_in_utc(
    words: Words, tmp_path: Path, span: list[str], selected: int
) -> None:
    moments = ("2025-03-01T23:59:59.999Z", "2025-03-02T00:00:00Z", "2025-03-02T12:00:00Z")
    records = [{"IXNID": moment, "STARTDATE": moment} for moment in moments]
    path = write_records(tmp_path / "dated.jsonl", *records)
    result = run_json(*replaced(words, "--records", path), *span)
    assert sum(result["records"].values()) == selected


def test_nothing_selected_is_no_error(words: Words, target: Path) -> None:
    result = run_json(*words, "--from", "2030-01-01")
    assert result["records"] == {}
    assert (target / result["digests"]).exists()


def test_rejects_are_told_without_content(words: Words, tmp_path: Path) -> None:
    path = write_records(tmp_path / "some.jsonl", {"IXNID": "1"}, {"STATUS": 3, "SUBJECT": "mine"})
    words = replaced(words, "--records", path)
    result = run_json(*words, "--on-invalid", "reject")
    assert result["records"] == {"interaction": 1}
    (reject,) = result["rejects"]
    assert set(reject) == {"data_file", "origin", "position", "rule", "field", "key"}
    assert (reject["data_file"], reject["origin"], reject["position"]) == (
        "interaction",
        str(path),
        2,
    )
    assert "mine" not in json.dumps(reject)


def test_records_can_be_passed_on_unread_and_made_small(words: Words, tmp_path: Path) -> None:
    path = write_records(tmp_path / "wrong.jsonl", {"STATUS": "wrong"})
    words = replaced(words, "--records", path)
    result = run_json(*words, "--no-validate", "--level", "small")
    assert result["records"] == {"interaction": 1}


# --- wrong usage: 2 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        ["--unknown"],
        ["stray"],
        ["--level", "huge"],
        ["--on-invalid", "ignore"],
        ["--dataset", "letter"],
        ["--split-size", "ten"],
        ["--split-size", "-5"],
        ["--split-size", "1.5 B"],
        ["--from", "yesterday"],
        ["--from", "2025-13-01"],
        ["--from", "2025-01-01-10:00"],
        ["--from", "2025-01-01T"],
        ["--until", "0001-01-01T00:00+14:00"],
        ["--records", "another"],
        ["--to", "elsewhere"],
        ["--spl", "1MB"],
        ["--media-type"],
    ],
    ids=" ".join,
)
def test_wrong_usage_of_export(words: Words, target: Path, wrong: list[str]) -> None:
    done = run(*words, *wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: cdds ")
    assert "Traceback" not in done.stderr
    assert not target.exists()


@pytest.mark.parametrize("option", ["--dataset", "--records", "--recipient", "--to"])
def test_a_missing_option_is_wrong_usage(words: Words, option: str) -> None:
    place = words.index(option)
    done = run(*words[:place], *words[place + 2 :])
    assert done.returncode == 2
    assert option in done.stderr


@pytest.mark.parametrize("wrong", [[], ["import"], ["demo", "one", "two"], ["demo", "--json"]])
def test_wrong_usage_of_commands(wrong: list[str]) -> None:
    done = run(*wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cdds: error: " in done.stderr or "cdds demo: error: " in done.stderr


# --- refused: 1 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (["--split-size", "65535"], "64 KiB"),
        (["--split-size", "4 GiB"], "4 GiB - 1"),
        (["--from", "2025-02-01", "--until", "2025-01-01"], "before it starts"),
        (["--job-id", "a/b"], "job id"),
        (["--job-id", "x" * 65], "job id"),
        (["--media-type", " "], "media_types"),
        (["--attachments", "missing.jsonl"], "missing.jsonl: No such file"),
        (["--recipient", "missing.pem"], "missing.pem: No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused(
    words: Words, target: Path, refused: list[str], said: str
) -> None:
    assert said in assert_refused(run(*words, *refused))
    assert not target.parent.exists()


def test_media_types_of_contacts_are_refused(words: Words, given: Path, target: Path) -> None:
    words = replaced(words, "--dataset", "contact")
    words = replaced(words, "--records", given / "contacts.jsonl")
    assert "media types" in assert_refused(run(*words, "--media-type", "chat"))
    assert not target.parent.exists()


GOOD = b'{"IXNID":"1"}\n'


@pytest.mark.parametrize(
    "line",
    [
        b'{"IXNID":',
        b'{"IXNID":"2"',
        b'{"STATUS":3}',
        b'{"IXNID":"2","STATUS":"3"}',
        b'["IXNID"]',
        b"3",
        b'{"IXNID":"2","of no schema":"\xff"}',
        b'{"IXNID":"2","ALLATTRIBUTES":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=[
        "cut off",
        "not closed",
        "required",
        "type",
        "an array",
        "a number",
        "not UTF-8",
        "deep arrays",
        "deep objects",
    ],
)
def test_a_bad_line_is_told_with_file_and_line(
    words: Words, target: Path, tmp_path: Path, line: bytes
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(GOOD + line + b"\n" + GOOD)
    assert f"{path}:2: interaction" in assert_refused(run(*replaced(words, "--records", path)))
    assert not target.parent.exists()


def test_a_deep_array_is_refused(words: Words, target: Path, tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_bytes(b"[" * 100_000)
    assert str(path) in assert_refused(run(*replaced(words, "--records", path)))
    assert not target.parent.exists()


def test_a_line_of_200_mb_is_refused(words: Words, target: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_bytes(GOOD)
    os.truncate(path, 200_000_000)  # takes no space
    message = assert_refused(run(*replaced(words, "--records", path)))
    assert f"{path}:2: interaction: the line is longer than" in message
    assert not target.parent.exists()


def test_a_remedy_is_told_in_the_words_of_the_command_line(words: Words, tmp_path: Path) -> None:
    path = write_records(tmp_path / "bad.jsonl", {})
    message = assert_refused(run(*replaced(words, "--records", path)))
    assert "--on-invalid reject" in message
    assert "on_invalid" not in message


def test_missing_records_are_refused(words: Words, target: Path, tmp_path: Path) -> None:
    for name in ("missing.jsonl", "missing.json"):
        message = assert_refused(run(*replaced(words, "--records", tmp_path / name)))
        assert f"{tmp_path / name}: No such file" in message
    assert not target.parent.exists()


@pytest.mark.parametrize("fault", ["text", "empty", "a folder", "expired", "early", "not RSA"])
def test_an_unsuitable_certificate_is_refused(
    words: Words, target: Path, tmp_path: Path, issue: Callable[..., x509.Certificate], fault: str
) -> None:
    path = tmp_path / "their.pem"
    now = datetime.now(UTC)
    match fault:
        case "text":
            path.write_text("no certificate\nat all")
        case "empty":
            path.touch()
        case "a folder":
            path.mkdir()
        case "expired":
            write_certificate(path, issue(start=now - timedelta(9), end=now - timedelta(1)))
        case "early":
            write_certificate(path, issue(start=now + timedelta(1)))
        case "not RSA":
            write_certificate(path, issue(key=ec.generate_private_key(ec.SECP256R1())))
    assert str(path) in assert_refused(run(*replaced(words, "--recipient", path)))
    assert not target.parent.exists()


def write_certificate(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(Encoding.PEM))


def test_a_target_that_cannot_be_written_is_refused(words: Words, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "exports"
    assert str(target) in assert_refused(run(*replaced(words, "--to", target)))


def test_an_unknown_kind_of_target_is_refused(words: Words) -> None:
    assert_refused(run(*replaced(words, "--to", "nowhere://at/all")))


# --- stopping: 130, 143, 129 ----------------------------------------------------------------------

STOPS = pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else "",
)


@pytest.fixture
def _heeded() -> Iterator[None]:
    """Let children heed Ctrl-C, also when these tests run in the background of a shell."""
    before = {
        number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)
    } | {signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def _endless(tmp_path: Path) -> None:
    """Make 20 GB of records, which are small because they are always the same."""
    member = gzip.compress(b'{"IXNID":"1","SUBJECT":"%b"}\n' % (b"a" * 968) * 100_000)
    (tmp_path / "endless.jsonl.gz").write_bytes(member * 200)


@contextmanager
def started(words: Words) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process, and see to it that it ends."""
    with subprocess.Popen(
        [*CDDS, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_staging(target: Path) -> bool:
    return target.exists() and any(target.iterdir())


def assert_stopped(process: subprocess.Popen[bytes], code: int, target: Path) -> None:
    printed, told = process.communicate(timeout=PATIENCE)
    assert (process.returncode, printed, told) == (code, b"", b"cdds: stopped\n")
    assert not target.parent.exists()


@STOPS
@pytest.mark.usefixtures("_heeded", "_endless")
def test_a_busy_export_that_is_stopped_leaves_nothing(
    words: Words, target: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    words = replaced(words, "--records", tmp_path / "endless.jsonl.gz")
    with started(words) as process:
        wait_for(lambda: is_staging(target))
        process.send_signal(number)
        assert_stopped(process, code, target)


@pytest.fixture
def waiting(words: Words, target: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start an export that has staged something and now waits for its input."""
    path = tmp_path / "records.jsonl"
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # both ends, so that it never ends
    with started(replaced(words, "--records", path)) as process:
        wait_for(lambda: feed(pipe) and (is_staging(target) or process.poll() is not None))
        wait_for(lambda: is_drained(pipe) or process.poll() is not None)
        yield process
    os.close(pipe)


@STOPS
@pytest.mark.usefixtures("_heeded")
def test_a_waiting_export_that_is_stopped_leaves_nothing(
    waiting: subprocess.Popen[bytes], target: Path, number: signal.Signals, code: int
) -> None:
    waiting.send_signal(number)
    assert_stopped(waiting, code, target)


@pytest.mark.usefixtures("_heeded")
def test_more_signals_do_not_disturb_the_cleaning_up(
    waiting: subprocess.Popen[bytes], target: Path
) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
        waiting.send_signal(number)
    assert waiting.wait(PATIENCE) in {129, 130, 143}  # of several at once, the system gives order
    assert_stopped(waiting, waiting.returncode, target)


def feed(pipe: int) -> bool:
    """Write records into a pipe until it is full."""
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b'{"IXNID":"1"}\n' * 100)
    return True


def is_drained(pipe: int) -> bool:
    return fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)) == bytes(4)


# --- in the process of somebody else --------------------------------------------------------------


def test_main_puts_back_what_heeded_signals_before(
    words: Words, capsys: pytest.CaptureFixture[str]
) -> None:
    heeded = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.getsignal(number) for number in heeded]
    assert cli.main([str(word) for word in words]) == 0
    assert [signal.getsignal(number) for number in heeded] == before
    assert capsys.readouterr().out.endswith(".zip.smime\n")


@pytest.fixture
def struck() -> Iterator[threading.Event]:
    """Let the timer of the process tell when it strikes, and put back another's at the end."""
    event = threading.Event()
    handler = signal.signal(signal.SIGALRM, lambda *_: event.set())
    timer = signal.setitimer(signal.ITIMER_REAL, 0)
    yield event
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *timer)


@pytest.mark.parametrize("every", [0.0, 500.0])
def test_the_timer_of_somebody_else_goes_on(struck: threading.Event, every: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, 1000, every)
    with pytest.raises(KeyboardInterrupt), stoppable() as stop:
        stop.ask(signal.SIGTERM, None)
        stop.check()
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    assert 0 < left <= 1000
    assert interval == every
    assert not struck.is_set()


def test_a_timer_that_is_over_meanwhile_strikes_at_the_end(struck: threading.Event) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    with stoppable():
        assert not struck.wait(0.05)
    assert struck.wait(PATIENCE)


def test_no_timer_is_left_behind(struck: threading.Event) -> None:
    with pytest.raises(KeyboardInterrupt), stoppable() as stop:
        stop.ask(signal.SIGTERM, None)
        stop.check()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert not struck.is_set()


@pytest.fixture
def silent_pipe() -> Iterator[int]:
    """Give a pipe out of which nothing comes; its end does, after a long while."""
    reading, writing = os.pipe()
    closed = threading.Event()

    def close() -> None:
        closed.wait(PATIENCE)
        os.close(writing)

    thread = threading.Thread(target=close)
    thread.start()
    yield reading
    closed.set()
    thread.join()
    os.close(reading)


def test_a_signal_that_reaches_another_thread_stops_work_that_waits(silent_pipe: int) -> None:
    state = Path(f"/proc/self/task/{threading.main_thread().native_id}/stat")

    def is_main_asleep() -> bool:
        return state.read_text().rpartition(")")[2].split()[0] == "S"

    about_to_read = threading.Event()

    def strike() -> None:
        about_to_read.wait()
        wait_for(is_main_asleep)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt, match=r"\A143\Z"), stoppable():
        thread = threading.Thread(target=strike)
        thread.start()
        about_to_read.set()
        os.read(silent_pipe, 1)
    thread.join()


def test_an_interruption_that_gets_lost_is_repeated(silent_pipe: int) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"\A143\Z"), stoppable() as stop:
        stop.ask(signal.SIGTERM, None)
        with suppress(KeyboardInterrupt):
            os.read(silent_pipe, 1)
        os.read(silent_pipe, 1)


def test_another_thread_that_looks_is_no_sign_of_stopping(silent_pipe: int) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"\A143\Z"), stoppable() as stop:
        stop.ask(signal.SIGTERM, None)
        thread = threading.Thread(target=stop.is_set)
        thread.start()
        thread.join()
        os.read(silent_pipe, 1)


def test_cleaning_up_is_not_interrupted(silent_pipe: int) -> None:
    cleaned = []
    with pytest.raises(KeyboardInterrupt, match=r"\A143\Z"), stoppable() as stop:
        stop.ask(signal.SIGTERM, None)
        try:
            os.read(silent_pipe, 1)
        finally:
            with suppress(LookupError):
                signal.raise_signal(signal.SIGALRM)
                cleaned.append("something")
                raise LookupError
            try:
                [].pop()
            except LookupError:
                signal.raise_signal(signal.SIGALRM)
                cleaned.append("all")
    assert cleaned == ["something", "all"]


def test_main_works_in_any_thread(words: Words, target: Path) -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(cli.main([str(word) for word in words])))
    thread.start()
    thread.join(PATIENCE)
    assert codes == [0]
    assert len(list(target.iterdir())) == 2


# --- the rest -------------------------------------------------------------------------------------


def test_help_and_version_load_nothing_that_works() -> None:
    for words in (["--help"], ["export", "--help"], ["decrypt", "--help"], ["--version"]):
        command = [sys.executable, "-X", "importtime", "-m", "cdds", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "cdds.cli" in loaded
        assert not loaded & {"cryptography", "fsspec", "msgspec", "orjson", "tqdm", "cdds.exporter"}


def test_version_is_the_installed_one() -> None:
    assert run("--version").stdout == f"cdds {version('cdds-sdk')}\n"


def test_an_error_of_our_own_is_one_line_without_content(
    words: Words, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("something that a record holds")

    monkeypatch.setattr(cdds, "export", fail)
    assert cli.main([str(word) for word in words]) == 1
    message = capsys.readouterr().err
    assert message.startswith("cdds: error: ")
    assert message.count("\n") == 1
    assert "ZeroDivisionError at test_cli.py:" in message
    assert "record holds" not in message


# --- forms and origin -----------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "suffix"), [("smime", "smime"), ("der", "p7m"), ("pem", "pem")])
@pytest.mark.parametrize("cipher", ["aes-256-cbc", "aes-128-cbc", "aes-256-gcm"])
@pytest.mark.parametrize("transport", ["pkcs1v15", "oaep"])
def test_each_form_is_what_openssl_opens(
    words: Words,
    target: Path,
    tmp_path: Path,
    judge: Callable[[str], str],
    rsa_key_and_certificate: tuple[Path, Path],
    form: str,
    suffix: str,
    cipher: str,
    transport: str,
) -> None:
    """The words of the command line reach the envelope."""
    key, certificate = rsa_key_and_certificate
    done = run(*words, "--format", form, "--cipher", cipher, "--key-transport", transport)
    (name,) = done.stdout.splitlines()
    assert name.endswith(f".zip.{suffix}")
    opened = tmp_path / "opened.zip"
    subprocess.run(
        [judge("openssl"), "cms", "-decrypt", "-binary", "-inform", form.upper()]
        + ["-in", str(target / name), "-inkey", str(key), "-recip", str(certificate)]
        + ["-out", str(opened)],
        check=True,
        capture_output=True,
    )
    subprocess.run([judge("unzip"), "-tqq", str(opened)], check=True)


@pytest.mark.parametrize("password", [None, "secret\n"])
def test_a_signature_stands_beside_the_digests(
    words: Words,
    target: Path,
    tmp_path: Path,
    judge: Callable[[str], str],
    rsa_key: Any,
    issue: Callable[..., x509.Certificate],
    password: str | None,
) -> None:
    """OpenSSL accepts it, for the key of the file with or without a password."""
    certificate = issue("Signer")
    (tmp_path / "signer.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    protection = BestAvailableEncryption(password.strip().encode()) if password else NoEncryption()
    key = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    (tmp_path / "signer.key").write_bytes(key)
    signing: Words = ["--signer-key", tmp_path / "signer.key"]
    signing += ["--signer-cert", tmp_path / "signer.pem"]
    if password:
        (tmp_path / "password").write_text(password)
        signing += ["--signer-password-file", tmp_path / "password"]
    told = run_json(*words, *signing)
    assert told["signature"] == told["digests"] + ".p7s"
    assert len(list(target.iterdir())) == 3
    subprocess.run(
        [judge("openssl"), "cms", "-verify", "-binary", "-purpose", "any", "-partial_chain"]
        + ["-no-CApath", "-no-CAstore", "-inform", "DER"]
        + ["-in", str(target / told["signature"]), "-content", str(target / told["digests"])]
        + ["-CAfile", str(tmp_path / "signer.pem"), "-out", "/dev/null"],
        check=True,
        capture_output=True,
    )


def test_half_a_signer_is_wrong_usage(words: Words, target: Path) -> None:
    """A key without a certificate, a certificate without a key, a password for nothing."""
    for half in ("--signer-key", "--signer-cert", "--signer-password-file"):
        done = run(*words, half, "some-file")
        assert (done.returncode, done.stdout) == (2, "")
        assert "go together" in done.stderr
        assert not target.exists()


def test_a_signer_whose_password_is_empty_is_refused(
    words: Words, target: Path, tmp_path: Path
) -> None:
    """An empty line would be no password, and an error about the key."""
    (tmp_path / "password").write_text("\nsecond line")
    signing = ["--signer-key", "k", "--signer-cert", "c"]
    done = run(*words, *signing, "--signer-password-file", tmp_path / "password")
    assert (done.returncode, done.stdout) == (1, "")
    assert "should be a password, and is empty" in done.stderr
    assert not target.exists()


# --- odd surroundings -----------------------------------------------------------------------------


def test_standard_error_may_be_closed(words: Words, target: Path) -> None:
    """As some who start processes do: the export goes through, and nothing else is printed."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *CDDS, *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    (name,) = done.stdout.splitlines()
    assert (target / name).exists()


def test_a_file_name_may_be_no_text(words: Words, tmp_path: Path) -> None:
    """It is named as far as it can be, also in the manifest."""
    path = os.fsencode(tmp_path) + b"/\xff\x1b.jsonl"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b'{"IXNID":1}\n{"IXNID":"2"}\n')
    told = run_json(*replaced(words, "--records", os.fsdecode(path)), "--on-invalid", "reject")
    assert told["rejects"][0]["origin"].endswith(r"\xff\x1b.jsonl")


def test_an_interruption_outside_of_any_command_ends_with_130(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the library is loaded, or while it tells that it was stopped."""

    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert run_words() == 130
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
