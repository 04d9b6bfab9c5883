"""The sides of the benchmark: each turns a corpus into a sealed, durable, digested artifact.

Each is one command, run as a whole process. Where it is a pipeline, Bash runs it.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

JOB_ID = "bench"


@dataclass(frozen=True)
class Side:
    """One way to do the work.

    Attributes:
        name: a short one, unique.
        title: what reports call it.
        words: the command; ``{corpus}``, ``{certificate}`` and ``{folder}`` are filled in. It runs
            in the folder of the corpus and leaves one file ``*.smime`` in the empty ``{folder}``.
        tools: the programs that it needs.
        entry: the name of the data file in the archive; ``{corpus}`` is filled in.
        archive: what is inside the artifact.
    """

    name: str
    title: str
    words: tuple[str, ...]
    tools: tuple[str, ...] = ()
    entry: str = "{corpus}"
    archive: Literal["zip", "gzip"] = "zip"

    def command(self, corpus: Path, certificate: Path, folder: Path) -> list[str]:
        """Return the command for a corpus, a certificate and an empty folder."""
        values = {
            "corpus": corpus.name,
            "certificate": str(certificate.absolute()),
            "folder": str(folder.absolute()),
        }
        return [word.format_map(values) for word in self.words]

    def missing_tools(self) -> list[str]:
        """Return the programs that it needs and that are not installed."""
        return [tool for tool in self.tools if shutil.which(tool) is None]


def _pipeline(packing: str, sealing: str) -> tuple[str, ...]:
    script = (
        f'{packing} "$1" | {sealing} -out "$3" "$2" && sync "$3" && sha256sum "$3"'  # sync: fsync
    )
    arguments = ("{corpus}", "{certificate}", "{folder}/peer.smime")
    return ("bash", "-o", "pipefail", "-c", script, "bash", *arguments)


_EXPORT = (
    *(sys.executable, "-m", "cdds", "export", "--dataset", "interaction"),
    *("--records", "{corpus}", "--recipient", "{certificate}", "--to", "{folder}"),
    *("--job-id", JOB_ID, "--no-progress", "-q"),
)
_ENTRY = f"Interaction-{JOB_ID}.json"

VALIDATED = Side("validated", "cdds, validated", _EXPORT, entry=_ENTRY)
UNREAD = Side("unread", "cdds, unread", (*_EXPORT, "--no-validate"), entry=_ENTRY)
SMALL = Side("small", "cdds, small", (*_EXPORT, "--level", "small"), entry=_ENTRY)

# Without -stream, `openssl smime -encrypt` holds everything in memory and truncates its input
# near 2 GB without a word.
ZIP = Side(
    "zip",
    "zip, openssl smime",
    _pipeline("zip -q -", "openssl smime -encrypt -stream -binary -aes256"),
    tools=("bash", "zip", "openssl"),
)
IGZIP = Side(
    "igzip",
    "igzip, openssl cms",
    _pipeline("igzip -2 -c", "openssl cms -encrypt -stream -binary -aes256"),
    tools=("bash", "igzip", "openssl"),
    archive="gzip",
)
PYCA = Side(
    "pyca",
    "zipfile, pyca",
    (
        *(sys.executable, str(Path(__file__).with_name("peer_pyca.py").absolute())),
        *("{corpus}", "{certificate}", "{folder}/peer.smime"),
    ),
)

OURS = (VALIDATED, UNREAD, SMALL)
PEERS = {side.name: side for side in (ZIP, IGZIP, PYCA)}
