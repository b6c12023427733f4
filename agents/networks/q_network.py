"""DQN's networks: SB3's policy with a dueling head, and a faster path through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn

from agents.networks.extractor import EncoderExtractor
from agents.spaces.observations import Tensors


class DuelingHead(nn.Module):
    """Separate streams for state value and advantages: Q = V + A - mean(A) (Wang et al. 2016, equation 9).

    Args:
        features_dim: width of the features.
        actions: number of actions.
        net_arch: widths of further layers, for each of the two streams.
    """

    def __init__(self, features_dim: int, actions: int, net_arch: list[int]) -> None:
        super().__init__()
        self.value = nn.Sequential(*create_mlp(features_dim, 1, net_arch))
        self.advantage = nn.Sequential(*create_mlp(features_dim, actions, net_arch))

    def forward(self, features: Tensor) -> Tensor:
        """Return Q-values `(B, A)` of features `(B, D)`."""
        advantage = self.advantage(features)
        return self.value(features) + advantage - advantage.mean(1, keepdim=True)  # type: ignore[no-any-return]


class QNet(QNetwork):
    """SB3's network of Q-values; `dueling` replaces its head."""

    features_extractor: EncoderExtractor

    def __init__(self, *args: Any, dueling: bool = False, **settings: Any) -> None:
        super().__init__(*args, **settings)
        if dueling:
            assert isinstance(self.action_space, spaces.Discrete)
            self.q_net = DuelingHead(self.features_dim, int(self.action_space.n), self.net_arch)  # type: ignore[assignment]

    def values(self, observations: Tensors) -> Tensor:
        """Return Q-values `(B, A)` of raw observations `(B, *shape)`."""
        return self.q_net(self.features_extractor.features(observations))  # type: ignore[no-any-return]


class QPolicy(DQNPolicy):
    """SB3's policy with online and target network."""

    q_net: QNet
    q_net_target: QNet

    def __init__(self, *args: Any, dueling: bool = False, **settings: Any) -> None:
        self.dueling = dueling
        super().__init__(*args, **settings)

    @torch.no_grad()
    def next_values(self, observations: Tensors) -> Sequence[Tensor]:
        """Return the target network's values of observations, `(B, A)`, as a tuple of one."""
        return (self.q_net_target.values(observations),)

    def make_q_net(self) -> QNet:
        """Build a network; SB3 calls this for both."""
        settings = self._update_features_extractor(self.net_args, features_extractor=None)
        return QNet(**settings, dueling=self.dueling).to(self.device)
