"""Images with their channels last, as environments give them, become images with their channels first."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first


class ChannelsFirst(gym.ObservationWrapper[Any, Any, Any]):
    """Turns images `(H, W, C)` into `(C, H, W)`, as the lab's encoders take them, also inside a dict.

    Integers from 0 to 255 become bytes, which encoders see as [0, 1]. All others become float32 in [0, 1].
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.observation_space = _turned(env.observation_space)
        self.turns = _turns(env.observation_space)

    def observation(self, observation: Any) -> Any:
        return _turn(observation, self.turns)


def has_channels_last(space: spaces.Space[Any]) -> bool:
    """Whether there are images `(H, W, C)` in observations of `space`.

    An image has three axes, and values from 0 to 255 or from 0 to 1. Its channels are the shortest axis.
    """
    if isinstance(space, spaces.Dict):
        return any(has_channels_last(part) for part in space.spaces.values())
    if not isinstance(space, spaces.Box) or len(space.shape) != 3:
        return False
    if is_image_space(space):
        return not is_image_space_channels_first(space)
    bounded = not space.low.any() and any((space.high == most).all() for most in (1, 255))
    return bool(bounded and space.shape[2] < min(space.shape[:2]))


def turned_images(env: gym.Env[Any, Any]) -> list[str]:
    """Return a sentence for each kind of image that `ChannelsFirst` changes, except plain images of bytes."""
    if not isinstance(env, ChannelsFirst):
        return []
    space = env.env.observation_space
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else (space,)
    return [
        f"images (H, W, C) of {part.dtype}, {part.shape}, become (C, H, W) of {_turned(part).dtype}"
        for part in parts
        if has_channels_last(part) and part.dtype != np.uint8
    ]


def _turned(space: spaces.Space[Any]) -> spaces.Space[Any]:
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: _turned(part) for key, part in space.spaces.items()})
    if not has_channels_last(space):
        return space
    assert isinstance(space, spaces.Box)
    height, width, channels = space.shape
    if _as_bytes(space):
        return spaces.Box(0, 255, (channels, height, width), np.uint8)
    return spaces.Box(0, 1, (channels, height, width), np.float32)


class _Turn(NamedTuple):
    """How an image is turned: its shape before, and what its values are divided by; None where they are bytes."""

    shape: tuple[int, ...]
    divisor: float | None


def _turns(space: spaces.Space[Any]) -> Any:
    """Return a `_Turn` for an image whose channels are last and None for anything else; a dict of these for a Dict.
    Looking at all bounds takes longer than turning an image, so it is done once."""
    if isinstance(space, spaces.Dict):
        return {key: _turns(part) for key, part in space.spaces.items()}
    if not has_channels_last(space):
        return None
    assert isinstance(space, spaces.Box)
    return _Turn(space.shape, None if _as_bytes(space) else float(space.high.max()))


def _turn(observation: Any, turn: Any) -> Any:
    if isinstance(turn, dict):
        return {key: _turn(observation[key], part) for key, part in turn.items()}
    if turn is None or np.shape(observation) != turn.shape:  # others are refused later, in one sentence
        return observation
    image = np.ascontiguousarray(observation.transpose(2, 0, 1))
    return image if turn.divisor is None else (image / turn.divisor).astype(np.float32)


def _as_bytes(space: spaces.Box) -> bool:
    return space.dtype.kind in "iu" and bool((space.high == 255).all())
