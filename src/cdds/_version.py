"""The version of the library, as its installed metadata tell it.

Place: at the ground. The number itself is written once, in ``pyproject.toml``.
"""

from importlib.metadata import version

__version__ = version("cdds-sdk")
