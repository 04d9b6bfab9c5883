"""Which texts of people are taken: what Unicode calls a control character is not."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable

import pytest

from cdds.errors import JobError
from cdds.wording import line, lines


@pytest.mark.parametrize(("check", "allowed"), [(line, ""), (lines, "\r\n\t")])
def test_control_characters_and_half_surrogate_pairs_are_refused(
    check: Callable[[str, str], str], allowed: str
) -> None:
    for code in range(sys.maxunicode + 1):
        text = f"a{chr(code)}b"
        if unicodedata.category(chr(code)) in {"Cc", "Cs"} and chr(code) not in allowed:
            with pytest.raises(JobError, match=rf"^it holds U\+{code:04X}, which is not taken$"):
                check(text, "it")
        else:
            assert check(text, "it") == text
