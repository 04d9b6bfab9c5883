"""A sink that throws everything away: for exports that are larger than the disk."""

from __future__ import annotations

from cdds.protocols import Buffer


class DiscardSink:
    """Takes any artifact under any name, and keeps none."""

    def create(self, name: str) -> DiscardUpload:
        """Begin an artifact that nobody will see."""
        del name
        return DiscardUpload()


class DiscardUpload:
    """An artifact that is thrown away as it comes."""

    def write(self, data: Buffer) -> None:
        """Take bytes and forget them."""

    def stage(self) -> None:
        """Have nothing to make durable."""

    def commit(self) -> None:
        """Have nothing to make visible."""

    def abort(self) -> None:
        """Have nothing to take back."""
