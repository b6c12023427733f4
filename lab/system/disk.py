"""What a run takes on the disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def disk(folder: Path) -> int:
    """Return the bytes that a folder and all inside it take up, as `du` counts them; where the system does not say,
    the lengths of the files. Links count themselves, and what they point to does not."""
    taken, folders = 0, [os.fspath(folder)]
    with suppress(OSError):
        taken += _taken(os.lstat(folder))
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:  # gone meanwhile, or not ours to read
            for entry in entries:
                with suppress(OSError):
                    taken += _taken(entry.stat(follow_symlinks=False))
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
    return taken


def _taken(found: os.stat_result) -> int:
    return 512 * found.st_blocks if hasattr(found, "st_blocks") else found.st_size
