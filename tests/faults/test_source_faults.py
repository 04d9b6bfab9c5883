"""A source that fails at any record leaves nothing, and its own error passes through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cdds

COUNT = 12
RECORDS = [{"IXNID": f"{number:06}", "SUBJECT": "s" * 40_000} for number in range(COUNT)]
DOCUMENTS = [{"ID": f"d{number}", "ENTITYID": f"{number:06}"} for number in range(COUNT)]


class Lost(Exception):
    """An error of the host's source, which this library does not know."""


def failing(records: list[dict[str, Any]], at: int) -> Iterator[dict[str, Any]]:
    yield from records[:at]
    raise Lost


def export(target: Path, certificate: Path, source: Any) -> cdds.ExportResult:
    return cdds.export(
        source,
        dataset="Interaction",
        to=target,
        recipients=certificate,
        split_size="64 KiB",
    )


def check_and_rerun(target: Path, certificate: Path) -> None:
    """Check that nothing is there, not even the folder, and that the export can be run again."""
    assert not target.exists()
    source = cdds.sources.Records(interaction=RECORDS, document=DOCUMENTS)
    assert export(target, certificate, source).records == {"interaction": COUNT, "document": COUNT}
    for path in target.iterdir():
        path.unlink()
    target.rmdir()


def test_a_source_fails_at_each_record(
    tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path]
) -> None:
    """Of either data file, also before the first and after the last."""
    target, certificate = tmp_path / "exports", rsa_key_and_certificate[1]
    for at in range(COUNT + 1):
        for inputs in (
            {"interaction": failing(RECORDS, at), "document": DOCUMENTS},
            {"interaction": RECORDS, "document": failing(DOCUMENTS, at)},
        ):
            with pytest.raises(Lost):
                export(target, certificate, cdds.sources.Records(**inputs))
            check_and_rerun(target, certificate)


@pytest.mark.parametrize("data_file", ["interaction", "document"])
def test_a_file_is_broken_at_each_line(
    tmp_path: Path, rsa_key_and_certificate: tuple[Path, Path], data_file: str
) -> None:
    """The error names the line, and what was staged before it is gone."""
    target, certificate = tmp_path / "exports", rsa_key_and_certificate[1]
    lines = [b'{"IXNID":"%06d","ID":"d","ENTITYID":"000000"}\n' % n for n in range(COUNT)]
    good = tmp_path / "good.jsonl"
    good.write_bytes(b"".join(lines))
    for at in range(COUNT):
        broken = tmp_path / "broken.jsonl"
        broken.write_bytes(b"".join([*lines[:at], b'{"IXNID":\n', *lines[at + 1 :]]))
        files: dict[str, Any] = {"interaction": good, "document": good, data_file: broken}
        with pytest.raises(cdds.errors.RecordError, match=rf"broken\.jsonl:{at + 1}: "):
            export(target, certificate, cdds.sources.JsonLines(**files))
        check_and_rerun(target, certificate)
