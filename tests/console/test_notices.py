"""What is said reaches every kind of terminal as text that it does not obey, and ends no run."""

from __future__ import annotations

import io

import pytest
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lab.console.notices import Terminal, _Console


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "\\xe9t\\xe9 \\u65e5"), ("cp1252", "été \\u65e5")])
def test_lacking_characters_are_escaped(encoding: str, shown: str) -> None:
    written = io.BytesIO()
    console = _Console(file=io.TextIOWrapper(written, encoding=encoding, write_through=True), width=80)
    console.print("été 日", markup=False)
    assert written.getvalue().decode(encoding).strip() == shown


HOSTILE = "[/b] [link=x] \x1b]0;OWNED\x07 \u202e\x9b31m"


def drawn() -> dict[str, RenderableType]:
    """What a view may forget to make plain, in every place of a drawing."""
    table = Table("title")
    table.add_row(HOSTILE)
    panel = Panel("x", title=Text(HOSTILE))
    return {"text": HOSTILE, "Text": Text(HOSTILE), "cell": table, "title": panel, "nested": Group(Group(table))}


@pytest.mark.parametrize("place", drawn())
def test_terminal_is_told_nothing(place: str) -> None:
    screen = io.StringIO()
    Terminal(file=screen, width=200, force_terminal=True, color_system=None, legacy_windows=False).print(drawn()[place])
    assert "OWNED" in screen.getvalue()
    assert "[/b] [link=x]" in screen.getvalue(), "brackets are no markup"
    assert screen.getvalue().replace("\n", "").isprintable()
