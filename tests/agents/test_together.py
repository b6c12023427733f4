"""Episodes of evaluation in a native vector are those that environments of their own play, number by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.environments.cartpole_vectors import CartPoleVector
from agents.environments.settings import EnvSettings
from agents.evaluation.episodes import episode_seeds, play_episodes
from agents.evaluation.together import play_together
from agents.networks.extractor import RecurrentState
from agents.spaces.observations import alike
from lab.errors import EnvironmentFailedError
from lab.system.randomness import random_state

CPU = torch.device("cpu")

KINDS = ("CartPole-v1", *(f"agents.environments.cartpole:CartPole{kind}-v1" for kind in ("NoVel", "Masked", "Pixels")))


class Leans:
    """Pushes to the side on which it sees the pole lean, and remembers where it was: it falls sooner or later."""

    def act(
        self, observations: Any, memory: RecurrentState | None = None
    ) -> tuple[np.ndarray[Any, Any], RecurrentState | None]:
        seen = torch.from_numpy(np.asarray(observations, np.float32).reshape(len(observations), -1))
        angle = seen[:, -2] if seen.shape[1] == 4 else seen.mean(1)
        before = torch.zeros_like(angle) if memory is None else memory[0]
        return (angle + (angle - before) > 0).long().numpy(), (angle,)


@pytest.mark.parametrize("id", KINDS)
def test_vector_plays_the_same_episodes(id: str) -> None:
    seeds, settings = episode_seeds(3, "judge", 12), EnvSettings(id)
    together = play_together(Leans(), settings, seeds)
    alone = play_episodes(Leans(), settings, seeds, side_by_side=5, native=False)
    assert together is not None
    np.testing.assert_array_equal(together.returns, alone.returns)
    np.testing.assert_array_equal(together.lengths, alone.lengths)
    assert len(set(alone.lengths)) > 1, "short and long episodes count once each"


def test_training_may_differ_from_evaluation() -> None:
    settings = EnvSettings("CartPole-v1", resume="replay", training_wrappers=[gym.wrappers.TransformReward])  # type: ignore[list-item]
    assert play_together(Leans(), settings, [1, 2]) is not None
    assert play_together(Leans(), EnvSettings("Acrobot-v1"), [1, 2]) is None
    assert play_together(Leans(), EnvSettings("CartPole-v1", kwargs={"sutton_barto_reward": True}), [1, 2]) is None


class OneSeed(CartPoleVector):
    """Takes one seed for all copies, as Gymnasium's own vectors do."""

    def reset(self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None) -> Any:
        assert seed is None or isinstance(seed, int), "one seed"
        return super().reset(seed=seed, options=options)


class Lighter(CartPoleVector):
    """Begins the same episodes, and goes on in another way."""

    def step(self, actions: Any) -> Any:
        self.gravity = 9.7
        return super().step(actions)


class Failing(CartPoleVector):
    def step(self, actions: Any) -> Any:
        if self.num_envs > 4:
            raise RuntimeError("out of poles")
        return super().step(actions)


for kind in (OneSeed, Lighter, Failing):
    gym.register(
        f"LabTest{kind.__name__}-v0",
        entry_point="gymnasium.envs.classic_control.cartpole:CartPoleEnv",
        vector_entry_point=f"{__name__}:{kind.__name__}",
        max_episode_steps=500,
    )


@pytest.mark.parametrize("kind", [OneSeed, Lighter])
def test_other_episodes_are_not_played(kind: type[CartPoleVector]) -> None:
    settings = EnvSettings(f"LabTest{kind.__name__}-v0")
    assert settings.native_class() is not None
    assert play_together(Leans(), settings, [1, 2]) is None
    assert play_episodes(Leans(), settings, [1, 2]).lengths.min() > 1


def test_failing_vector_is_named() -> None:
    with pytest.raises(EnvironmentFailedError, match="environment LabTestFailing-v0 raised RuntimeError: out of poles"):
        play_episodes(Leans(), EnvSettings("LabTestFailing-v0"), range(6))


def test_the_random_state_stays() -> None:
    before = random_state(CPU)
    play_episodes(Leans(), EnvSettings("CartPole-v1"), [1, 2])
    assert alike(before, random_state(CPU))
