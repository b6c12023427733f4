"""Every row of the fault matrix has a test in this folder or below it."""

from __future__ import annotations

import re
from pathlib import Path

ROWS = 27


def test_every_row_has_a_test() -> None:
    texts = [path.read_text() for path in Path(__file__).parent.rglob("test_*.py")]
    marked = [rows.split(",") for text in texts for rows in re.findall(r"mark\.fault\(([\d, ]+)\)", text)]
    assert {int(row) for rows in marked for row in rows} == set(range(1, ROWS + 1))
