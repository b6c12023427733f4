"""Whether anything can be compiled on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from tempfile import gettempdir

import torch

from agents.compiled.packages import TORCH, supported
from lab.console.wording import near

COMPILER = "clang++" if sys.platform == "darwin" else "g++"
"""Torch's choice, where the variable `CXX` names no other."""


def obstacle() -> str | None:
    """Return why nothing can be compiled here; None where it can."""
    if not supported():
        return f"compiled programs need torch {TORCH[0]}.{TORCH[1]}"
    compiler = os.environ.get("CXX", COMPILER)
    if not shutil.which(compiler):
        return f"compiling needs a C++ compiler, and {compiler} was not found; the variable CXX can name another one"
    for what, place in (("PyTorch", Path(torch.__file__).parent), ("a folder for temporary files", Path(gettempdir()))):
        if " " in str(place):
            return f"compiling needs {what} in a path without spaces, received {near(place)}"
    return None
