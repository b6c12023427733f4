"""Distributions over actions, as functions of the policy's last layer: one for each kind of action space."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor

from lab.errors import ConfigError


class ActionDistribution(ABC):
    """Over actions `(B, *action_shape)`, given `outputs` `(B, P)` of the policy and the layer `latent` `(B, L)` below.

    SB3 builds an object for each batch; these functions are faster in the innermost loop.
    """

    @abstractmethod
    def sample(self, outputs: Tensor, latent: Tensor) -> Tensor:
        """Draw actions."""

    @abstractmethod
    def mode(self, outputs: Tensor) -> Tensor:
        """Return the likeliest actions."""

    @abstractmethod
    def log_prob(self, outputs: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
        """Return the log-probabilities `(B,)` of `actions`."""

    @abstractmethod
    def entropy(self, outputs: Tensor, latent: Tensor) -> Tensor:
        """Return the entropies `(B,)`."""

    def resample(self, num_envs: int) -> None:  # noqa: B027, most keep nothing
        """Redraw the noise that exploration keeps from step to step, one row per environment."""


class Categorical(ActionDistribution):
    """One of `n` actions; `outputs` are logits."""

    def sample(self, outputs: Tensor, latent: Tensor) -> Tensor:
        return _draw(outputs)

    def mode(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(1)

    def log_prob(self, outputs: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
        return outputs.log_softmax(1).gather(1, actions[:, None]).squeeze(1)

    def entropy(self, outputs: Tensor, latent: Tensor) -> Tensor:
        log_probs = outputs.log_softmax(1)
        return -(log_probs.exp() * log_probs).sum(1)


class MultiCategorical(ActionDistribution):
    """Several independent choices; `outputs` are their concatenated logits.

    Args:
        sizes: number of actions of each choice.
    """

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes

    def sample(self, outputs: Tensor, latent: Tensor) -> Tensor:
        return torch.stack([_draw(logits) for logits in torch.split(outputs, self.sizes, 1)], 1)

    def mode(self, outputs: Tensor) -> Tensor:
        return torch.stack([logits.argmax(1) for logits in torch.split(outputs, self.sizes, 1)], 1)

    def log_prob(self, outputs: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
        parts = [logits.log_softmax(1) for logits in torch.split(outputs, self.sizes, 1)]
        return torch.cat([part.gather(1, actions[:, i : i + 1]) for i, part in enumerate(parts)], 1).sum(1)

    def entropy(self, outputs: Tensor, latent: Tensor) -> Tensor:
        parts = [logits.log_softmax(1) for logits in torch.split(outputs, self.sizes, 1)]
        return torch.stack([-(part.exp() * part).sum(1) for part in parts]).sum(0)


class Bernoulli(ActionDistribution):
    """Several independent switches; `outputs` are the logits of each being on."""

    def sample(self, outputs: Tensor, latent: Tensor) -> Tensor:
        return (torch.rand_like(outputs) < outputs.sigmoid()).to(torch.int8)

    def mode(self, outputs: Tensor) -> Tensor:
        return (outputs > 0).to(torch.int8)

    def log_prob(self, outputs: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(outputs, actions.float(), reduction="none").sum(1)

    def entropy(self, outputs: Tensor, latent: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, outputs.sigmoid(), reduction="none").sum(1)


class Gaussian(ActionDistribution):
    """Independent normal actions; `outputs` are their means.

    Args:
        log_std: `(A,)`, a parameter of the policy.
    """

    def __init__(self, log_std: Tensor) -> None:
        self.log_std = log_std

    def sample(self, outputs: Tensor, latent: Tensor) -> Tensor:
        return outputs + self.log_std.exp() * torch.randn_like(outputs)

    def mode(self, outputs: Tensor) -> Tensor:
        return outputs

    def log_prob(self, outputs: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
        return _normal_log_prob(actions, outputs, self.log_std)

    def entropy(self, outputs: Tensor, latent: Tensor) -> Tensor:
        return _normal_entropy(self.log_std.expand_as(outputs))


class StateDependentNoise(ActionDistribution):
    """gSDE (Raffin et al. 2022): the noise is a linear function of the state and is redrawn rarely, so that exploration
    is smooth.

    Args:
        log_std: `(L, A)`, a parameter of the policy: logarithm of the standard deviation of the function's weights.
    """

    def __init__(self, log_std: Tensor) -> None:
        self.log_std = log_std
        self.weights: Tensor | None = None

    def resample(self, num_envs: int) -> None:
        with torch.no_grad():
            std = self.log_std.exp().expand(num_envs, *self.log_std.shape)
            self.weights = torch.normal(torch.zeros_like(std), std)

    def sample(self, outputs: Tensor, latent: Tensor) -> Tensor:
        if self.weights is None or len(self.weights) != len(outputs):
            self.resample(len(outputs))
        assert self.weights is not None
        return outputs + torch.bmm(latent[:, None], self.weights).squeeze(1)

    def mode(self, outputs: Tensor) -> Tensor:
        return outputs

    def log_prob(self, outputs: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
        return _normal_log_prob(actions, outputs, self._log_std(latent))

    def entropy(self, outputs: Tensor, latent: Tensor) -> Tensor:
        return _normal_entropy(self._log_std(latent))

    def _log_std(self, latent: Tensor) -> Tensor:
        """Of the actions, `(B, A)`. The features get no gradient from the noise: hence `detach`, as in SB3."""
        variance = latent.detach().square() @ self.log_std.exp().square()
        return 0.5 * (variance + 1e-6).log()


def require_actions(space: spaces.Space[object]) -> None:
    """Raise ConfigError for an action space that no agent of the lab supports."""
    discrete = isinstance(space, spaces.Discrete) and space.start == 0
    choices = isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1 and not space.start.any()
    switches = isinstance(space, spaces.MultiBinary) and isinstance(space.n, int)
    real = isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating) and len(space.shape) == 1
    if not (discrete or choices or switches or real):
        raise ConfigError(
            "the lab's agents take Discrete, MultiDiscrete, MultiBinary and real Box actions, of one axis and counted "
            f"from 0, but this environment's action space is {space}"
        )
    if isinstance(space, spaces.Box) and not space.is_bounded():
        raise ConfigError(f"Box actions need finite bounds, but this environment's action space is {space}")


def action_distribution(space: spaces.Space[object], log_std: Tensor | None, *, gsde: bool) -> ActionDistribution:
    """Return the distribution for an action space. Raises ConfigError if the lab has none."""
    require_actions(space)
    if isinstance(space, spaces.Discrete):
        return Categorical()
    if isinstance(space, spaces.MultiDiscrete):
        return MultiCategorical([int(n) for n in space.nvec])
    if isinstance(space, spaces.MultiBinary):
        return Bernoulli()
    assert log_std is not None
    return StateDependentNoise(log_std) if gsde else Gaussian(log_std)


def _draw(logits: Tensor) -> Tensor:
    """Draw from each row by the Gumbel-max trick (Maddison et al. 2014), written with an exponential."""
    return (logits - torch.empty_like(logits).exponential_().log_()).argmax(1)


def _normal_log_prob(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log-density `(B,)` of independent normals `(B, A)`."""
    z = (x - mean) * (-log_std).exp()
    return -(0.5 * z.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(1)


def _normal_entropy(log_std: Tensor) -> Tensor:
    return (0.5 + 0.5 * math.log(2 * math.pi) + log_std).sum(1)
