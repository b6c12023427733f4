"""The off-policy base serves more than DQN: continuous actions, two optimizers, a target network, exact resume."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from agents.acceleration.captured import Capture
from agents.buffers.replay import Replay, Sample
from agents.core.off_policy import OffPolicy
from agents.core.state import agent_state, load_agent_state, load_randomness, load_replay
from agents.core.targets import follow
from agents.environments.vector import Environments
from lab.encoders.base import Encoder
from tests.agents.core.test_state import same, saved
from tests.support.tasks import CPU, Identity, mean_return, together, weights

BOX = spaces.Box(np.array([-1, 0], np.float32), np.array([1, 4], np.float32))


class TwoNets(BasePolicy):
    """An actor, a critic and its target, each with an optimizer of its own but for the target."""

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Box, schedule: Any) -> None:
        super().__init__(observation_space, action_space)
        seen, acted = spaces.flatdim(observation_space), spaces.flatdim(action_space)
        self.low, self.high = torch.as_tensor(action_space.low), torch.as_tensor(action_space.high)
        self.actor = nn.Sequential(nn.Linear(seen, 32), nn.ReLU(), nn.Linear(32, acted), nn.Sigmoid())
        self.critic = nn.Sequential(nn.Linear(seen + acted, 64), nn.ReLU(), nn.Linear(64, 1))
        self.critic_target = copy.deepcopy(self.critic)
        self.optimizer = torch.optim.Adam(self.actor.parameters(), lr=schedule(1), fused=True)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=schedule(1), fused=True)

    def forward(self, observations: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * self.actor(observations)  # type: ignore[no-any-return]

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        return self(observation)  # type: ignore[no-any-return]

    def q(self, critic: nn.Module, observations: Tensor, actions: Tensor) -> Tensor:
        return critic(torch.cat((observations, actions), 1)).squeeze(1)  # type: ignore[no-any-return]


class Toy(OffPolicy):
    """A deterministic policy gradient (Lillicrap et al. 2016) with Gaussian exploration."""

    policy: TwoNets

    def __init__(self, env: Environments, seed: int = 0, capture: Capture = "auto", **settings: Any) -> None:
        super().__init__(
            TwoNets,
            env,
            3e-3,
            capture=capture,
            replay_buffer_class=Replay,
            buffer_size=settings.pop("buffer_size", 2000),
            learning_starts=64,
            batch_size=32,
            tau=0.05,
            gamma=0.5,
            train_freq=4,
            gradient_steps=4,
            seed=seed,
            device=CPU,
            sde_support=False,
            support_multi_env=True,
        )
        self._setup_model()
        self.set_logger(Logger(None, []))
        self.critic_descent = self.make_descent(self.critic_loss, self.policy.critic_optimizer, 1.0)
        self.actor_descent = self.make_descent(self.actor_loss, self.policy.optimizer, 1.0)

    def critic_loss(self, observations: Tensor, actions: Tensor, targets: Tensor) -> Sequence[Tensor]:
        values = self.policy.q(self.policy.critic, observations, actions)
        return ((values - targets).square().mean(),)

    def actor_loss(self, observations: Tensor) -> Sequence[Tensor]:
        return (-self.policy.q(self.policy.critic, observations, self.policy(observations)).mean(),)

    def train(self, gradient_steps: int, batch_size: int) -> None:
        policy = self.policy
        self.critic_descent.renew()
        self.actor_descent.renew()
        for _ in range(gradient_steps):
            batch: Sample = self.replay_buffer.sample(batch_size)
            observations, following = batch.observations, batch.next_observations
            assert isinstance(observations, Tensor)
            assert isinstance(following, Tensor)
            with torch.no_grad():
                targets = batch.rewards + batch.discounts * policy.q(policy.critic_target, following, policy(following))
            self.critic_descent.backward(observations, batch.actions, targets)
            self.critic_descent.step()
            self.actor_descent.backward(observations)
            self.actor_descent.step()
            follow(policy.critic_target, policy.critic, self.tau)
        self._n_updates += gradient_steps

    def exploration(self, count: int) -> Callable[[int, Any], np.ndarray[Any, Any]]:
        anything = self.random_actions(count)
        noise = 0.2 * torch.randn(count, self.n_envs, 2).numpy()

        def explore(t: int, observations: Any) -> np.ndarray[Any, Any]:
            if self.num_timesteps < self.learning_starts:
                return np.asarray(anything[t])
            return np.asarray(np.clip(self.act(observations)[0] + noise[t], BOX.low, BOX.high))

        return explore

    def act(self, observations: Any, memory: Any = None) -> tuple[np.ndarray[Any, Any], Any]:
        with torch.no_grad():
            return self.policy(torch.from_numpy(observations)).numpy(), None

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"actor": self.policy.optimizer, "critic": self.policy.critic_optimizer}

    @property
    def encoder(self) -> Encoder:
        raise NotImplementedError


def environments() -> Environments:
    return together(lambda: Identity(BOX), 2)


def test_continuous_actions_are_learned() -> None:
    agent = Toy(environments(), capture="auto")
    before = mean_return(agent, lambda: Identity(BOX), 5)
    agent.learn(6000)
    assert mean_return(agent, lambda: Identity(BOX), 5) > max(before, 7.2), "of at most 8"


def test_capture_changes_no_bit() -> None:
    agents = [Toy(environments(), capture=capture) for capture in ("auto", "never")]
    for agent in agents:
        torch.manual_seed(3)
        agent.learn(512)
    assert torch.equal(*(weights(agent.policy) for agent in agents))
    assert agents[0].critic_descent._follow.proven
    assert agents[0].actor_descent._follow.proven


@pytest.mark.parametrize(
    ("space", "dtype", "shape"),
    [
        (BOX, np.float32, (2,)),
        (spaces.Box(-1, 1, (2, 3), np.float64), np.float64, (2, 3)),
        (spaces.Discrete(3), np.int64, ()),
        (spaces.MultiBinary(4), np.int8, (4,)),
        (spaces.MultiDiscrete([2, 3]), np.int64, (2,)),
    ],
)
def test_replay_keeps_actions_as_they_are(space: spaces.Space[Any], dtype: Any, shape: tuple[int, ...]) -> None:
    replay = Replay(20, spaces.Box(-1, 1, (2,), np.float32), space, n_envs=2)
    assert replay.actions.dtype == dtype
    assert replay.actions.shape == (10, 2, *shape)


def test_random_actions_fill_the_space() -> None:
    agent = Toy(environments())
    drawn = agent.random_actions(1000).reshape(-1, 2)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.mean(0), [0, 2], atol=0.1)
    np.testing.assert_allclose([drawn.min(0), drawn.max(0)], [BOX.low, BOX.high], atol=0.02)


@pytest.mark.parametrize("buffer_size", [150, 2000])
def test_a_resumed_run_is_the_same(tmp_path: Path, buffer_size: int) -> None:
    agent, other = (Toy(environments(), buffer_size=buffer_size) for _ in range(2))
    agent.learn(320)
    state, segments = saved(agent, tmp_path)
    assert set(state["optimizers"]) == {"actor", "critic"}
    agent.learn(256, reset_num_timesteps=False)

    other._setup_learn(10)
    assert load_agent_state(other, state) == []
    load_replay(other.replay_buffer, segments, other.rows_added)
    load_randomness(other, state)
    other.learn(256, reset_num_timesteps=False)
    assert same(agent_state(other), agent_state(agent)) == []
    np.testing.assert_array_equal(other.replay_buffer.actions, agent.replay_buffer.actions)


def test_following_moves_by_tau() -> None:
    leader, follower = (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)) for _ in range(2))
    leader(torch.randn(8, 2))
    expected = 0.75 * weights(follower) + 0.25 * weights(leader)
    follow(follower, leader, 0.25)
    torch.testing.assert_close(weights(follower), expected)
    assert all(torch.equal(a, b) for a, b in zip(follower.buffers(), leader.buffers(), strict=True))
