"""What `lab doctor` says of compiled programs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import torch

from agents.acceleration.packages import TORCH, supported
from lab.console.wording import count, near

if TYPE_CHECKING:
    from agents.core.agent import Agent

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


def hints(agent: Agent, name: str) -> Sequence[str]:
    """Return whether compiled programs run in this agent, or how to get them."""
    if agent.packages.used:
        return [f"{count(len(agent.packages.used), 'compiled program')} took part; `lab compile {name}` made them."]
    if agent.device.type != "cpu" or agent.capture != "auto" or obstacle() is not None:
        return []
    return [f"No compiled programs took part: `lab compile {name}` makes them, and measures what they gain."]
