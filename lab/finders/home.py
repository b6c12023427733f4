"""The user's home folder, where the system knows none."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from lab.errors import EnvironmentFailedError


def find_home() -> None:
    """Give the user a home folder for keys and caches where the system knows none, as in a container with any user id:
    one of his own among the temporary ones. Raises EnvironmentFailedError where that belongs to somebody else."""
    try:
        Path.home()
    except RuntimeError:
        folder = Path(tempfile.gettempdir()) / f"lab-home-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise EnvironmentFailedError(
                f"there is no home folder for keys and caches, and {folder} is not yours alone; set the variable HOME"
            ) from None
        os.environ["HOME"] = str(folder)
