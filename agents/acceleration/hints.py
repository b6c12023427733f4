"""What `lab doctor` says of compiled programs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agents.acceleration.packages import supported
from lab.console.wording import count

if TYPE_CHECKING:
    from agents.core.agent import Agent

COMPILERS = ("g++", "clang++", "c++")


def compiler() -> str | None:
    """Return the C++ compiler that torch would find; None where there is none."""
    return next((found for name in COMPILERS if (found := shutil.which(name))), None)


def hints(agent: Agent, name: str) -> Sequence[str]:
    """Return whether compiled programs run in this agent, or how to get them."""
    if agent.packages.used:
        return [f"{count(len(agent.packages.used), 'compiled program')} took part; `lab compile {name}` made them."]
    if agent.device.type != "cpu" or agent.capture != "auto" or not supported() or compiler() is None:
        return []
    return [f"No compiled programs took part: `lab compile {name}` makes them, and measures what they gain."]
