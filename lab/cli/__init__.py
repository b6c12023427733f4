"""The `lab` command: `main` starts it, each command is a file in a room, and `views` draws what commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from lab.cli.main import entry

__all__ = ["entry"]

__getattr__, __dir__ = lazily(__name__, {"entry": "lab.cli.main"})
