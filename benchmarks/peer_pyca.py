"""A peer: Python's zipfile and the PKCS #7 builder of `cryptography`, as its documentation shows.

Both hold everything in memory. Arguments: the corpus, the certificate, the artifact.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import zipfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import pkcs7


def main(corpus: Path, certificate: Path, artifact: Path) -> None:
    """Pack and seal the corpus, and print the SHA-256 of the artifact."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(corpus, corpus.name)
    sealed = (
        pkcs7.PKCS7EnvelopeBuilder()
        .set_data(archive.getvalue())
        .add_recipient(x509.load_pem_x509_certificate(certificate.read_bytes()))
        .set_content_encryption_algorithm(algorithms.AES256)
        .encrypt(serialization.Encoding.SMIME, [pkcs7.PKCS7Options.Binary])
    )
    with artifact.open("wb") as file:
        file.write(sealed)
        file.flush()
        os.fsync(file.fileno())
    print(hashlib.sha256(sealed).hexdigest())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
