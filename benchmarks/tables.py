"""Tables of text, for terminals or in Markdown: the first column to the left, others right."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool) -> str:
    """Return a table, its columns aligned in both forms."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [_line(row, widths, markdown) for row in (head, *rows)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    if not markdown:
        rule = ["-" * width for width in widths]
    return "\n".join([lines[0], _line(rule, widths, markdown), *lines[1:]])


def _line(cells: Sequence[str], widths: Sequence[int], markdown: bool) -> str:
    padded = [cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]
    return f"| {' | '.join(padded)} |" if markdown else "  ".join(padded).rstrip()
