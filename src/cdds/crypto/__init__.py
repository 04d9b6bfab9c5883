"""Sealing: bytes in, a CMS message for the holders of certain private keys out; opening; signing.

Place: between the archive and the sink, and on the recipient's side before the archive. The only
room that knows the ``cryptography`` library. It turns bytes into bytes; clock and randomness are
arguments.
"""

from typing import TYPE_CHECKING

from cdds.crypto.certificates import Recipient, load_recipients
from cdds.crypto.envelope import Envelope
from cdds.crypto.signer import Signer
from cdds.lazy import loaded_when_used

if TYPE_CHECKING:
    from cdds.crypto.decryption import Content, inspect_message
    from cdds.crypto.message import MessageHeader
    from cdds.crypto.private_keys import KeyDecryptor
    from cdds.crypto.ranged_octets import RangedFile
    from cdds.crypto.ranges import RangedContent, open_ranged
    from cdds.crypto.signature import Signature, TrustedCertificate, verify_signature

__all__ = [
    "Content",
    "Envelope",
    "KeyDecryptor",
    "MessageHeader",
    "RangedContent",
    "RangedFile",
    "Recipient",
    "Signature",
    "Signer",
    "TrustedCertificate",
    "inspect_message",
    "load_recipients",
    "open_ranged",
    "verify_signature",
]

# What only a recipient needs is not loaded to seal.
__getattr__ = loaded_when_used(
    __name__,
    {
        "Content": "decryption",
        "KeyDecryptor": "private_keys",
        "MessageHeader": "message",
        "RangedContent": "ranges",
        "RangedFile": "ranged_octets",
        "Signature": "signature",
        "TrustedCertificate": "signature",
        "inspect_message": "decryption",
        "open_ranged": "ranges",
        "verify_signature": "signature",
    },
)
