"""The git commit that a run was started from. git runs no program that a repository's own settings name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from lab.finders.modules import within_run


def git_state() -> dict[str, Any] | None:
    """Return the commit of the working directory and whether it has changes; None outside a repository.

    None in the folder of a run too: it may be somebody else's, and git runs commands that a repository's settings name.
    Where such settings say how to read files, whether it has changes is not asked, and None.
    """
    if within_run(Path.cwd()):
        return None
    try:
        commit = _git("rev-parse", "HEAD")
        changes = None if _has_filters() else _git(*STATUS)
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _has_filters() -> bool:
    """Whether the repository's own settings name programs that read its files."""
    words = ("config", "--includes", "--show-scope", "--name-only", "--get-regexp", r"^filter\.")
    try:
        scopes = {line.split()[0] for line in _git(*words).splitlines()}
    except subprocess.CalledProcessError:  # there are none
        return False
    return bool(scopes & {"local", "worktree", "unknown"})


STATUS = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
"""Inside submodules nothing is asked: each has settings of its own."""


def _git(*words: str) -> str:
    """Return what git prints. It runs no command that the repository's settings name, and no hook of it: it writes no
    index, and fetches no objects that a partial clone lacks."""
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", *words]
    closed = {**os.environ, "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
    return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True, env=closed).stdout.strip()
