"""Recipients' certificates: which are taken, which are refused, and with which reason."""

from __future__ import annotations

import itertools
import pickle
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cdds.crypto import Envelope, Recipient, load_recipients
from cdds.errors import CertificateError

Judge: TypeAlias = Callable[[str], str]
Issue: TypeAlias = Callable[..., x509.Certificate]

NO_AUTHORITY = x509.BasicConstraints(ca=False, path_length=None)
USAGE_OID, BASIC_OID = b"\x55\x1d\x0f", b"\x55\x1d\x13"


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def key_usage(**allowed: bool) -> x509.KeyUsage:
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    names += ["key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


def refusal(source: Any) -> str:
    with pytest.raises(CertificateError) as caught:
        load_recipients(source)
    return str(caught.value)


@pytest.fixture
def good(issue: Issue) -> x509.Certificate:
    return issue("Good")


# What is taken


def test_an_envelope_can_be_sent_to_another_process(good: x509.Certificate) -> None:
    """A worker that seals gets it pickled: public certificates, nothing else."""
    envelope = Envelope(good)
    again = pickle.loads(pickle.dumps(envelope))
    assert again == envelope
    assert again.check_validity(good.not_valid_before_utc) is not None


@pytest.mark.parametrize(
    "form", ["pem bytes", "der bytes", "pem path", "der path", "text path", "object", "recipient"]
)
@pytest.mark.parametrize("in_list", [True, False])
def test_every_form_gives_the_same_recipient(
    good: x509.Certificate, tmp_path: Path, form: str, in_list: bool
) -> None:
    """One certificate however it is handed over, by itself or in a list."""
    (tmp_path / "c.pem").write_bytes(pem(good))
    (tmp_path / "c.der").write_bytes(der(good))
    source: Any = {
        "pem bytes": pem(good),
        "der bytes": der(good),
        "pem path": tmp_path / "c.pem",
        "der path": tmp_path / "c.der",
        "text path": str(tmp_path / "c.pem"),
        "object": good,
        "recipient": Recipient(good),
    }[form]
    (recipient,) = load_recipients([source] if in_list else source)
    assert recipient.certificate == good


def test_text_around_a_pem_certificate_does_not_matter(good: x509.Certificate) -> None:
    """OpenSSL writes a description before it; files come with CRLF and other line ends."""
    for data in [
        b"subject=CN = Good\n\n" + pem(good) + b"\ntrailing text\n",
        pem(good).replace(b"\n", b"\r\n"),
        pem(good).rstrip(b"\n"),
    ]:
        (recipient,) = load_recipients(data)
        assert recipient.certificate == good


def test_the_same_certificate_counts_once(good: x509.Certificate, tmp_path: Path) -> None:
    """A message names each recipient once, however often the certificate is given."""
    (tmp_path / "c.pem").write_bytes(pem(good))
    sources: list[Any] = [good, pem(good), der(good)]
    sources += [tmp_path / "c.pem", str(tmp_path / "c.pem"), good]
    assert len(load_recipients(sources)) == 1
    assert len(load_recipients(pem(good, good))) == 1
    assert len(Envelope(sources).recipients) == 1


def test_several_recipients_keep_their_order(issue: Issue) -> None:
    """And are as many as there are certificates, also for the same key."""
    certificates = [issue(f"Number {number}") for number in range(4)]
    recipients = load_recipients(certificates)
    assert [recipient.certificate for recipient in recipients] == certificates


@pytest.fixture(scope="session")
def chain(issue: Issue, rsa_key: rsa.RSAPrivateKey) -> tuple[x509.Certificate, ...]:
    """Return an end-entity certificate, its issuer, and the root."""
    ca = x509.BasicConstraints(ca=True, path_length=None)
    middle_key = ec.generate_private_key(ec.SECP256R1())
    root_key = rsa.generate_private_key(65537, 2048)
    root = issue("Root", key=root_key, extensions=(ca,))
    middle = issue("Middle", key=middle_key, issuer="Root", issuer_key=root_key, extensions=(ca,))
    end = issue("End", key=rsa_key, issuer="Middle", issuer_key=middle_key)
    return end, middle, root


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("count", [2, 3])
def test_of_a_chain_the_end_entity_is_taken(
    chain: tuple[x509.Certificate, ...], order: tuple[int, ...], count: int
) -> None:
    """In whatever order its certificates stand, with or without the root, and also if repeated."""
    some = [chain[number] for number in order if number < count]
    (recipient,) = load_recipients(pem(*some, some[0]))
    assert recipient.certificate == chain[0]


@pytest.mark.parametrize(
    "extensions",
    [
        (),
        (key_usage(key_encipherment=True),),
        (key_usage(key_encipherment=True, digital_signature=True),),
        (x509.BasicConstraints(ca=False, path_length=None),),
        (key_usage(key_encipherment=True, key_agreement=True),),
    ],
)
@pytest.mark.parametrize("bits", [2048, 3072])
def test_rsa_keys_that_may_encipher_are_taken(
    issue: Issue, extensions: tuple[x509.ExtensionType, ...], bits: int
) -> None:
    """Without a key usage everything is allowed (RFC 5280, section 4.2.1.3)."""
    certificate = issue("R", key=rsa_of(bits), extensions=extensions)
    (recipient,) = load_recipients(certificate)
    assert recipient.public_key.key_size == bits


def rsa_of(bits: int, cache: dict[int, rsa.RSAPrivateKey] = {}) -> rsa.RSAPrivateKey:  # noqa: B006
    if bits not in cache:
        cache[bits] = rsa.generate_private_key(65537, bits)
    return cache[bits]


# What is refused


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), "no RSA key"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "no RSA key"),
        (ed25519.Ed25519PrivateKey.generate, "no RSA key"),
        (lambda: rsa_of(1024), "1024 bits"),
    ],
    ids=["P-256", "P-521", "Ed25519", "RSA-1024"],
)
@pytest.mark.parametrize("as_file", [True, False])
def test_a_key_that_cannot_be_sealed_for_is_refused(
    issue: Issue, tmp_path: Path, key: Callable[[], Any], reason: str, as_file: bool
) -> None:
    """The message says what the key is and, for a file, which file."""
    certificate = issue("Wrong", key=key())
    path = tmp_path / "wrong.pem"
    path.write_bytes(pem(certificate))
    message = refusal(path if as_file else certificate)
    assert reason in message
    assert not as_file or str(path) in message


def test_an_rsassa_pss_key_is_refused(judge: Judge, tmp_path: Path) -> None:
    """It can only sign, though it is an RSA key to most who look."""
    path = tmp_path / "pss.pem"
    done = subprocess.run(
        [judge("openssl"), "req", "-x509", "-newkey", "rsa-pss", "-nodes", "-subj", "/CN=PSS"]
        + ["-pkeyopt", "rsa_keygen_bits:2048", "-keyout", "/dev/null", "-out", str(path)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "RSASSA-PSS" in refusal(path)


@pytest.mark.parametrize(
    "usage",
    [
        key_usage(),
        key_usage(digital_signature=True),
        key_usage(data_encipherment=True),
        key_usage(key_agreement=True),
        key_usage(key_cert_sign=True, crl_sign=True),
    ],
)
def test_a_key_usage_without_key_encipherment_is_refused(
    issue: Issue, usage: x509.KeyUsage
) -> None:
    """Whoever issued it did not want anything to be sealed for it."""
    assert "keyEncipherment" in refusal(issue("Usage", extensions=(usage,)))


GARBAGE = {
    "nothing": b"",
    "one byte": b"\x30",
    "text": b"this is no certificate",
    "HTML": b"<!DOCTYPE html><html></html>",
    "empty PEM": b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "PEM of garbage": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "PEM that is cut off": b"-----BEGIN CERTIFICATE-----\nMIIB",
    "PEM that is no base64": b"-----BEGIN CERTIFICATE-----\n\xff*\n-----END CERTIFICATE-----\n",
    "long length": b"\x30\x84\xff\xff\xff\xff",
    "indefinite length": b"\x30\x80\x00\x00",
    "zeros": bytes(1000),
    "another PEM": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
}


@pytest.mark.parametrize("case", GARBAGE)
@pytest.mark.parametrize("as_file", [True, False])
def test_what_is_no_certificate_is_refused(case: str, as_file: bool, tmp_path: Path) -> None:
    """One clear error, and it names the file."""
    path = tmp_path / "garbage.pem"
    path.write_bytes(GARBAGE[case])
    message = refusal(path if as_file else GARBAGE[case])
    assert "no X.509 certificate" in message
    assert not as_file or str(path) in message


@pytest.mark.parametrize("at", ["start", "middle", "end"])
def test_a_damaged_certificate_is_refused_or_read_but_never_breaks_anything(
    good: x509.Certificate, at: str
) -> None:
    """A byte that fell out anywhere gives an error of this library."""
    data = der(good)
    position = {"start": 1, "middle": len(data) // 2, "end": len(data) - 1}[at]
    assert "certificate" in refusal(data[:position] + data[position + 1 :])


@pytest.mark.filterwarnings("ignore::UserWarning")  # cryptography's own, about odd certificates
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), min_size=1, max_size=3))
@settings(max_examples=300)
def test_changed_bytes_give_no_foreign_error(issue: Issue, changes: list[tuple[int, int]]) -> None:
    """Whatever the bytes were: the certificate can be sealed for, or is refused by this library."""
    data = bytearray(
        der(issue("Changed", extensions=(key_usage(key_encipherment=True),), serial=7))
    )
    for position, change in changes:
        data[position % len(data)] ^= change
    try:
        envelope = Envelope(bytes(data))
        envelope.check_validity(datetime.now(UTC))
        list(envelope.encrypt([b"x"]))
    except CertificateError:
        pass


@pytest.mark.parametrize("case", ["missing", "folder", "below a file", "null", "too long", "empty"])
def test_a_path_that_cannot_be_read_is_refused(tmp_path: Path, case: str) -> None:
    """Also if it is no path at all."""
    (tmp_path / "file").write_bytes(b"")
    path = {
        "missing": tmp_path / "missing.pem",
        "folder": tmp_path,
        "below a file": tmp_path / "file" / "c.pem",
        "null": "a\x00b",
        "too long": "x" * 5000,
        "empty": "",
    }[case]
    assert "cannot read the certificate" in refusal(path)


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    """A certificate has kilobytes; a sparse gigabyte is not loaded."""
    path = tmp_path / "huge.pem"
    with path.open("wb") as file:
        file.truncate(2**30)
    assert "too large" in refusal(path)


def test_an_endless_file_is_refused() -> None:
    """Its size does not tell what it holds."""
    assert "too large" in refusal("/dev/zero")


def test_unrelated_certificates_in_one_file_are_refused(issue: Issue) -> None:
    """Nobody can tell for whom the message shall be, and a wrong guess would be a leak."""
    assert "not one chain" in refusal(pem(issue("One"), issue("Other")))


def test_two_certificates_of_one_subject_are_refused(issue: Issue) -> None:
    """An old and a renewed one: the caller has to say which."""
    assert "not one chain" in refusal(pem(issue("Same"), issue("Same")))


def test_an_extension_that_comes_twice_is_refused(issue: Issue) -> None:
    certificate = der(issue("Good", extensions=(key_usage(key_encipherment=True), NO_AUTHORITY)))
    assert "fields that cannot be read" in refusal(certificate.replace(USAGE_OID, BASIC_OID))


@pytest.mark.parametrize("damage", [b"\x0c\x04\xff\xff\xff\xff", b"\x03\x04\x00ood"])
def test_a_chain_with_a_name_that_cannot_be_read_is_refused(
    good: x509.Certificate, damage: bytes
) -> None:
    """No UTF-8, and no text at all: names are not looked at where a certificate is parsed."""
    damaged = x509.load_der_x509_certificate(der(good).replace(b"\x0c\x04Good", damage))
    assert "names cannot be read" in refusal(pem(good, damaged))


@pytest.mark.parametrize("source", [17, None, 1.5, object(), [b"x", 17], {"a": 1}])
def test_what_cannot_be_a_certificate_is_refused(source: Any) -> None:
    """A wrong type in the list is no foreign error either."""
    with pytest.raises((CertificateError, TypeError)):
        load_recipients(source)


@pytest.mark.parametrize("source", [17, None, 1.5, object()])
def test_what_cannot_be_a_certificate_is_refused_in_a_list(source: Any) -> None:
    """With the message of this library."""
    assert "a certificate is" in refusal([source])


# Time


@pytest.mark.parametrize(
    ("before_end", "warns"),
    [
        (timedelta(days=365), False),
        (timedelta(days=30, seconds=1), False),
        (timedelta(days=30), True),
        (timedelta(days=29, hours=23), True),
        (timedelta(seconds=1), True),
        (timedelta(0), True),
    ],
)
def test_a_certificate_that_expires_within_30_days_is_warned_of(
    issue: Issue, before_end: timedelta, warns: bool
) -> None:
    """At the exact border, and up to the last moment of its validity."""
    end = datetime(2030, 6, 1, 12, tzinfo=UTC)
    recipient = Recipient(issue("R", start=datetime(2020, 1, 1, tzinfo=UTC), end=end), "r.pem")
    warning = recipient.check_validity(end - before_end)
    assert (warning is not None) == warns
    assert warning is None or "r.pem" in warning


@pytest.mark.parametrize("microseconds", [1, 10**6, 10**12])
def test_an_expired_certificate_is_refused(issue: Issue, microseconds: int) -> None:
    """From the first moment on, and the reason names the time."""
    end = datetime(2030, 6, 1, 12, tzinfo=UTC)
    recipient = Recipient(issue("R", start=datetime(2020, 1, 1, tzinfo=UTC), end=end), "r.pem")
    with pytest.raises(CertificateError, match=r"r\.pem expired at 2030-06-01 12:00"):
        recipient.check_validity(end + timedelta(microseconds=microseconds))


@pytest.mark.parametrize("microseconds", [1, 10**6, 10**12])
def test_a_certificate_that_is_not_yet_valid_is_refused(issue: Issue, microseconds: int) -> None:
    """Up to the last moment before, and the reason names the time."""
    start = datetime(2030, 6, 1, 12, tzinfo=UTC)
    recipient = Recipient(issue("R", start=start), "r.pem")
    with pytest.raises(CertificateError, match=r"r\.pem is not valid before 2030-06-01 12:00"):
        recipient.check_validity(start - timedelta(microseconds=microseconds))
    assert recipient.check_validity(start) is None


# Secrets


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize(
    "form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8], ids=["PKCS1", "PKCS8"]
)
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_private_key_is_refused_and_none_of_it_is_told(
    rsa_key: rsa.RSAPrivateKey,
    tmp_path: Path,
    encoding: Encoding,
    form: PrivateFormat,
    encrypted: bool,
) -> None:
    """Whoever mixes up the files finds no key material in logs."""
    if encrypted and form is PrivateFormat.TraditionalOpenSSL and encoding is Encoding.DER:
        return  # there is no such form
    protection = BestAvailableEncryption(b"password") if encrypted else NoEncryption()
    data = rsa_key.private_bytes(encoding, form, protection)
    path = tmp_path / "key.pem"
    path.write_bytes(data)
    for source in (path, data):
        with pytest.raises(CertificateError) as caught:
            load_recipients(source)
        told = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
        lines = [line for line in data.splitlines() if len(line) > 20 and b"-----" not in line]
        assert not any(repr(line)[2:-1] in told for line in lines)
        assert len(told) < 1000


def test_a_key_beside_the_certificate_is_not_told_either(
    rsa_key: rsa.RSAPrivateKey, issue: Issue, tmp_path: Path
) -> None:
    """A file with both gives the certificate; the recipient holds only that."""
    key = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = tmp_path / "both.pem"
    path.write_bytes(key + pem(issue("Both")))
    (recipient,) = load_recipients(path)
    assert "PRIVATE" not in repr(recipient)
    assert not hasattr(recipient.public_key, "private_numbers")
