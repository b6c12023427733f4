"""What is remembered of many runs beside their summaries: their configs, and how much disk space they take."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.system.disk import disk
from lab.system.remembered import Remembered, stamp_of

INSIDE = ("", "/checkpoints", "/artifacts", "/media", "/wandb")
"""Folders of a run whose time of change tells that files came or went."""


class Cache:
    """Remembers configs and sizes of the runs in a folder.

    Args:
        folder: of all runs.
    """

    def __init__(self, folder: Path) -> None:
        self.configs, self.sizes = Remembered("configs", folder), Remembered("sizes", folder)

    def config(self, key: str, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the config of the run in the folder `key`, which `read` reads where it has changed."""
        try:
            found = os.lstat(f"{key}/config.yaml")
        except OSError:
            return {}
        known = self.configs.get(key, stamp_of(found))
        values: dict[str, Any] = known if isinstance(known, dict) else read()
        if values is not known:
            self.configs.put(key, stamp_of(found), values, found.st_mtime)
        return values

    def size(self, key: str) -> int:
        """Return the bytes that the folder `key` takes."""
        times = []
        for name in INSIDE:
            with suppress(OSError):
                times.append(os.lstat(key + name).st_mtime_ns)
        stamp = ".".join(map(str, times))
        taken = self.sizes.get(key, stamp)
        if not isinstance(taken, int):
            taken = disk(Path(key))
            self.sizes.put(key, stamp, taken, max(times, default=0) / 1e9)
        return taken

    def save(self) -> None:
        """Keep it for the next time."""
        for one in (self.configs, self.sizes):
            one.save()
