"""The contract of storages: sinks that give back, list and remove what they hold.

Place: among the contracts, beside that of sinks. A service takes storages alone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from cdds.errors import ArtifactMissing, JobError, SinkError
from cdds.protocols import Storage, Stored

_MIB = 1024 * 1024
_LARGE = bytes(range(256)) * (10 * _MIB // 256) + b"end"
"""More than is read ahead, and no whole number of chunks."""
_PLACES = (0, 1, 5, _MIB - 1, _MIB, _MIB + 1, 3 * _MIB, len(_LARGE) - 1, len(_LARGE), 2**40)
_ELSEWHERE = ("", ".", "..", "../a", "a/b", "/a", "a/", "..\\a", "a\\b", ".hidden", "a\0b")


class StorageContract:
    """What a service relies on of its storage; subclass it beside `SinkContract`.

    Attributes:
        lists_staged: whether `stored` yields what is staged. It should, or what a crash leaves is
            never removed; a sink that stages in the memory of its process has nothing to list.
    """

    lists_staged: bool = True

    @pytest.fixture
    def sink(self) -> Any:
        """Return an empty sink; each contract has its own."""
        pytest.fail(f"{type(self).__name__} has no fixture sink")

    def test_it_is_a_storage(self, sink: Any) -> None:
        """It has all three methods, by which a service knows it."""
        assert isinstance(sink, Storage)

    def test_an_empty_storage_holds_nothing(self, sink: Any) -> None:
        """Also where nothing has been made yet for what it will hold."""
        assert list(sink.stored()) == []

    def test_what_was_committed_is_listed_and_given_back(self, sink: Any) -> None:
        """With its name, its size and its bytes, in chunks of at most 1 MiB."""
        contents = {"empty": b"", "small": b"content", "large": _LARGE}
        for name, data in contents.items():
            _put(sink, name, data)
        sizes = {name: len(data) for name, data in contents.items()}
        assert {item.name: item.size for item in sink.stored()} == sizes
        for name, data in contents.items():
            chunks = list(sink.read(name))
            assert b"".join(chunks) == data
            assert all(0 < len(chunk) <= _MIB for chunk in chunks)

    def test_every_range_is_given_back(self, sink: Any) -> None:
        """As a slice of the whole; also where it is empty, turned round or beyond the end."""
        _put(sink, "a", _LARGE)
        pairs = [*pairwise(_PLACES), *((place, None) for place in _PLACES), (5, 5), (9, 3)]
        for start, end in pairs:
            assert b"".join(sink.read("a", start, end)) == _LARGE[start:end], (start, end)

    @pytest.mark.parametrize(("start", "end"), [(-1, None), (0, -1), (-5, -1)])
    def test_a_range_from_the_end_is_refused(self, sink: Any, start: int, end: int | None) -> None:
        """It is no slice; who means one is told so."""
        _put(sink, "a", b"content")
        with pytest.raises(JobError):
            list(sink.read("a", start, end))

    def test_two_readers_do_not_disturb_each_other(self, sink: Any) -> None:
        """Each has a place of its own, and one may stop early."""
        _put(sink, "a", _LARGE)
        one, two = sink.read("a"), sink.read("a", 1)
        first, other = next(one), next(two)
        two.close()
        assert first + b"".join(one) == _LARGE
        assert _LARGE[1:].startswith(other)

    def test_what_is_missing_is_an_error(self, sink: Any) -> None:
        """Where there is nothing, where there are others, and where it is only staged."""
        for prepare in (None, lambda: _put(sink, "other", b"x"), lambda: _stage(sink, "a", b"x")):
            if prepare is not None:
                prepare()
            with pytest.raises(ArtifactMissing):
                list(sink.read("a"))

    def test_a_prefix_is_the_beginning_of_the_name(self, sink: Any) -> None:
        """Of what is committed and of what is staged; no other character means anything."""
        for name in ("export-1", "export-2", "other", "%", "_"):
            _put(sink, name, b"x")
        _stage(sink, "export-3", b"x")
        for prefix, expected in {
            "": {"export-1", "export-2", "other", "%", "_"},
            "export-": {"export-1", "export-2"},
            "export-1": {"export-1"},
            "%": {"%"},
            "_": {"_"},
            "xport": set(),
        }.items():
            staged = {"export-3"} if self.lists_staged and "export-3".startswith(prefix) else set()
            assert {item.name for item in sink.stored(prefix)} == expected | staged, prefix

    def test_what_is_staged_is_listed_and_removed(self, sink: Any) -> None:
        """A crash leaves it; whoever cleans up removes that alone, and not what is committed."""
        if not self.lists_staged:
            pytest.skip("it lists nothing that is staged")
        upload = _stage(sink, "a", b"staged")
        other = _stage(sink, "a", b"other")
        first, second = sink.stored()
        assert first.name == second.name == "a"
        assert None not in {first.staged, second.staged}
        assert first.staged != second.staged
        sink.remove(first)
        assert [item.staged for item in sink.stored()] == [second.staged]
        sink.remove(second)
        assert list(sink.stored()) == []
        for left in (upload, other):
            left.abort()

    def test_removing_leaves_the_others_and_may_come_twice(self, sink: Any) -> None:
        """What is gone already is no error, for several may clean up at once."""
        for name in ("a", "ab", "b"):
            _put(sink, name, name.encode())
        for _ in range(2):
            sink.remove(Stored("a", 1))
            assert {item.name for item in sink.stored()} == {"ab", "b"}
        assert b"".join(sink.read("ab")) == b"ab"
        _put(sink, "a", b"again")
        assert b"".join(sink.read("a")) == b"again"

    def test_a_committed_artifact_is_removed_and_not_what_is_staged(self, sink: Any) -> None:
        """Under one name both may be there: another run stages it, and will be refused."""
        upload = _stage(sink, "a", b"staged")
        _put(sink, "a", b"committed")
        sink.remove(Stored("a", 9))
        upload.commit()
        assert b"".join(sink.read("a")) == b"staged"

    def test_all_can_be_removed_while_it_is_listed(self, sink: Any) -> None:
        """As whoever cleans up does it: none is left out."""
        for number in range(20):
            _put(sink, f"a{number}", b"x")
        for item in sink.stored("a"):
            sink.remove(item)
        assert list(sink.stored()) == []

    @pytest.mark.parametrize("name", _ELSEWHERE)
    def test_a_name_that_leads_elsewhere_is_refused(self, sink: Any, name: str) -> None:
        """Nothing outside the storage is read or removed, whatever a catalog was made to say."""
        _put(sink, "a", b"content")
        with pytest.raises(SinkError):
            list(sink.read(name))
        with pytest.raises(SinkError):
            sink.remove(Stored(name, 1))
        assert b"".join(sink.read("a")) == b"content"


def _stage(sink: Any, name: str, data: bytes) -> Any:
    upload = sink.create(name)
    upload.write(data)
    upload.stage()
    return upload


def _put(sink: Any, name: str, data: bytes) -> None:
    _stage(sink, name, data).commit()
