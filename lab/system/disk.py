"""How much disk space a run takes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def disk(folder: Path) -> int:
    """Return the bytes that a folder with all its content takes up, as `du` counts them, or the sum of its files'
    lengths where the system does not report blocks. Links are counted, but not what they point to."""
    taken, folders = 0, [os.fspath(folder)]
    with suppress(OSError):
        taken += _taken(os.lstat(folder))
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:  # removed meanwhile, or not readable
            for entry in entries:
                with suppress(OSError):
                    taken += _taken(entry.stat(follow_symlinks=False))
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
    return taken


def _taken(found: os.stat_result) -> int:
    return 512 * found.st_blocks if hasattr(found, "st_blocks") else found.st_size
