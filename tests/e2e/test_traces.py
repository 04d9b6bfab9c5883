"""What the kernel saw: which files were opened for writing, and what was written to them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cdds import sample

MARK = "PLAINTEXT-MARK"

SCRIPT = """
import sys, cdds
cdds.export(
    cdds.sources.JsonLines(interaction=sys.argv[1]), dataset="Interaction", to=sys.argv[2],
    recipients=sys.argv[3], split_size="64 KiB",
)
"""


def test_only_artifacts_are_written_and_none_holds_plaintext(
    tmp_path: Path,
    judge: Callable[[str], str],
    rsa_key_and_certificate: tuple[Path, Path],
) -> None:
    records, target, trace = tmp_path / "in.jsonl", tmp_path / "out", tmp_path / "trace"
    with records.open("wb") as file:
        sample.write_lines(
            ({**record, "SUBJECT": MARK} for record in sample.interactions(1000, seed=2)), file
        )
    subprocess.run(
        [judge("strace"), "-f", "-qq", "-s", "4096", "-o", str(trace)]
        + ["-e", "trace=open,openat,creat,openat2,memfd_create,write,pwrite64,link,linkat,rename"]
        + [sys.executable, "-c", SCRIPT, str(records), str(target)]
        + [str(rsa_key_and_certificate[1])],
        check=True,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    text = trace.read_text(errors="replace")
    opened = re.findall(r'open(?:at)?\([^"]*"([^"]+)", [^)]*O_(?:WRONLY|RDWR|CREAT)', text)
    staged = [path for path in opened if Path(path).name.startswith(".cdds-staged-")]
    artifacts = list(target.iterdir())
    assert len(staged) == len(artifacts) > 2
    assert [path for path in opened if path not in staged and path != "/dev/null"] == []
    assert not re.search(r"\b(creat|memfd_create|openat2)\(", text)
    assert MARK not in text
    assert MARK in records.read_text()
