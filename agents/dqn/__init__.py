"""Deep Q-learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from agents.dqn.dqn import DQN

__all__ = ["DQN"]

__getattr__, __dir__ = lazily(__name__, {"DQN": "agents.dqn.dqn"})
