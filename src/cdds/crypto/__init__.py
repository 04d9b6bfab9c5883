"""Sealing: bytes in, a CMS message for the holders of certain private keys out; opening; signing.

Place: between the archive and the sink, and on the recipient's side before the archive. The only
room that knows the ``cryptography`` library. It turns bytes into bytes; clock and randomness are
arguments.
"""

from cdds.crypto.certificates import Recipient, load_recipients
from cdds.crypto.decryption import Content, inspect_message
from cdds.crypto.envelope import Envelope
from cdds.crypto.message import MessageHeader
from cdds.crypto.private_keys import KeyDecryptor
from cdds.crypto.signer import Signer

__all__ = [
    "Content",
    "Envelope",
    "KeyDecryptor",
    "MessageHeader",
    "Recipient",
    "Signer",
    "inspect_message",
    "load_recipients",
]
