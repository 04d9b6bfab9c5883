"""What a benchmark ran on: how busy the machine was, which versions, which commit."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_LIBRARIES = ("cdds-sdk", "cryptography", "isal", "msgspec", "orjson", "pybase64")
_TOOLS = {
    "openssl": ("openssl", "version"),
    "zip": ("zip", "-v"),
    "unzip": ("unzip", "-v"),
    "igzip": ("igzip", "--version"),
}
_STEAL = 7  # the fields of the first line of /proc/stat, after its label: proc(5)


@dataclass(frozen=True)
class Load:
    """How busy the machine is: the load average of a minute, and processor ticks since boot."""

    average: float
    steal: int
    total: int

    @classmethod
    def now(cls) -> Load:
        """Return the present load."""
        ticks = [int(tick) for tick in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return cls(os.getloadavg()[0], ticks[_STEAL], sum(ticks))

    def stolen_since(self, earlier: Load) -> float:
        """Return the share of processor time that other guests of the host took meanwhile."""
        return (self.steal - earlier.steal) / max(1, self.total - earlier.total)


def versions() -> str:
    """Return the versions of all that takes part, in one line."""
    libraries = [f"{name} {_library(name)}" for name in _LIBRARIES]
    tools = [f"{name} {_tool(name)}" for name in _TOOLS]
    python = f"Python {platform.python_version()}"
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return ", ".join([python, *libraries, *tools, system, f"{os.cpu_count()} processors"])


def commit() -> str:
    """Return the commit of this checkout, marked where files differ from it."""
    described = _output("git", "-C", Path(__file__).parent, "describe", "--always", "--dirty")
    return described.strip() or "unknown"


def _library(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _tool(name: str) -> str:
    words = _output(*_TOOLS[name]).replace(",", " ").split()
    return next((word for word in words if word[0].isdecimal() and "." in word), "missing")


def _output(*command: str | Path) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
