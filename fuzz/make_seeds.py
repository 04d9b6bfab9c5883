"""Makes the seeds again: `python -m fuzz.make_seeds`, from the library's own writers and others.

The key pair is made only where there is none, and is for these seeds alone. Encrypted keys have
random padding, so messages differ each time; all else is the same. It needs `openssl` and `zip`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, get_args

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509 import SubjectKeyIdentifier, load_pem_x509_certificate

from cdds.archive import Entry, Packager
from cdds.crypto import Envelope, ber
from cdds.crypto.content import CipherName
from cdds.crypto.envelope import Format
from cdds.crypto.recipients import KeyTransport
from cdds.crypto.selfsigned import self_signed
from cdds.schedule import Daily, Hourly, Monthly, Once, Recurrence, RRule, Weekly, to_json
from fuzz import make_reading_seeds
from fuzz.harnesses import SEEDS
from fuzz.harnesses.archives import CUT_UNIT
from fuzz.harnesses.decryption import CONTENT

KEYS = SEEDS / "keys"
KEY, CERTIFICATE = KEYS / "test-only.key.pem", KEYS / "test-only.cert.pem"
_RSA = "1.2.840.113549.1.1.1"
_DATA = "1.2.840.113549.1.7.1"
_AES_256_GCM = "2.16.840.1.101.3.4.1.46"
_AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23"
_ENTRIES = {"data/a.json": b'{"ID":1}\n' * 40, "b.txt": b"b" * 700, "manifest.json": b"{}\n"}
START = datetime(2025, 1, 1, tzinfo=UTC)


def main() -> None:
    """Write all seeds."""
    if not KEY.exists():
        _save("keys", dict(zip((KEY.name, CERTIFICATE.name), _key_pair(), strict=True)))
    messages = {
        **_own_messages(),
        **_messages_of_openssl(),
        "attributes.der": _message_with_attributes(),
    }
    _save("messages", messages)
    _save("decryption", messages)
    _save("ber", _elements(messages))
    _save("archives", {**_own_archives(), **_archives_of_others()})
    _save("block_offsets", _block_offsets())
    _save("json_lines", _JSON_LINES)
    _save("json_array", _JSON_ARRAYS)
    _save("decompression", _compressed())
    _save("gate", _RECORDS)
    _save("members", _MEMBERS)
    _save("nulls", _SCHEMAS)
    _save("timestamps", _numbered(_TIMESTAMPS))
    _save("rrule", _numbered(_RULES))
    _save("recurrences", _recurrences())
    _save("json_text", _numbered(_TEXTS))
    _save("configuration", _CONFIGURATIONS)
    for harness, files in make_reading_seeds.made(CERTIFICATE).items():
        _save(harness, files)


def _save(name: str, files: Mapping[str, bytes]) -> None:
    folder = SEEDS / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        (folder / file).write_bytes(data)


def _numbered(texts: Iterable[str]) -> dict[str, bytes]:
    return {f"{number:02}": text.encode() for number, text in enumerate(texts)}


def _key_pair() -> tuple[bytes, bytes]:
    return self_signed("only for tests of cdds", now=START, days=36_500)


def _own_messages() -> dict[str, bytes]:
    forms: dict[str, dict[str, Any]] = {
        "cbc": {"cipher": "aes-256-cbc"},
        "gcm": {"cipher": "aes-256-gcm"},
        "oaep": {"cipher": "aes-128-cbc", "key_transport": "oaep"},
    }
    assert {form["cipher"] for form in forms.values()} == set(get_args(CipherName))
    assert {form.get("key_transport", "pkcs1v15") for form in forms.values()} == set(
        get_args(KeyTransport)
    )
    made = {}
    for name, form in forms.items():
        for number, kind in enumerate(get_args(Format)):
            numbers = random.Random(f"{name}{number}")
            envelope = Envelope([CERTIFICATE], format=kind, random=numbers.randbytes, **form)
            made[f"cdds-{name}{envelope.suffix}"] = b"".join(envelope.encrypt([CONTENT]))
    return made


def _messages_of_openssl() -> dict[str, bytes]:
    wanted = {
        "smime.der": ["smime", "-aes128", "-outform", "DER"],
        "smime.eml": ["smime", "-aes256", "-outform", "SMIME"],
        "cms.pem": ["cms", "-aes192", "-outform", "PEM"],
        "cms-stream.der": ["cms", "-aes256", "-outform", "DER", "-stream"],
        "cms-gcm.der": ["cms", "-aes-256-gcm", "-outform", "DER"],
        "cms-3des.der": ["cms", "-des3", "-outform", "DER"],
    }
    made = {}
    for name, (tool, *options) in wanted.items():
        command = ["openssl", tool, "-encrypt", "-binary", *options, str(CERTIFICATE)]
        done = subprocess.run(command, input=CONTENT, capture_output=True, check=True)
        made[f"openssl-{name}"] = done.stdout
    return made


def _message_with_attributes() -> bytes:
    """Return a message of what no writer at hand makes: attributes, a short MAC, a key's name."""
    certificate = load_pem_x509_certificate(CERTIFICATE.read_bytes())
    public = certificate.public_key()
    assert isinstance(public, RSAPublicKey)
    key, nonce = random.Random(0).randbytes(32), bytes(12)
    value = ber.tlv(ber.SET, ber.tlv(ber.OCTET_STRING, b"value"))
    attributes = ber.tlv(ber.SEQUENCE, ber.object_identifier("1.2.3.4"), value)
    sealed = AESGCM(key).encrypt(nonce, CONTENT, ber.tlv(ber.SET, attributes))
    recipient = ber.tlv(
        ber.SEQUENCE,
        ber.integer(2),
        ber.tlv(0x80, SubjectKeyIdentifier.from_public_key(public).digest),
        ber.tlv(ber.SEQUENCE, ber.object_identifier(_RSA), ber.NULL),
        ber.tlv(ber.OCTET_STRING, public.encrypt(key, PKCS1v15())),
    )
    parameters = ber.tlv(ber.SEQUENCE, ber.tlv(ber.OCTET_STRING, nonce))
    content = ber.tlv(
        ber.SEQUENCE,
        ber.object_identifier(_DATA),
        ber.tlv(ber.SEQUENCE, ber.object_identifier(_AES_256_GCM), parameters),
        ber.tlv(0x80, sealed[:-16]),
    )
    structure = ber.tlv(
        ber.SEQUENCE,
        ber.integer(0),
        ber.tlv(ber.SET, recipient),
        content,
        ber.tlv(ber.CONTEXT_1, attributes),
        ber.tlv(ber.OCTET_STRING, sealed[-16:-4]),
    )
    kind = ber.object_identifier(_AUTH_ENVELOPED_DATA)
    return ber.tlv(ber.SEQUENCE, kind, ber.tlv(ber.CONTEXT_0, structure))


def _elements(messages: Mapping[str, bytes]) -> dict[str, bytes]:
    whole = {name: data for name, data in messages.items() if data.startswith(b"\x30")}
    nested = ber.tlv(0x30, ber.integer(-7), ber.tlv(0x31, ber.tlv(0x04, b"b"), ber.tlv(0x04, b"a")))
    pieces = b"\x24\x80\x04\x02ab\x24\x80\x04\x01c\x00\x00\x00\x00"
    return {
        **whole,
        "nested": nested,
        "pieces": pieces,
        "long": b"\x04\x84\x00\x00\x00\x03abc",
        "oid": ber.object_identifier("1.2.840.113549.1.7.3"),
    }


def _own_archives() -> dict[str, bytes]:
    made = {"cdds.zip": b"".join(_segments(_ENTRIES))}
    # The smallest part that may be asked for is far larger than a seed should be.
    for unit in (8, 16):
        made[f"cdds-split-{unit}.zip"] = _split(unit)
    made["cdds-cut.zip"] = b"".join(_segments(_ENTRIES, cut=9))
    return made


def _split(unit: int) -> bytes:
    """Return a split archive whose segments are full, so that it can be cut into them again."""
    for size in range(1000):
        segments = _segments(
            {"b": b"b" * 700, "noise": random.Random(1).randbytes(size)}, split=unit
        )
        if len(segments) > 2 and {len(segment) for segment in segments[:-1]} == {unit * CUT_UNIT}:
            return b"".join(segments)
    raise ValueError("no such archive")


def _segments(entries: Mapping[str, bytes], *, split: int = 0, cut: int = 0) -> list[bytes]:
    """Return the segments of an archive; its first time says into what it is to be cut."""
    unit = split or cut
    packager = Packager(
        modified=START.replace(minute=unit >> 5, second=(unit & 0x1F) * 2 % 60), threads=1
    )
    if split:
        object.__setattr__(packager, "split_size", split * CUT_UNIT)
    blocks = [
        Entry(name, [data[: len(data) // 2], data[len(data) // 2 :]])
        for name, data in entries.items()
    ]
    return [b"".join(map(bytes, segment.chunks)) for segment in packager.pack(blocks)]


def _archives_of_others() -> dict[str, bytes]:
    made = {}
    for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", method) as archive:
            for entry, content in (("a/", b""), ("a/b", b"content " * 9), ("ü", b"")):
                archive.writestr(zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0)), content, method)
            archive.comment = b"a comment"
        made[f"zipfile-{name}.zip"] = data.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (("plain", []), ("zip64", ["-fz"]), ("folders", ["-r"])):
            made[f"zip-{name}.zip"] = _zipped(Path(folder), options)
    made["zip-streamed.zip"] = _zipped_stream()
    return made


def _zipped(folder: Path, options: list[str]) -> bytes:
    path = folder / "made.zip"
    inside = folder / "inside"
    (inside / "folder").mkdir(parents=True, exist_ok=True)
    for file in ("one", "folder/two"):
        (inside / file).write_bytes(b"some text, " * 8)
        os.utime(inside / file, (315_532_800, 315_532_800))
    path.unlink(missing_ok=True)
    command = ["zip", "-q", "-X", *options, str(path), "one", "folder"]
    subprocess.run(command, cwd=inside, check=True)
    return path.read_bytes()


def _zipped_stream() -> bytes:
    command = ["zip", "-q", "-", "-"]
    return subprocess.run(command, input=b"text " * 9, capture_output=True, check=True).stdout


def _block_offsets() -> dict[str, bytes]:
    from fuzz.harnesses.block_offsets import DATA, packed, written

    _, right = packed()
    count = len(right.data)
    return {
        "right": written(0, right.data, right.compressed),
        "from-the-middle": written(len(DATA) // 2, right.data, right.compressed),
        "every-second": written(0, right.data[::2], right.compressed[::2]),
        "one": written(9, (0,), (0,)),
        "last": written(len(DATA) - 1, right.data[count - 1 :], right.compressed[count - 1 :]),
    }


def _compressed() -> dict[str, bytes]:
    text = b'{"ID":1}\n' * 20
    whole = {
        "gz": partial(gzip.compress, mtime=0)(text),
        "bz2": bz2.compress(text),
        "xz": lzma.compress(text),
    }
    streams = {f"{name}-two": data * 2 for name, data in whole.items()}
    padded = {f"{name}-padded": data + bytes(4) for name, data in whole.items()}
    return {**whole, **streams, **padded}


def _recurrences() -> dict[str, bytes]:
    made: list[Recurrence] = [
        Once(),
        Once(START),
        Hourly(every=3, start=START, count=5),
        Daily(at="08:30", zone="Europe/Berlin"),
        Weekly(days=["MO", "FR"], at="23:59"),
        Monthly(day=31, at="00:00", until=START.replace(year=2030)),
        RRule("FREQ=MONTHLY;BYDAY=2TU", start=START, zone="America/New_York"),
    ]
    return _numbered(json.dumps(to_json(recurrence)) for recurrence in made)


_JSON_LINES = {
    "records": b'{"ID":1}\n{"ID":2}\n\n{"ID":"\xc3\xbc"}',
    "mark": b'\xef\xbb\xbf{"ID":1}\r\n{"ID":2.50}\r\n',
    "long": b'{"ID":"' + b"x" * 300 + b'"}\n{"ID":1}\n',
    "array": b"[\n1]\n",
}
_JSON_ARRAYS = {
    "records": b'[{"ID":1,"N":null,"T":true},{"ID":"\\u00fc","L":[1,[2.50],{}]}]',
    "mark": b"\xef\xbb\xbf[ ]\n",
    "numbers": b"[0,-0,1e5,1.25E-7,123456789012345678901234567890,-1.0]",
    "surrogates": b'["\\ud83d\\ude00","\\\\ud800","\\ud800"]',
    "twice": b'[{"a":1,"a":2}]',
    "deep": b"[" * 30 + b"]" * 30,
    "object": b'{"a":[]}',
}
_RECORDS = {
    "valid": b'{"ID":"a","Type":"email","Start":"2025-01-01T00:00:00Z","N":1}\n{"ID":"b"}\n',
    "invalid": b'{"ID":1}\n{}\n[]\nnull\n{"ID":"a","N":1.5}\n',
    "nulls": b'{"ID":"a","N":null,"Type":null,"X":null}\n',
    "twice": b'{"ID":"a","ID":null}\n{"N":1,"ID":"a","N":null}\n',
    "blank": b' \t\r\n\n{"ID":"a"} \r\n',
    "texts": b'{"ID":"\\ud800","X":"\xff"}\n{"ID":"\xc3\xbc","Id":NaN}\n{"\\u0049D":"a"}',
    "numbers": b'{"ID":"a","N":1e2}\n{"ID":"a","N":1.0}\n{"ID":"a","N":12345678901234567890123}\n',
    "deep": b'{"ID":"a","X":' + b"[" * 40 + b"]" * 40 + b"}\n",
}
_MEMBERS = {
    "object": b'{"a":1,"b":[true,null,{"c":"\\u00fc"}],"d":1.50e3}',
    "spaces": b' { "a" : 1 , "b" : [ ] } \n',
    "twice": b'{"a":1,"\\u0061":2}',
    "surrogate": b'{"\\ud800":"\\udc00","a":{}}',
    "array": b'[1, "x", {"a": [1]}, [[]], -0.0, 1e400]',
    "empty": b"{}",
}
_SCHEMAS = {
    "plain": json.dumps(
        {"properties": {"a": {"type": ["string", "null"]}, "b": {"type": "null"}, "c": True}}
    ).encode(),
    "odd": b'{"properties":{"a":{"type":[1,"null"]},"b":[],"c":{"type":{}}},"type":3}',
    "no-object": b'[{"properties":null}]',
}
_TIMESTAMPS = (
    "2025-01-31T23:59:59.123456Z", "2025-01-31 23:59:59+05:30", "20250131T235959-0800",
    "2025-W05-5T12:00", "2025-031", "2025-01-31", "2024-02-29T24:00:00Z",
    "0001-01-01T00:00:00+14:00", "2025-01-31T23:59:59,5Z", "2025-01-01+02:00",
    "9999-12-31T23:59:59.999999-00:01",
)  # fmt: skip
_RULES = (
    "FREQ=MONTHLY;BYDAY=2TU", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=3",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;WKST=SU", "FREQ=DAILY;UNTIL=20301231T235959Z",
    "FREQ=HOURLY;BYHOUR=1,2,3;BYMINUTE=0,30", "RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE;BYSETPOS=-1",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU", "FREQ=MINUTELY;INTERVAL=1000000;BYYEARDAY=-366",
    "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "freq=yearly;byyearday=1,-1",
)  # fmt: skip
_TEXTS = (
    '{"a": [1, 2.50, "x"],\n "b": null}', '"a\nb"', "1", "-0", "1e999", '"\\ud800"', "[" * 50,
    "NaN", " true\n", '{"a":1,"a":2}', "1 2", "\ufeff1", '"\\n"', "",
)  # fmt: skip
_CONFIGURATIONS = {
    "least.toml": b"""
[catalog]
url = "catalog.db"
audit_key_env = "AUDIT_KEY"
[sink]
url = "artifacts"
[sources."Contact History"]
kind = "json-lines"
interaction = "data/{tenant}/interaction.jsonl"
""",
    "most.toml": b"""
catalog = {url = "postgresql://db/cdds", password_file = "pw", audit_key_file = "key"}
sink = {url = "s3://bucket/{tenant}", block_size = "8 MiB", options = {anon = false}}
sources.crm = {url = "crm://host/{tenant}", options = {a = [1, "b"]}, tenants = ["acme"]}
[records]
ignore_case = true
pseudonym_key_env = "KEY"
interaction = {drop = ["A"], mask = ["B"], pseudonymise = ["C"]}
[scheduler]
workers = 4
lease = "1m"
retry_pause = "30s"
[retention]
artifacts = "7d"
history = "365d"
sweep_every_hours = 2
[sealing]
cipher = "aes-256-gcm"
[signing]
key_file = "sign.key"
certificate_file = "sign.pem"
""",
}


if __name__ == "__main__":
    main()
