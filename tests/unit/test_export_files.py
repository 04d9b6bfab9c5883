"""The files of an export are found from any of them, in the archive's order, or it is told why.

Judges are the names that this library, Info-ZIP's ``zip`` and 7-Zip give, and what the files hold.
"""

from __future__ import annotations

import http.server
import os
import random
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st
from parts import contents
from stores import S3_KEYS, S3Store, numbers, s3_store

from cdds.archive import Archive
from cdds.errors import CddsError, ExportError, ExportUnavailable, JobError
from cdds.location import shown
from cdds.recipient.files import MAX_PROBED, ExportFiles, find_files

Judge: TypeAlias = Callable[[str], str]
TemporaryFolder: TypeAlias = Callable[[], Any]

SEALS = ["", ".smime", ".p7m", ".pem", ".P7M"]
STEM = "export-0b0e7b5e"


def split_names(count: int, seal: str = ".smime", stem: str = STEM) -> list[str]:
    """Return the names that an export of so many segments has."""
    return [*(f"{stem}.z{number:02}{seal}" for number in range(1, count)), f"{stem}.zip{seal}"]


def volume_names(count: int, seal: str = "", stem: str = "a") -> list[str]:
    """Return the names that 7-Zip gives."""
    return [f"{stem}.zip.{number:03}{seal}" for number in range(1, count + 1)]


def content_of(name: str) -> bytes:
    return f"what {name} holds".encode()


def digests_of(names: Sequence[str]) -> bytes:
    return b"".join(f"{sha256(content_of(name)).hexdigest()}  {name}\n".encode() for name in names)


def written(home: Path, names: Sequence[str]) -> None:
    home.mkdir(exist_ok=True)
    for name in names:
        (home / name).write_bytes(content_of(name))


def found(files: ExportFiles) -> list[str]:
    """Return the names of the parts, each of which must hold what was written under it."""
    with files:
        for part in files.parts:
            assert part.read(0, part.size) == content_of(part.name)
            assert b"".join(part.pieces(7)) == content_of(part.name)
        return [part.name for part in files.parts]


@attrs.frozen
class Place:
    """Somewhere to put files, and how to name them."""

    put: Callable[[str, bytes], object]
    url: str
    options: dict[str, Any] = attrs.field(factory=dict)

    def find(self, *names: str) -> ExportFiles:
        return find_files([f"{self.url}/{name}" for name in names], storage_options=self.options)


@pytest.fixture(params=["local", "file", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param in {"local", "file"}:
        url = str(tmp_path) if request.param == "local" else f"file://{tmp_path}"
        return Place(lambda name, data: (tmp_path / name).write_bytes(data), url)
    if request.param == "memory":
        fs, root = fsspec.filesystem("memory"), f"found-{next(numbers)}"
        return Place(lambda name, data: fs.pipe_file(f"/{root}/{name}", data), f"memory://{root}")
    endpoint = request.getfixturevalue("s3_endpoint")
    store: S3Store = s3_store(endpoint)
    options = {"endpoint_url": endpoint, **S3_KEYS}
    return Place(store.put, f"s3://{store.bucket}/folder", options)


@given(
    count=st.integers(1, 150),
    seal=st.sampled_from(SEALS),
    volumes=st.booleans(),
    upper=st.booleans(),
    data=st.data(),
)
@settings(max_examples=40)
def test_any_files_of_a_set_find_all_in_order(
    folder: TemporaryFolder, count: int, seal: str, volumes: bool, upper: bool, data: st.DataObject
) -> None:
    """Whichever are given, in whichever order, among files of other sets."""
    names = volume_names(count, seal) if volumes else split_names(count, seal)
    if upper:
        names = [name.upper() for name in names]
    given = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=5))
    with folder() as home:
        others = [*split_names(3, seal, "other"), *split_names(3, ".odd"), *volume_names(3, ".odd")]
        written(home, [*names, *others])
        assert found(find_files([home / name for name in given])) == names


@given(
    count=st.integers(2, 150),
    gone=st.sets(st.integers(0, 149), min_size=1, max_size=6),
    data=st.data(),
)
@settings(max_examples=50)
def test_what_is_missing_is_told_by_its_name(
    folder: TemporaryFolder, count: int, gone: set[int], data: st.DataObject
) -> None:
    """The first three, if there are so many; the last part too."""
    names = split_names(count)
    left = [name for number, name in enumerate(names) if number not in gone]
    missing = [name for number, name in enumerate(names) if number in gone]
    if not left:
        return
    # Names do not tell that numbered parts are missing behind the last that is there.
    end = max((names.index(name) for name in left if name != names[-1]), default=-1)
    known = [name for name in missing if names.index(name) < end or name == names[-1]]
    with folder() as home:
        written(home, left)
        given = home / data.draw(st.sampled_from(left))
        if not known:
            assert found(find_files(given)) == left
            return
        with pytest.raises(ExportError, match=r"(is|are) missing") as caught:
            find_files(given)
    told = re.findall(r"[^ ,;]+\.smime", str(caught.value))
    assert told == known[:3]
    assert (" and more " in str(caught.value)) == (len(known) > 3)


@pytest.mark.parametrize("name", [split_names(4)[0], f"{STEM}.sha256", f"{STEM}.sha256.p7s"])
@pytest.mark.parametrize("gone", split_names(4)[1:])
def test_digests_tell_each_part_that_is_missing(tmp_path: Path, name: str, gone: str) -> None:
    """Also one that the numbers of the others do not tell, such as the last numbered one."""
    names = split_names(4)
    written(tmp_path, [one for one in names if one != gone])
    (tmp_path / f"{STEM}.sha256").write_bytes(digests_of(names))
    (tmp_path / f"{STEM}.sha256.p7s").write_bytes(b"signature")
    with pytest.raises(ExportError, match=re.escape(f"{gone} is missing, which ")):
        find_files(tmp_path / name)


def test_everything_is_found_everywhere(place: Place) -> None:
    """From any file of an export, its parts, its digests and their signature."""
    names, digests = split_names(12), f"{STEM}.sha256"
    for name in names:
        place.put(name, content_of(name))
    place.put(digests, digests_of(names))
    place.put(digests + ".p7s", b"signature")
    place.put("export-other.z01.smime", b"of another export")
    for name in (names[4], names[-1], digests, digests + ".p7s"):
        with place.find(name) as files:
            assert files.stem == STEM
            assert files.digests is not None
            assert files.signature is not None
            assert files.digests_data == digests_of(names)
            assert files.signature.read(0, files.signature.size) == b"signature"
            assert found(files) == names


def test_any_range_is_read_everywhere(place: Place) -> None:
    """By several threads at once; none beyond the end."""
    data = random.Random(5).randbytes(300_000)
    place.put("message", data)
    with place.find("message") as files:
        (part,) = files.parts
        assert part.size == len(data)
        assert files.digests is None
        failures: list[object] = []

        def read(seed: int) -> None:
            source = random.Random(seed)
            for _ in range(15):
                start, end = sorted(source.choices(range(len(data) + 1), k=2))
                if part.read(start, end - start) != data[start:end]:
                    failures.append((start, end))

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        for offset, size in ((0, len(data) + 1), (len(data), 1), (-1, 1), (1, -1)):
            with pytest.raises(ExportError, match="not among them"):
                part.read(offset, size)


def test_an_empty_file_is_one(place: Place) -> None:
    place.put("empty", b"")
    with place.find("empty") as files:
        assert files.parts[0].read(0, 0) == b""
        assert list(files.parts[0].pieces(10)) == []


def test_what_is_not_there_is_one_error_everywhere(place: Place) -> None:
    place.put("something", b"else")
    with pytest.raises(ExportError, match="there is no such file") as caught:
        place.find("export-1.zip.smime")
    assert not isinstance(caught.value, ExportUnavailable)


def test_a_file_that_is_changed_meanwhile_is_told_everywhere(place: Place) -> None:
    """By the end of a pass at the latest: of the same size, shorter, and gone."""
    for changed in (b"new content", b"cut"):
        place.put("message", b"old content")
        with place.find("message") as files:
            pieces = files.parts[0].pieces(4)
            assert next(pieces) == b"old "
            place.put("message", changed)
            with pytest.raises(ExportError, match="was changed while it was read"):
                list(pieces)


@pytest.mark.parametrize("kept", [True, False])
def test_local_files_that_are_replaced_are_told_at_each_range(tmp_path: Path, kept: bool) -> None:
    """Whether they stay open, or are too many for that."""
    names = split_names(2 if kept else 120)
    written(tmp_path, names)
    path = tmp_path / names[0]
    for replace in (
        lambda: path.with_name("new").rename(path),
        path.unlink,
        lambda: os.truncate(path, 3),
    ):
        path.write_bytes(content_of(names[0]))
        path.with_name("new").write_bytes(content_of(names[0]))
        with find_files(path) as files:
            assert files.parts[0].read(0, 4) == b"what"
            replace()
            with pytest.raises(ExportError, match=r"was changed|no such file"):
                files.parts[0].read(0, 4)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    names = split_names(120)
    written(tmp_path, names)
    with find_files(tmp_path / names[0]) as files:
        (tmp_path / names[0]).unlink()
        os.mkfifo(tmp_path / names[0])
        with pytest.raises(ExportError, match="was changed"):
            files.parts[0].read(0, 4)


def test_what_sealing_adds_may_be_in_any_case(tmp_path: Path) -> None:
    names = [f"{STEM}.z01.SMIME", f"{STEM}.zip.smime"]
    written(tmp_path, names)
    assert found(find_files(tmp_path / names[1])) == names


def test_large_sets_hold_few_descriptors(tmp_path: Path) -> None:
    names = split_names(300)
    written(tmp_path, names)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with find_files(tmp_path / names[0]) as files:
        assert len(os.listdir("/proc/self/fd")) - before < 200  # noqa: PTH208
        assert [part.read(0, part.size) for part in files.parts] == list(map(content_of, names))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_failure_leaves_nothing_open(tmp_path: Path) -> None:
    names = split_names(3)
    written(tmp_path, names[:2])
    (tmp_path / f"{STEM}.sha256").write_bytes(digests_of(names))
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for name in (*names[:2], f"{STEM}.sha256"):
        with pytest.raises(ExportError):
            find_files(tmp_path / name)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_parts_may_lie_in_different_folders(tmp_path: Path) -> None:
    """What is missing is looked for beside the first that is given."""
    names = split_names(5)
    written(tmp_path / "one", names[:3])
    written(tmp_path / "two", names[3:])
    given = [tmp_path / "one" / names[1], *(tmp_path / "two" / name for name in names[3:])]
    assert found(find_files(given)) == names
    with pytest.raises(ExportError, match=re.escape(names[0])):
        find_files(list(reversed(given)))


def test_what_was_given_counts_and_not_its_copy(tmp_path: Path) -> None:
    names = split_names(3)
    written(tmp_path / "one", names)
    written(tmp_path / "two", names)
    with find_files([tmp_path / "one" / names[0], tmp_path / "two" / names[1]]) as files:
        assert [Path(part.where).parent.name for part in files.parts] == ["one", "two", "one"]


def refused(*locations: Path | str) -> str:
    with pytest.raises(CddsError) as caught:
        find_files(locations)
    return str(caught.value)


def test_the_same_part_twice_is_told(tmp_path: Path) -> None:
    """From two folders, and in two spellings in one folder; a file given twice is one file."""
    names = split_names(3)
    written(tmp_path / "one", names)
    written(tmp_path / "two", names)
    one, two = (tmp_path / home / names[1] for home in ("one", "two"))
    told = refused(one, two)
    assert "are the same part" in told
    assert {str(one), str(two)} <= set(told.split())
    link = tmp_path / "two" / names[0]
    link.unlink()
    link.symlink_to(tmp_path / "one" / names[0])
    assert found(find_files([one, one, link, tmp_path / "one" / names[0]])) == names
    written(tmp_path / "one", [names[1].replace(".z", ".Z")])
    assert "are the same part" in refused(tmp_path / "one" / names[0])
    assert found(find_files(one)) == names


def test_files_of_different_exports_are_told(tmp_path: Path) -> None:
    others = split_names(2, stem="export-other") + volume_names(2) + ["message", "export-1.sha256"]
    written(tmp_path, split_names(2) + others)
    (tmp_path / f"{STEM}.sha256").write_bytes(digests_of(split_names(2)))
    (tmp_path / "export-1.sha256").write_bytes(digests_of(["export-1.zip", "a.zip.001"]))
    for other in others[:-1]:
        assert "different exports" in refused(tmp_path / split_names(2)[0], tmp_path / other)
    assert "different exports" in refused(tmp_path / f"{STEM}.sha256", tmp_path / others[-1])
    assert "different exports" in refused(tmp_path / "export-1.sha256")
    assert "has no digest of" in refused(tmp_path / "message", tmp_path / f"{STEM}.sha256")


def test_what_was_opened_by_hand_beside_is_another_set(tmp_path: Path) -> None:
    """A decrypted part beside the sealed ones belongs to no sealed set."""
    names = split_names(3)
    written(tmp_path, [*names, f"{STEM}.z01", f"{STEM}.zip.pem"])
    assert found(find_files(tmp_path / names[0])) == names


def test_digests_of_others_beside_are_not_looked_at(tmp_path: Path) -> None:
    """What they mean by that name may be anything; given by its name, it is read."""
    written(tmp_path, ["a.z01", "a.zip", "a.sha256"])
    with find_files(tmp_path / "a.zip") as files:
        assert files.digests is None
    assert "line 1 of" in refused(tmp_path / "a.sha256")
    (tmp_path / "a.sha256").write_bytes(digests_of(["a.z01", "a.zip"]))
    assert found(find_files(tmp_path / "a.sha256")) == ["a.z01", "a.zip"]


def test_digests_alone_name_the_parts(tmp_path: Path) -> None:
    """A part that they do not name is none; a message of any name is one."""
    names = split_names(3)
    written(tmp_path, [*split_names(6), "any name"])
    (tmp_path / f"{STEM}.sha256").write_bytes(digests_of(names))
    assert found(find_files(tmp_path / f"{STEM}.sha256")) == names
    (tmp_path / "b.sha256").write_bytes(digests_of(["any name"]))
    assert found(find_files(tmp_path / "b.sha256")) == ["any name"]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe is not waited for, as a part or beside one; what is unusable is told."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("nowhere")
    written(tmp_path, ["a.zip"])
    os.mkfifo(tmp_path / "a.z01")
    assert "is no file" in refused(tmp_path)
    assert "is no file" in refused(tmp_path / "pipe")
    assert "no such file" in refused(tmp_path / "broken").lower()
    assert "no such file" in refused(tmp_path / "no" / "folder").lower()
    assert found(find_files(tmp_path / "a.zip")) == ["a.zip"]
    for unusable in ("", "a\0b", "x" * 5000):
        assert "no path or URL" in refused(unusable)
    for none in ([], [3]):
        with pytest.raises(JobError):
            find_files(none)  # type: ignore[arg-type]


def test_what_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the system's answer is put in."""
    written(tmp_path, split_names(2))

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied", "secret")

    monkeypatch.setattr(os, "open", denied)
    assert refused(tmp_path / split_names(2)[0]).endswith("access is denied")


def test_a_folder_that_cannot_be_listed_is_asked_name_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For local and remote folders; what is missing is told as well."""
    fs, root = fsspec.filesystem("memory"), f"unlisted-{next(numbers)}"
    names = split_names(12)
    written(tmp_path, names)
    for name in names:
        fs.pipe_file(f"/{root}/{name}", content_of(name))

    def denied(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "scandir", denied)
    monkeypatch.setattr(MemoryFileSystem, "ls", denied)
    for home in (str(tmp_path), f"memory://{root}"):
        for name in (names[0], names[7], names[-1]):
            assert found(find_files(f"{home}/{name}")) == names
    fs.rm_file(f"/{root}/{names[-1]}")
    fs.rm_file(f"/{root}/{names[2]}")
    assert f"{names[2]}, {names[-1]} are missing" in refused(f"memory://{root}/{names[7]}")


def test_a_store_that_has_every_name_is_not_asked_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(MemoryFileSystem):  # type: ignore[misc]
        protocol = "endless"
        cachable = False
        asked = 0

        def ls(self, *_: object, **__: object) -> None:
            raise PermissionError

        def info(self, path: str, **_: object) -> dict[str, object]:
            Endless.asked += 1
            return {"name": path, "size": 1, "type": "file"}

    fsspec.register_implementation("endless", Endless, clobber=True)
    assert "more than" in refused("endless://host/a.z01")
    assert Endless.asked < MAX_PROBED + 10


def test_a_high_number_is_not_counted_up_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where names are asked for one by one."""
    root = f"high-{next(numbers)}"
    fsspec.filesystem("memory").pipe_file(f"/{root}/a.z9999", b"part")
    asked: list[str] = []
    info = MemoryFileSystem.info

    def counted(fs: MemoryFileSystem, path: str, **options: Any) -> Any:
        asked.append(path)
        return info(fs, path, **options)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(MemoryFileSystem, "ls", denied)
    monkeypatch.setattr(MemoryFileSystem, "info", counted)
    assert "a.z01, a.z02, a.z03 and more are missing" in refused(f"memory://{root}/a.z9999")
    assert len(asked) < 20


def test_short_answers_and_failures_of_a_store_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """In words of our own: those of others may hold what is secret."""
    fs, root = fsspec.filesystem("memory"), f"short-{next(numbers)}"
    fs.pipe_file(f"/{root}/message", b"0123456789")
    for answer, error, told in (
        (b"0123", ExportError, "gave 4 bytes where 8"),
        (b"0123456789", ExportError, "gave 10 bytes where 8"),
        (OSError("https://user:secret@host"), ExportUnavailable, "OSError"),
        (TimeoutError("secret"), ExportUnavailable, "TimeoutError"),
        (PermissionError("secret"), ExportError, "access is denied"),
        (FileNotFoundError("secret"), ExportError, "there is no such file"),
    ):

        def answered(*_: object, answer: bytes | Exception = answer, **__: object) -> bytes:
            if isinstance(answer, Exception):
                raise answer
            return answer

        with find_files(f"memory://{root}/message") as files, monkeypatch.context() as patched:
            patched.setattr(MemoryFileSystem, "cat_file", answered)
            patched.setattr("cdds.recipient.remote_files._PAUSES", (0, 0))
            with pytest.raises(error, match=told) as caught:
                files.parts[0].read(1, 8)
        assert "secret" not in str(caught.value)
        assert type(caught.value) is error


@pytest.mark.parametrize(
    "url",
    ["nosuch://user:secret@host/a.zip?secret", "s3://user:secret@bucket/a.zip", "http://["],
)
def test_unknown_urls_are_refused_without_their_secrets(url: str, s3_endpoint: str) -> None:
    with pytest.raises(ExportError) as caught:
        find_files(url, storage_options={"endpoint_url": s3_endpoint} if "s3" in url else None)
    assert "secret" not in str(caught.value)
    assert shown(url)[:8] in str(caught.value)


class RangeHandler(http.server.BaseHTTPRequestHandler):
    """Answers as a web server does that knows ranges, and a token in the query."""

    files: dict[str, bytes]
    ranges: bool

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        path, _, query = self.path.partition("?")
        data = self.files.get(path)
        if data is None or query != "token=secret":
            self.send_response(404 if data is None else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and self.ranges:
            end = int(wanted[2]) + 1 if wanted[2] else len(data)
            whole, data = len(data), data[int(wanted[1]) : end]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {wanted[1]}-{end - 1}/{whole}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web(files: dict[str, bytes], ranges: bool = True) -> Iterator[str]:
    handler = type("Handler", (RangeHandler,), {"files": files, "ranges": ranges})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_web_server_is_read_by_ranges(s3_endpoint: str) -> None:
    """Its files are asked for by name, with the same token; one without ranges is refused."""
    names = split_names(4, stem="export-a b")
    files = {f"/x/{name.replace(' ', '%20')}": content_of(name) for name in names}
    with web(files) as url:
        location = f"{url}/x/{names[1].replace(' ', '%20')}"
        assert found(find_files(f"{location}?token=secret")) == names
        with pytest.raises(ExportError, match="cannot read") as caught:
            find_files(f"{location}?token=secret-wrong")
        assert "secret" not in str(caught.value)
    with pytest.raises(ExportUnavailable):
        find_files(f"{location}?token=secret")
    with web(files, ranges=False) as url:
        with pytest.raises(ExportError, match="cannot read ranges") as caught:
            find_files(f"{url}/x/{names[1].replace(' ', '%20')}?token=secret")
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("tool", ["zip", "7zz"])
def test_sets_that_tools_make_are_found_and_open(tmp_path: Path, judge: Judge, tool: str) -> None:
    """From each of their files."""
    data = random.Random(3).randbytes(700_000)
    (tmp_path / "data").write_bytes(data)
    command = {
        "zip": [judge("zip"), "-q", "-s", "64k", "a.zip", "data"],
        "7zz": [judge("7zz"), "a", "-v64k", "a.zip", "data"],
    }[tool]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "data").unlink()
    made = list(tmp_path.iterdir())
    assert len(made) > 10
    for path in made:
        with find_files(path) as files:
            assert contents(Archive(files.parts)) == {"data": data}
