"""The version of the library, written once, here; the build reads it.

Place: at the ground. Asking the installed metadata for it would take longer than many an export.
"""

__version__ = "0.1.0"
