"""The days of a week, from Monday on, as RFC 5545 writes them.

Place: at the ground of the room; it holds names alone.
"""

from __future__ import annotations

WEEK = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
