"""Whether anything can be compiled on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import gettempdir

import torch

from agents.compiled.packages import TORCH, supported
from lab.console.wording import near

COMPILERS = ("g++", "clang++", "c++")


def obstacle() -> str | None:
    """Return why nothing can be compiled here; None where it can."""
    if not supported():
        return f"compiled programs need torch {TORCH[0]}.{TORCH[1]}"
    if not any(map(shutil.which, COMPILERS)):
        return f"compiling needs a C++ compiler ({', '.join(COMPILERS)}), and none was found"
    for what, place in (("PyTorch", Path(torch.__file__).parent), ("a folder for temporary files", Path(gettempdir()))):
        if " " in str(place):
            return f"compiling needs {what} in a path without spaces, received {near(place)}"
    return None
