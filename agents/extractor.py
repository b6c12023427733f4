"""The lab's encoder as SB3's features extractor."""

from __future__ import annotations

from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.spec import InputSpec


class EncoderExtractor(BaseFeaturesExtractor):
    """Built by SB3 from the class and its arguments (twice for DQN: online and target), hence the factory.

    SB3 has preprocessed the observations: images are CHW in [0, 1], discrete ones are one-hot.
    """

    def __init__(self, observation_space: spaces.Space[object], *, encoder: EncoderFactory) -> None:
        built = encoder(input_spec(observation_space))
        super().__init__(observation_space, built.features_dim)
        self.encoder = built

    def forward(self, observations: Tensor) -> Tensor:
        return self.encoder(observations)  # type: ignore[no-any-return]


def input_spec(space: spaces.Space[object]) -> InputSpec:
    """Return what an encoder sees of observations from `space`. Raises ConfigError for composite spaces."""
    if isinstance(space, spaces.Box):
        return InputSpec(tuple(space.shape))
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        return InputSpec((spaces.utils.flatdim(space),))
    raise ConfigError(f"the lab's agents take one observation at a time, but this environment gives {space}")
