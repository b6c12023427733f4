"""The lab's encoder as SB3's features extractor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, preprocess_obs
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from agents.networks.normalization import RunningNorm
from agents.spaces.observations import Tensors, each, rows_of
from lab.data.spec import InputSpec
from lab.encoders.base import EncoderFactory, RecurrentEncoder
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError

RecurrentState = tuple[Tensor, ...]
"""The state that recurrent encoders carry from step to step, tensors `(B, ...)`; empty for all others."""


class EncoderExtractor(BaseFeaturesExtractor):
    """Built by SB3 from the class and its arguments (twice for DQN: online and target), hence the factory.

    SB3 has preprocessed the observations: images are CHW in [0, 1], discrete ones are one-hot.

    Args:
        encoder: the factory.
        norm: normalises observations before the encoder; all extractors of an agent share it.
    """

    def __init__(
        self, observation_space: spaces.Space[Any], *, encoder: EncoderFactory, norm: RunningNorm | None = None
    ) -> None:
        built = build_encoder(encoder, input_spec(observation_space))
        super().__init__(observation_space, built.features_dim)
        self.space, self.encoder, self.norm = observation_space, built, norm
        self.plain = isinstance(observation_space, spaces.Box) and not is_image_space(observation_space)

    @property
    def recurrent(self) -> bool:
        """Whether the encoder is recurrent."""
        return isinstance(self.encoder, RecurrentEncoder)

    def forward(self, observations: Tensors) -> Tensor:
        """Return features `(B, D)` of observations as SB3 prepares them."""
        if self.norm is not None:
            observations = self.norm(observations)
        if isinstance(encoder := self.encoder, RecurrentEncoder):
            rows = rows_of(observations)
            state = encoder.initial_state(rows)
            start = state[0].new_zeros(rows)
            return encoder.step(observations, state, start)[0]  # type: ignore[arg-type]  # maybe a dict
        return encoder(observations)  # type: ignore[no-any-return]

    def features(self, observations: Tensors) -> Tensor:
        """Return features `(B, D)` of raw observations `(B, *shape)`."""
        return self.forward(self._prepared(observations))

    def step(self, observations: Tensors, memory: RecurrentState, starts: Tensor) -> tuple[Tensor, RecurrentState]:
        """Return features `(B, D)` and the next memory; `starts` `(B,)` is 1 where an episode begins."""
        return self._memory().step(self._normed(observations), memory, starts)  # type: ignore[arg-type]

    def unroll(self, observations: Tensors, memory: RecurrentState, starts: Tensor) -> Tensor:
        """Return features `(T, B, D)` of raw observations `(T, B, *shape)`, from the memory before the first."""
        steps, rows = starts.shape
        flat = self._normed(each(lambda x: x.flatten(0, 1), observations))
        sequences = each(lambda x: x.unflatten(0, (steps, rows)), flat)
        return self._memory().unroll(sequences, memory, starts)[0]

    def _memory(self) -> RecurrentEncoder:
        assert isinstance(self.encoder, RecurrentEncoder)
        return self.encoder

    def _normed(self, observations: Tensors) -> Tensors:
        prepared = self._prepared(observations)
        return prepared if self.norm is None else self.norm(prepared)  # type: ignore[no-any-return]

    def _prepared(self, observations: Tensors) -> Any:
        if self.plain:
            return observations.float()  # type: ignore[union-attr]  # the common case, and the innermost loop
        if isinstance(self.space, spaces.Box):
            return scaled(observations)  # type: ignore[arg-type]
        return preprocess_obs(observations, self.space)


def scaled(images: Tensor) -> Tensor:
    """Return bytes `(B, C, H, W)` as floats in [0, 1]. On the CPU they lie in memory as `(B, H, W, C)`, on which
    convolutions are a third faster there; nothing else changes."""
    layout = torch.channels_last if images.device.type == "cpu" and images.dim() == 4 else torch.preserve_format
    return images.to(torch.float32, memory_format=layout).div_(255)


def input_spec(space: spaces.Space[Any]) -> Any:
    """Return the spec of observations from `space` for an encoder: an InputSpec, or a dict of them.

    Raises ConfigError for spaces that no encoder takes.
    """
    if isinstance(space, spaces.Dict) and not any(isinstance(part, spaces.Dict) for part in space.values()):
        return {key: input_spec(part) for key, part in space.items()}
    if isinstance(space, spaces.Box) and space.shape:
        return InputSpec(tuple(space.shape))
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete) and np.any(space.start):
        raise ConfigError(f"the lab counts discrete observations from 0, but this environment gives {space}")
    many_axes = isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim > 1
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary) and not many_axes:
        return InputSpec((spaces.utils.flatdim(space),))
    raise ConfigError(
        "the lab's encoders take Box observations of one axis or more, Discrete, MultiBinary, MultiDiscrete of one "
        f"axis, and Dict of these, but this environment gives {space}; gymnasium.wrappers.FlattenObservation under "
        "env.wrappers may make a vector of it"
    )


def running_norm(space: spaces.Space[Any]) -> RunningNorm:
    """Return a normaliser for observations from `space`. Raises ConfigError unless they are vectors of numbers."""
    if isinstance(space, spaces.Box) and not is_image_space(space):
        return RunningNorm(tuple(space.shape))
    raise ConfigError(f"agent.normalize_observations needs vectors of numbers, but this environment gives {space}")
