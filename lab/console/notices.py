"""The console for everything that is said while working, and lines on it that stand out."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from lab.console.plain import plain


class _Console(Console):
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


console = _Console(stderr=True, highlight=False, width=width_of(sys.stderr))
"""Messages and progress go to stderr; stdout carries results alone."""

NOTICE = "! "
"""Beginning of a notice."""


def notice(text: str) -> None:
    """Print one line that stands out."""
    line = Text(f"{NOTICE}{plain(text)}", style="bold yellow")  # a Text: brackets in it are no markup
    console.print(line, soft_wrap=True)
