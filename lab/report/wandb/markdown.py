"""Markdown in which names from runs stay plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from lab.console.plain import plain

MEANT = re.compile(
    r"[^\w\s\-/,+=%.:]"  # could begin a tag, a link or emphasis, or end a table's cell
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis, unless inside a word
    r"|:(?=\S)|(?<=www)\.",  # an address that becomes a link by itself
    re.IGNORECASE,
)


def escaped(text: object) -> str:
    """Return text that Markdown shows as it is, in one line. Characters with a meaning become character references."""
    line = plain(" ".join(str(text).split()))
    return MEANT.sub(lambda found: f"&#{ord(found[0])};", line)


def link(text: object, address: str) -> str:
    """Return a link if the address is a web address, else the text alone."""
    if not re.match(r"https?://", address):
        return escaped(text)
    return f"[{escaped(text)}]({quote(address, safe=':/?=&%-._~')})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. The cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def fenced(lines: Sequence[str]) -> str:
    """Return a code block. Nothing in the lines can end it."""
    shown = [plain(line) for line in lines]
    ticks = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, ticks + 1)
    return "\n".join([f"{fence}sh", *shown, fence])
