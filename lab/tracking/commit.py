"""The git commit that a run was started from. git runs no program that a repository's own settings name."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from lab.finders.modules import within_run


def git_state() -> dict[str, Any] | None:
    """Return the commit of the working directory and whether it has changes; None outside a repository.

    None in the folder of a run too: it may be somebody else's, and git runs commands that a repository's settings name.
    Where a program reads files of the repository for git, whether it has changes is not asked, and None.
    """
    try:
        if within_run(Path.cwd()):
            return None
        commit = _git("rev-parse", "HEAD")
        changes = None if _has_filters() else _git(*STATUS)
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _has_filters() -> bool:
    """Whether programs read files of the repository for git: those that its own settings name, and the user's own
    where it has files for them, since they obey its settings too (git-lfs runs `lfs.extension.*.clean`)."""
    words = ("config", "--includes", "--show-scope", "--name-only", "--get-regexp", r"^filter\.")
    try:
        found = [line.split(None, 1) for line in _git(*words).splitlines()]
    except subprocess.CalledProcessError:  # there are none
        return False
    if any(scope not in ("system", "global", "command") for scope, _ in found):
        return True
    names = {setting.removeprefix("filter.").rpartition(".")[0] for _, setting in found}
    return any(not SIMPLE.fullmatch(name) or _git("ls-files", f":(top,attr:filter={name})") for name in names)


SIMPLE = re.compile(r"[\w-]+")
"""Names of filters that git can be asked about."""

STATUS = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
"""Inside submodules nothing is asked: each has settings of its own."""


def _git(*words: str) -> str:
    """Return what git prints. It runs no command that the repository's settings name, and no hook of it: it writes no
    index, and fetches no objects that a partial clone lacks."""
    settings = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
    command = [_program(), "--no-optional-locks", *settings, *words]
    closed = {**os.environ, "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
    return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True, env=closed).stdout.strip()


def _program() -> str:
    """Return the path of git in a folder of PATH, never in the working directory, where Windows looks first. Raises
    FileNotFoundError where there is none."""
    name = "git.exe" if os.name == "nt" else "git"
    for folder in os.get_exec_path():
        if os.path.isabs(folder) and os.access(path := os.path.join(folder, name), os.X_OK) and os.path.isfile(path):
            return path
    raise FileNotFoundError(name)
