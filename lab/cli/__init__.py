"""The `lab` command: in `main` how it starts, one file per command beside it, in `views` what they print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from lab.cli.main import entry

__all__ = ["entry"]

__getattr__ = lazily(__name__, {"entry": "lab.cli.main"})
