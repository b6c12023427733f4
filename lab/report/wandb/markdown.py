"""Markdown in which somebody else's names stay text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

MEANT = re.compile(
    r"[^\w\s\-/,+=%.:]"  # could begin a tag, a link or emphasis, or end a table's cell
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis, unless inside a word
    r"|:(?=\S)|(?<=www)\.",  # an address that becomes a link by itself
    re.IGNORECASE,
)


def plain(text: object) -> str:
    """Return text that Markdown shows as it is, in one line: what could mean something is a character reference,
    which by CommonMark never does."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    return MEANT.sub(lambda found: f"&#{ord(found[0])};", line)


def link(text: object, address: str) -> str:
    """Return a link, where the address is one of the web; else the text alone."""
    if not re.match(r"https?://", address):
        return plain(text)
    return f"[{plain(text)}]({quote(address, safe=':/?=&%-._~')})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def fenced(lines: Sequence[str]) -> str:
    """Return a block of code, which nothing in it can end."""
    shown = ["".join(letter if letter.isprintable() else "?" for letter in line) for line in lines]
    ticks = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, ticks + 1)
    return "\n".join([f"{fence}sh", *shown, fence])
