"""The console for everything that is said while working, and lines on it that stand out."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text


class _Console(Console):
    """Prints nothing more once its terminal or pipe is closed: that must not end a run."""

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*objects, **options)
        except OSError:
            self.quiet = True

    def on_broken_pipe(self) -> None:
        self.quiet = True


console = _Console(stderr=True, highlight=False)
"""Messages and progress go to stderr; stdout carries results alone."""

NOTICE = "! "
"""Beginning of a notice."""


def notice(text: str) -> None:
    """Print one line that stands out."""
    console.print(Text(f"{NOTICE}{text}", style="bold yellow"), soft_wrap=True)  # a Text: brackets in it are no markup
