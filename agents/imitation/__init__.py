"""Agents that learn from recorded episodes of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from agents.imitation.cloning import BehaviourCloning

__all__ = ["BehaviourCloning"]

__getattr__, __dir__ = lazily(__name__, {"BehaviourCloning": "agents.imitation.cloning"})
