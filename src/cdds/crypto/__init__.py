"""Sealing: bytes in, an S/MIME message for the holders of certain private keys out.

Place: between the archive and the sink. The only room that knows the ``cryptography`` library.
It turns bytes into bytes; clock and randomness are arguments.
"""

from cdds.crypto.certificates import Recipient, load_recipients
from cdds.crypto.envelope import Envelope

__all__ = ["Envelope", "Recipient", "load_recipients"]
