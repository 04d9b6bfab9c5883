"""Distributions with plugins, as an installer leaves them: modules, and metadata beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import attrs


@attrs.frozen
class Site:
    """A folder that is on the path, where distributions are."""

    folder: Path

    def install(
        self, name: str, sources: str = "", sinks: str = "", code: str = "", raw: str = ""
    ) -> None:
        """Install a distribution of one module: its entry points as lines, or their whole file."""
        module = name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(code)
        sys.modules.pop(module, None)
        info = self.folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        points = f"[cdds.sources]\n{sources}\n[cdds.sinks]\n{sinks}\n"
        (info / "entry_points.txt").write_text(raw or points)
