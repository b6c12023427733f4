"""Environments of tensors equal Gymnasium's step by step, reset only what has ended, and are traced as one program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from agents.environments.tensors.base import Stepped, TensorEnv
from agents.environments.tensors.cartpole import CartPole

COPIES = 3
BALANCING = torch.tensor([0.1, 0.2, 1.8, 0.4])
"""Of position, velocity, angle and angular velocity: push right where the sum is positive."""


class Case(NamedTuple):
    """An environment, Gymnasium's id of it, the first copy's actions, which reach an end that the random ones of the
    others do not, and whether an episode can end before the time limit."""

    id: str
    env: TensorEnv
    clever: Callable[[Tensor], Any]
    terminates: bool = True


CASES = [Case("CartPole-v1", CartPole(), lambda seen: seen[0] @ BALANCING > 0)]
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
ENVS = [case.env for case in CASES]
envs = pytest.mark.parametrize("env", ENVS, ids=lambda env: type(env).__name__)


def uniforms(env: TensorEnv, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(COPIES, env.draws, generator=generator, dtype=dtype)


def actions(env: TensorEnv, random: np.random.Generator) -> Tensor:
    space = env.action_space
    if isinstance(space, gym.spaces.Discrete):
        return torch.from_numpy(random.integers(space.n, size=COPIES))
    return torch.from_numpy(random.uniform(space.low, space.high, (COPIES, *space.shape)).astype(np.float32))


@cases
@precisions
def test_steps_equal_gymnasium(case: Case, dtype: torch.dtype) -> None:
    """From the same state, over whole episodes: the next state, rewards and both ways to end, the time limit too."""
    env, generator, random = case.env, torch.Generator().manual_seed(0), np.random.default_rng(0)
    theirs: list[Any] = [gym.make(case.id) for _ in range(COPIES)]
    for one in theirs:
        one.reset(seed=0)
    state = env.initial(uniforms(env, generator, dtype))
    found: list[tuple[Any, ...]] = []
    expected: list[tuple[Any, ...]] = []
    for _ in range(env.max_episode_steps):
        acted, noise = actions(env, random), uniforms(env, generator, dtype)
        acted[0] = torch.as_tensor(case.clever(env.observe(state)))
        moved, stepped = env.move(state, acted, noise), env.step(state, acted, noise)
        for i, one in enumerate(theirs):
            one.unwrapped.state = state.physics[i].double().numpy()
            seen, reward, terminated, truncated, _ = one.step(acted[i].numpy())
            expected.append((np.array(one.unwrapped.state), seen, reward, (terminated, truncated)))
            ended = (bool(stepped.terminated[i]), bool(stepped.truncated[i]))
            found.append((moved.state.physics[i].numpy(), stepped.last[i].numpy(), float(stepped.rewards[i]), ended))
            if terminated or truncated:
                one.reset()
        state = stepped.state
    (states, observations, rewards, ends), theirs = zip(*found, strict=True), list(zip(*expected, strict=True))
    digits = 2e-6 if dtype is torch.float32 else 1e-12
    np.testing.assert_allclose(states, theirs[0], rtol=digits, atol=digits)
    np.testing.assert_allclose(observations, theirs[1], rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(rewards, theirs[2], rtol=2e-6, atol=2e-6)
    assert ends == theirs[3]
    assert any(truncated for _, truncated in ends)
    assert any(terminated for terminated, _ in ends) is case.terminates


@cases
def test_spaces_equal_gymnasium(case: Case) -> None:
    theirs = gym.make(case.id)
    assert case.env.observation_space == theirs.observation_space
    assert case.env.action_space == theirs.action_space
    assert theirs.spec is not None
    assert case.env.max_episode_steps == theirs.spec.max_episode_steps


@cases
def test_first_states_are_those_of_gymnasium(case: Case) -> None:
    """The same range of each variable, both ends of it included, and its middle."""
    theirs: Any = gym.make(case.id).unwrapped
    found = np.array([theirs.reset(seed=seed)[0] is not None and np.array(theirs.state) for seed in range(200)])
    many = torch.rand(2000, case.env.draws, generator=torch.Generator().manual_seed(0))
    ours = case.env.initial(many).physics
    assert (case.env.initial(many).steps == 0).all()
    spread = np.ptp(found, axis=0)
    np.testing.assert_allclose(ours.min(0).values, found.min(0), atol=0.05 * spread.max())
    np.testing.assert_allclose(ours.max(0).values, found.max(0), atol=0.05 * spread.max())
    np.testing.assert_allclose(ours.mean(0), found.mean(0), atol=0.1 * spread.max())


def played(env: TensorEnv, steps: int) -> list[tuple[Any, Stepped]]:
    """Each state, and the step from there."""
    generator, random = torch.Generator().manual_seed(1), np.random.default_rng(1)
    state, found = env.initial(uniforms(env, generator)), []
    for _ in range(steps):
        found.append((state, env.step(state, actions(env, random), uniforms(env, generator))))
        state = found[-1][1].state
    return found


@envs
def test_only_ended_copies_are_reset(env: TensorEnv) -> None:
    """Copies begin at different steps of the time limit, so that they end one after the other."""
    generator, random = torch.Generator().manual_seed(0), np.random.default_rng(0)
    state = env.initial(uniforms(env, generator))
    state = state._replace(steps=env.max_episode_steps - 1 - torch.arange(COPIES, dtype=torch.int32) % 2)
    before = [part.clone() for part in state]
    acted, noise = actions(env, random), uniforms(env, generator)
    stepped, moved, begun = env.step(state, acted, noise), env.move(state, acted, noise), env.initial(noise)
    assert stepped.truncated.tolist() == [True, False, True]
    for i, ended in enumerate(stepped.terminated | stepped.truncated):
        for name in state._fields:
            expected = getattr(begun if ended else moved.state, name)[i]
            if name == "steps":
                expected = torch.tensor(0) if ended else state.steps[i] + 1
            assert torch.equal(getattr(stepped.state, name)[i], expected.to(getattr(state, name).dtype))
    assert torch.equal(stepped.observations, env.observe(stepped.state))
    assert torch.equal(stepped.last, env.observe(moved.state))
    for part, kept in zip(state, before, strict=True):
        assert torch.equal(part, kept), "a step changes nothing in place"


@envs
def test_a_rollout_is_one_program(env: TensorEnv) -> None:
    """Traced once, it gives what the steps give, also where other copies end."""

    def rollout(state: Any, acted: Tensor, noise: Tensor) -> tuple[Any, Tensor]:
        rewards = []
        for t in range(len(acted)):
            stepped = env.step(state, acted[t], noise[t])
            state = stepped.state
            rewards.append(stepped.rewards)
        return state, torch.stack(rewards)

    generator, random = torch.Generator().manual_seed(2), np.random.default_rng(2)
    acted = torch.stack([actions(env, random) for _ in range(5)])
    noise, other = torch.rand(2, 5, COPIES, env.draws, generator=generator)
    traced = make_fx(rollout)(env.initial(noise[0]), acted, noise)
    begun = env.initial(other[0])
    begun = begun._replace(steps=begun.steps + env.max_episode_steps - torch.tensor([2, 3, 9], dtype=torch.int32))
    (state, rewards), (same, equal) = traced(begun, acted, other), rollout(begun, acted, other)
    assert state.steps.tolist() == [3, 2, 5 - 9 + env.max_episode_steps]
    assert torch.equal(rewards, equal)
    for one, part in zip(state, same, strict=True):
        assert torch.equal(one, part)


@envs
def test_no_value_is_looked_at(env: TensorEnv) -> None:
    """Tensors on the device `meta` have none, and do not mix with those of the CPU."""
    noise = torch.empty(COPIES, env.draws, device="meta")
    stepped = env.step(env.initial(noise), actions(env, np.random.default_rng(0)).to("meta"), noise)
    for part in (*stepped.state, *stepped[1:]):
        assert part.device.type == "meta"


@envs
def test_types_are_those_of_the_spaces(env: TensorEnv) -> None:
    for _, stepped in played(env, 3):
        space = env.observation_space
        assert tuple(stepped.observations.shape) == (COPIES, *space.shape)
        assert stepped.observations.numpy().dtype == space.dtype
        assert stepped.rewards.dtype == torch.float32
        assert (stepped.terminated.dtype, stepped.truncated.dtype) == (torch.bool, torch.bool)
        assert stepped.state.steps.dtype == torch.int32


def test_reward_of_sutton_and_barto() -> None:
    env = CartPole(sutton_barto_reward=True)
    for _, stepped in played(env, 60):
        assert torch.equal(stepped.rewards, -stepped.terminated.float())
