"""What acts in an environment: a trained classifier of actions, or chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import Space

from agents.networks.extractor import RecurrentState

if TYPE_CHECKING:
    from agents.imitation.cloning import BehaviourCloning

SEED = 0  # of random actions


class Cloned:
    """Takes the likeliest action of a model.

    Args:
        model: gives logits of actions for observations.
    """

    def __init__(self, model: BehaviourCloning) -> None:
        self.model = model

    def act(self, observations: Any, memory: RecurrentState | None = None) -> tuple[np.ndarray[Any, Any], None]:
        """Return actions `(B,)` for observations `(B, *shape)`, and that nothing is remembered."""
        seen = torch.as_tensor(np.asarray(observations), device=self.model.device)
        seen = seen.float().div(255) if seen.dtype == torch.uint8 else seen.float()
        with self.model.at_rest(seed=0):
            return self.model(seen).argmax(1).cpu().numpy(), None


class Random:
    """Takes actions at random, the same ones each time it is made anew.

    Args:
        actions: their space.
    """

    def __init__(self, actions: Space[Any]) -> None:
        self.actions = actions
        self.actions.seed(SEED)

    def act(self, observations: Any, memory: RecurrentState | None = None) -> tuple[np.ndarray[Any, Any], None]:
        """Return actions `(B,)`, and that nothing is remembered."""
        return np.stack([self.actions.sample() for _ in observations]), None
