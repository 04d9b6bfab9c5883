"""Any bytes are the configuration of a service, or are refused with `JobError`.

What is taken is what `tomllib` reads in them, with all that is needed. An error names the file.
"""

from __future__ import annotations

import tomllib

from cdds.cli.configuration import read_configuration
from cdds.errors import JobError
from fuzz.inputs import stored

READS = ("cdds.cli.configuration",)
WORDS = (
    *(b"[catalog]\n", b"[sink]\n", b'[sources."a"]\n', b"[records]\n", b"[records.contact]\n"),
    *(b"[scheduler]\n", b"[retention]\n", b"[sealing]\n", b"[signing]\n", b"url = ", b"kind = "),
    *(b'"json-lines"', b"password_file = ", b"audit_key_env = ", b"{tenant}", b"tenants = ["),
    *(b'"30s"', b"mask = [", b"drop = [", b"key_file = ", b"cipher = ", b"workers = ", b"://"),
)


def check(data: bytes) -> None:
    """Check the invariant for a file."""
    path = stored(data)
    try:
        found = read_configuration(path)
    except JobError as error:
        assert str(path) in str(error)
        return
    said = tomllib.loads(data.decode())
    assert found.catalog.url == said["catalog"]["url"]
    assert found.sink.url == said["sink"]["url"]
    assert set(found.sources) == set(said["sources"])
    for name, section in found.sources.items():
        assert section.inputs or section.plugin, name
