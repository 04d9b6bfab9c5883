"""Sealing: bytes in, a CMS message for the holders of certain private keys out; and signing.

Place: between the archive and the sink. The only room that knows the ``cryptography`` library.
It turns bytes into bytes; clock and randomness are arguments.
"""

from cdds.crypto.certificates import Recipient, load_recipients
from cdds.crypto.envelope import Envelope
from cdds.crypto.signer import Signer

__all__ = ["Envelope", "Recipient", "Signer", "load_recipients"]
