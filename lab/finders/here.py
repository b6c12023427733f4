"""The working directory on Python's path, where it answers every library, and on that of programs: it is taken off, and
kept off in what this process starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The folder of the lab's packages, which may be the working directory and stays."""


def keep_children_off() -> None:
    """Let no Python that this process starts from now on import from the working directory first, and no library find
    its programs there (`fc-list`). A worker process of `multiprocessing` begins with `-c`, which puts the working
    directory on Python's path; an empty part of PATH does so with programs."""
    os.environ["PYTHONSAFEPATH"] = "1"
    if _accidental():
        os.environ["PYTHONPATH"] = _elsewhere(os.environ["PYTHONPATH"])
    if programs := _elsewhere(os.environ.get("PATH", "")):
        os.environ["PATH"] = programs


def take_off() -> None:
    """Take the working directory off the path of this process and of its children, where PYTHONPATH has put it there by
    a part that is empty or `.`: mostly an accident (`PYTHONPATH=$PYTHONPATH:/mine`). A path in full is meant."""
    if _accidental() and (here := os.getcwd()) in sys.path:
        sys.path.remove(here)
    keep_children_off()


def _accidental() -> bool:
    """Whether a part of PYTHONPATH means the working directory, wherever that is."""
    given = os.environ.get("PYTHONPATH")
    if not given or not any(map(_is_here, given.split(os.pathsep))):
        return False
    try:
        return not ROOT.samefile(os.getcwd())
    except FileNotFoundError:  # it has been removed
        return False


def _elsewhere(parts: str) -> str:
    return os.pathsep.join(part for part in parts.split(os.pathsep) if not _is_here(part))


def _is_here(part: str) -> bool:
    return os.path.normpath(part) == os.curdir
