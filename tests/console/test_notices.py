"""What is said reaches every kind of terminal, and ends no run."""

from __future__ import annotations

import io

import pytest

from lab.console.notices import _Console


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "\\xe9t\\xe9 \\u65e5"), ("cp1252", "été \\u65e5")])
def test_lacking_characters_are_escaped(encoding: str, shown: str) -> None:
    written = io.BytesIO()
    console = _Console(file=io.TextIOWrapper(written, encoding=encoding, write_through=True), width=80)
    console.print("été 日", markup=False)
    assert written.getvalue().decode(encoding).strip() == shown
