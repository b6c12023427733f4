"""Proximal policy optimization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from agents.ppo.ppo import PPO

__all__ = [
    "PPO",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "PPO": "agents.ppo.ppo",
    },
)
