"""A rollout by one function of policy and environments is the one that the loop over steps collects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.wrappers import TimeLimit

from agents.acceleration.captured import Capture
from agents.core.agent import Agent
from agents.environments.settings import EnvSettings
from agents.ppo import PPO
from lab.errors import ConfigError
from tests.support.tasks import dqn, ppo, weights

COPIES = 4


def agent(id: str, *, together: bool, capture: Capture = "auto", **settings: Any) -> Agent:
    env = EnvSettings(id, num_envs=COPIES, vectorization="tensors")
    made = ppo(env.make_vec(0, env.plan()), 0, capture=capture, **settings)
    assert isinstance(made, PPO)
    assert made.rolling is not None
    if not together:
        made.rolling = None
    return made


SHARED: dict[str, Any] = {}
OWN: dict[str, Any] = {"share_encoder": False, "normalize_rewards": True}


@pytest.mark.parametrize(
    ("id", "settings"),
    [
        pytest.param("CartPole-v1", SHARED, id="shared-CartPole-v1"),
        pytest.param("Pendulum-v1", OWN, id="own-Pendulum-v1"),
        pytest.param("CartPole-v1", OWN, id="own-CartPole-v1", marks=pytest.mark.slow),
        pytest.param("Pendulum-v1", SHARED, id="shared-Pendulum-v1", marks=pytest.mark.slow),
        pytest.param("Acrobot-v1", SHARED, id="shared-Acrobot-v1", marks=pytest.mark.slow),
        pytest.param("Acrobot-v1", OWN, id="own-Acrobot-v1", marks=pytest.mark.slow),
    ],
)
def test_rollouts_are_those_of_the_loop(id: str, settings: dict[str, Any]) -> None:
    found = []
    for together in (True, False):
        learner = agent(id, together=together, **settings)
        torch.manual_seed(0)
        learner.learn(40 * COPIES * 8)
        found.append(learner)
    ours, theirs = found
    assert ours.num_timesteps == theirs.num_timesteps
    assert [(e["r"], e["l"]) for e in ours.ep_info_buffer or ()] == [
        (e["r"], e["l"]) for e in theirs.ep_info_buffer or ()
    ]
    for name in ("observations", "actions", "rewards", "starts", "values", "advantages"):
        one, other = (torch.as_tensor(getattr(each.rollout_buffer, name)) for each in (ours, theirs))  # type: ignore[attr-defined]
        assert torch.equal(one, other), name
    assert torch.equal(weights(ours.policy), weights(theirs.policy))


def test_steps_are_captured() -> None:
    learner = agent("CartPole-v1", together=True)
    learner.learn(512)
    assert learner.rolling.steps.proven  # type: ignore[attr-defined]


def test_plain_steps_are_the_same() -> None:
    found = [agent("CartPole-v1", together=True, capture=capture) for capture in ("auto", "never")]
    for learner in found:
        torch.manual_seed(0)
        learner.learn(512)
    assert torch.equal(*(weights(learner.policy) for learner in found))


@pytest.mark.parametrize("steps", [5, 11, 12])
def test_any_number_of_steps(steps: int) -> None:
    """What is taken at once divides the number of steps: all of 5, 1 of 11, 6 of 12."""
    found = []
    for rolls in (True, False):
        learner = agent("CartPole-v1", together=rolls, n_steps=steps, batch_size=COPIES * steps)
        torch.manual_seed(0)
        learner.learn(20 * COPIES * steps)
        found.append(learner)
    assert torch.equal(*(weights(learner.policy) for learner in found))


def test_states_lie_in_memory_as_in_a_resumed_run() -> None:
    """A compiled program is found by its operations, to which the strides of tensors belong."""
    env = EnvSettings("CartPole-v1", num_envs=1, vectorization="tensors")
    learner = dqn(env.make_vec(0, env.plan()))
    learner.learn(8)
    assert learner.rolling is not None
    state = learner.rolling.state
    assert [part.stride() for part in state] == [torch.empty(part.shape).stride() for part in state]


@pytest.mark.parametrize("copies", [1, 3])
def test_off_policy_steps_are_those_of_the_loop(copies: int) -> None:
    found = []
    for rolls in (True, False):
        env = EnvSettings("CartPole-v1", num_envs=copies, vectorization="tensors")
        learner = dqn(env.make_vec(0, env.plan()), exploration_fraction=0.5, target_update_interval=30)
        assert learner.rolling is not None
        if not rolls:
            learner.rolling = None
        torch.manual_seed(0)
        learner.learn(1500)
        found.append(learner)
    ours, theirs = found
    rows = ours.replay_buffer.size()
    assert rows == theirs.replay_buffer.size() == -(-1500 // copies // 8) * 8
    for name in ("observations", "next_observations", "actions", "rewards", "terminated", "truncated"):
        one, other = (getattr(each.replay_buffer, name)[:rows] for each in found)
        assert np.array_equal(one, other), name
    assert [(e["r"], e["l"]) for e in ours.ep_info_buffer or ()] == [
        (e["r"], e["l"]) for e in theirs.ep_info_buffer or ()
    ]
    assert torch.equal(weights(ours.policy), weights(theirs.policy))


@pytest.mark.parametrize("kind", ["ppo", "dqn"])
def test_environments_go_back_where_a_callback_ends_training(kind: str) -> None:
    """Training goes on from the step that the callback saw last, as it does step by step."""
    found = []
    for rolls in (True, False):
        env = EnvSettings("CartPole-v1", num_envs=2, vectorization="tensors")
        learner: Any = {"ppo": ppo, "dqn": dqn}[kind](env.make_vec(0, env.plan()), 0)
        assert learner.rolling is not None
        if not rolls:
            learner.rolling = None
        torch.manual_seed(0)
        seen: list[Any] = []

        def look(local: dict[str, Any], _: Any, seen: list[Any] = seen) -> bool:
            seen.append(local["self"]._last_obs.copy())
            return len(seen) != 21

        learner.learn(1000, callback=look)
        torch.manual_seed(1)
        learner.learn(200, callback=look, reset_num_timesteps=False)
        found.append(np.stack(seen))
    ours, theirs = found
    assert np.array_equal(ours, theirs)


def test_time_limits_are_bootstrapped() -> None:
    learner = agent("Pendulum-v1", together=True, gamma=0.9, learning_rate=0.0, n_steps=208)
    with torch.no_grad():
        learner.policy.value_net.weight.zero_()  # type: ignore[operator, union-attr]
        learner.policy.value_net.bias.fill_(100.0)  # type: ignore[operator, union-attr]
    learner.learn(208 * COPIES)  # an episode has 200 steps, whose rewards are at most 0
    assert {e["l"] for e in learner.ep_info_buffer or ()} == {200}
    rewards = torch.as_tensor(learner.rollout_buffer.rewards)  # type: ignore[attr-defined]
    assert bool((rewards[199] > 50).all()), "0.9 times the value of the last state is added"
    assert bool((torch.cat([rewards[:199], rewards[200:]]) <= 0).all())


@pytest.mark.parametrize(
    "settings",
    [{"id": "MountainCarContinuous-v0"}, {"id": "CartPole-v1", "wrappers": [lambda env: TimeLimit(env, 9)]}],
    ids=["no function of tensors", "wrapped"],
)
def test_other_environments_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="is no function of tensors; auto, native, sync or async"):
        EnvSettings(vectorization="tensors", **settings).plan()
