"""What `lab doctor` says of compiled programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agents.compiled.compilers import obstacle
from lab.console.wording import count

if TYPE_CHECKING:
    from agents.core.agent import Agent


def hints(agent: Agent, name: str) -> Sequence[str]:
    """Return whether compiled programs run in this agent, or how to get them."""
    if agent.packages.used:
        return [f"{count(len(agent.packages.used), 'compiled program')} took part."]
    if agent.device.type != "cpu" or agent.capture != "auto" or obstacle() is not None:
        return []
    return [f"No compiled programs took part: `lab compile {name}` makes them, and measures what they gain."]
