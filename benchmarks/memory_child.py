"""The process whose memory is measured: one export, which tells on standard output how far it is.

    memory_child.py corpus CORPUS REPEAT CERTIFICATE FOLDER [SPLIT_SIZE]
    memory_child.py selection CHATS DOCUMENTS CERTIFICATE

It prints the bytes read so far, a number a line; an empty FOLDER discards the artifacts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from discard import DiscardSink
from selection import ChatsAndCalls

import cdds


def main(kind: str, *words: str) -> None:
    """Run the export that the words say."""
    if kind == "corpus":
        _export_corpus(*words)
    else:
        _export_selection(*words)


def _export_corpus(
    corpus: str, repeat: str, certificate: str, folder: str, split_size: str = ""
) -> None:
    cdds.export(
        cdds.sources.JsonLines(interaction=[corpus] * int(repeat)),
        dataset="Interaction",
        to=folder or DiscardSink(),
        recipients=certificate,
        split_size=split_size or None,
        progress=_tell,
    )


def _export_selection(chats: str, documents: str, certificate: str) -> None:
    source = ChatsAndCalls(int(chats), documents=documents == "yes")
    result = cdds.export(
        source,
        dataset="Interaction",
        to=DiscardSink(),
        recipients=Path(certificate),
        media_types=["chat"],
        progress=_tell,
    )
    found = (result.records["interaction"], result.records.get("document", 0))
    if found != (int(chats), source.chat_documents):
        raise SystemExit(f"{found} interactions and documents: that is not what was selected")


def _tell(progress: cdds.Progress) -> None:
    print(progress.bytes_read, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
