"""The consoles of results and of everything that is said while working, and lines that stand out."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from lab.console.plain import plain, plain_lines


class Terminal(Console):
    """Rich's console for everything that commands print; it takes rich's options. What it is given is text: no markup,
    and nothing that a terminal obeys, in whatever cell, title or line it stands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is printed. Rich's own commands to the terminal, such as those of a progress bar, are no text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain_lines(segment.text))


class _Console(Terminal):
    """Prints nothing more once its terminal or pipe is closed: that must not end a run."""

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*objects, **options)
        except UnicodeEncodeError:  # a terminal or file that lacks some characters
            del self._buffer[:]
            text = " ".join(map(str, objects)).encode(self.encoding, "backslashreplace").decode(self.encoding)
            super().print(Text(text), soft_wrap=True)
        except OSError:
            self.quiet = True

    def on_broken_pipe(self) -> None:
        self.quiet = True


PIPE_WIDTH = 160
"""Columns of what is printed into a file or a pipe, whether by stdout or by stderr."""


def width_of(stream: TextIO | None) -> int | None:
    """Return the width of what is printed to a stream, which may be closed: None for a terminal's own."""
    return None if stream is not None and stream.isatty() else PIPE_WIDTH


console = _Console(stderr=True, width=width_of(sys.stderr))
"""Messages and progress go to stderr; stdout carries results alone."""

NOTICE = "! "
"""Beginning of a notice."""


def notice(text: str) -> None:
    """Print one line that stands out."""
    line = Text(f"{NOTICE}{plain(text)}", style="bold yellow")  # a Text: brackets in it are no markup
    console.print(line, soft_wrap=True)
