"""Makes the key and the certificate that a benchmark seals its exports for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cdds.crypto.selfsigned import self_signed


def make_recipient(folder: Path) -> tuple[Path, Path]:
    """Write a new private key and its certificate, valid for a year; return both paths."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    key_pem, certificate_pem = self_signed("Benchmark", now=datetime.now(UTC), days=365)
    key.write_bytes(key_pem)
    certificate.write_bytes(certificate_pem)
    return key, certificate
