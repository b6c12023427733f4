"""Environments of tensors equal Gymnasium's step by step, reset only what has ended, and are traced as one program."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from agents.environments.native import NativeEnvs
from agents.environments.settings import EnvSettings
from agents.environments.tensors.acrobot import Acrobot
from agents.environments.tensors.base import Stepped, TensorEnv
from agents.environments.tensors.breakout import Breakout
from agents.environments.tensors.cartpole import CartPole
from agents.environments.tensors.many import TensorVector
from agents.environments.tensors.mountain_car import MountainCar
from agents.environments.tensors.pendulum import Pendulum
from lab.errors import ConfigError

BREAKOUT = "agents.environments.tensors.breakout:GridBreakout-v0"
COPIES, LIMIT = 3, 170
BALANCING = torch.tensor([0.1, 0.2, 1.8, 0.4])
"""Of position, velocity, angle and angular velocity: push right where the sum is positive."""


class Case(NamedTuple):
    """An environment, Gymnasium's id of it, the first copy's actions, which reach an end that the random ones of the
    others do not, and whether an episode can end before the time limit."""

    id: str
    env: TensorEnv
    clever: Callable[[Tensor], Any]
    terminates: bool = True


CASES = [
    Case("CartPole-v1", CartPole(), lambda seen: seen[0] @ BALANCING > 0),
    Case("Acrobot-v1", Acrobot(), lambda seen: 2 * (seen[0, 5] > 0)),
    Case("MountainCar-v0", MountainCar(), lambda seen: 2 * (seen[0, 1] > 0)),
    Case("Pendulum-v1", Pendulum(), lambda seen: 4 * (seen[0, 2:] > 0) - 2, terminates=False),
]
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
ENVS: list[TensorEnv] = [*(case.env for case in CASES), Breakout()]
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
    env, generator, random = replace(case.env, max_episode_steps=LIMIT), torch.Generator(), np.random.default_rng(0)
    generator.manual_seed(0)
    theirs: list[Any] = [gym.make(case.id, max_episode_steps=LIMIT, disable_env_checker=True) for _ in range(COPIES)]
    for one in theirs:
        one.reset(seed=0)
    state = env.initial(uniforms(env, generator, dtype))
    found: list[tuple[Any, ...]] = []
    expected: list[tuple[Any, ...]] = []
    for _ in range(LIMIT + 5):
        acted, noise = actions(env, random), uniforms(env, generator, dtype)
        acted[0] = torch.as_tensor(case.clever(env.observe(state)))
        acted = acted.to(dtype) if acted.is_floating_point() else acted
        stepped = env.step(state, acted, noise)
        for i, one in enumerate(theirs):
            one.unwrapped.state = state.physics[i].double().numpy()
            seen, reward, terminated, truncated, _ = one.step(acted[i].numpy())
            reached = np.array(one.unwrapped.state)
            over, ended = terminated or truncated, (bool(stepped.terminated[i]), bool(stepped.truncated[i]))
            expected.append((reached, seen, reward, (terminated, truncated)))
            ours = reached if over else stepped.state.physics[i].numpy()  # a new episode's where one is over
            found.append((ours, stepped.last[i].numpy(), float(stepped.rewards[i]), ended))
            if over:
                one.reset()
        state = stepped.state
    columns, theirs = list(zip(*found, strict=True)), list(zip(*expected, strict=True))
    digits = 5e-6 if dtype is torch.float32 else 1e-12
    np.testing.assert_allclose(columns[0], theirs[0], rtol=digits, atol=digits)
    for values, same in zip(columns[1:3], theirs[1:3], strict=True):  # float32 in both
        np.testing.assert_allclose(values, same, rtol=5e-6, atol=5e-6)
    assert columns[3] == theirs[3]
    assert any(truncated for _, truncated in columns[3])
    assert any(terminated for terminated, _ in columns[3]) is case.terminates


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


def played(env: TensorEnv, steps: int) -> list[tuple[Any, Tensor, Tensor, Stepped]]:
    """Each state, actions, random numbers, and the step from there."""
    generator, random = torch.Generator().manual_seed(1), np.random.default_rng(1)
    state, found = env.initial(uniforms(env, generator)), []
    for _ in range(steps):
        acted, noise = actions(env, random), uniforms(env, generator)
        found.append((state, acted, noise, env.step(state, acted, noise)))
        state = found[-1][-1].state
    return found


def flat(step: Stepped) -> list[Any]:
    return [*step.state, *step[1:]]


@envs
def test_arrays_are_taken_like_tensors(env: TensorEnv) -> None:
    """They give arrays of the same types, and values that differ by rounding alone."""
    for state, acted, noise, stepped in played(env, 40):
        same = env.step(type(state)(*(part.numpy() for part in state)), acted.numpy(), noise.numpy())
        for one, other in zip(flat(stepped), flat(same), strict=True):
            assert isinstance(other, np.ndarray)
            assert one.numpy().dtype == other.dtype
            np.testing.assert_allclose(one.numpy(), other, rtol=2e-6, atol=2e-6)


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
    acted = torch.stack([actions(env, random) for _ in range(2)])
    noise, other = torch.rand(2, 2, COPIES, env.draws, generator=generator)
    traced = make_fx(rollout)(env.initial(noise[0]), acted, noise)
    begun = env.initial(other[0])
    begun = begun._replace(steps=begun.steps + env.max_episode_steps - torch.tensor([2, 3, 9], dtype=torch.int32))
    (state, rewards), (same, equal) = traced(begun, acted, other), rollout(begun, acted, other)
    assert state.steps.tolist() == [0, 2 - 3 + env.max_episode_steps, 2 - 9 + env.max_episode_steps]
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
    for *_, stepped in played(env, 3):
        space = env.observation_space
        assert tuple(stepped.observations.shape) == (COPIES, *space.shape)
        assert stepped.observations.numpy().dtype == space.dtype
        assert stepped.rewards.dtype == torch.float32
        assert (stepped.terminated.dtype, stepped.truncated.dtype) == (torch.bool, torch.bool)
        assert stepped.state.steps.dtype == torch.int32


def test_reward_of_sutton_and_barto() -> None:
    env = CartPole(sutton_barto_reward=True)
    for *_, stepped in played(env, 60):
        assert torch.equal(stepped.rewards, -stepped.terminated.float())


# --- Many copies


DEVICES = pytest.mark.parametrize("device", [None, "cpu"], ids=["arrays", "tensors"])


@envs
@DEVICES
def test_copies_come_back_exactly(env: TensorEnv, device: str | None) -> None:
    """Their state and random numbers are saved: a restored copy ends and begins the same episodes."""
    random = np.random.default_rng(0)
    acted = [actions(env, random).numpy() for _ in range(40)]

    def play(vector: TensorVector) -> list[Any]:
        return [vector.step(one)[:4] for one in acted]

    one, other = (TensorVector(replace(env, max_episode_steps=17), COPIES, device=device) for _ in range(2))
    one.reset(seed=0)
    play(one)
    saved = copy.deepcopy(one.state_dict())
    expected = play(one)
    other.load_state_dict(saved)
    for step, same in zip(expected, play(other), strict=True):
        for part, equal in zip(step, same, strict=True):
            np.testing.assert_array_equal(part, equal)
    assert any((terminated | truncated).any() for *_, terminated, truncated in expected)


@DEVICES
def test_random_numbers_of_many_steps(device: str | None) -> None:
    """A rollout may draw them at once."""
    one, other = (TensorVector(CartPole(), COPIES, device=device) for _ in range(2))
    one.reset(seed=3)
    other.reset(seed=3)
    np.testing.assert_array_equal(one.uniforms(5), np.stack([other.uniforms() for _ in range(5)]))


def test_last_observations_of_episodes() -> None:
    vector = TensorVector(CartPole(), 8)
    seen, _ = vector.reset(seed=0)
    ended = 0
    for t in range(60):
        seen, _, terminated, _, infos = vector.step(np.full(8, t % 3 > 0))
        assert (np.abs(seen) < 12).all()
        assert bool(infos) == terminated.any()
        if infos:
            assert (infos["_final_obs"] == terminated).all()
            assert (np.abs(infos["final_obs"][terminated])[:, 2] > 12 * 2 * np.pi / 360).all()
            assert (np.abs(seen[terminated]) <= 0.05).all()
            ended += int(terminated.sum())
    assert ended > 8


def test_a_step_needs_a_reset() -> None:
    with pytest.raises(gym.error.ResetNeeded, match="CartPole was not reset"):
        TensorVector(CartPole()).step(np.zeros(1, np.int64))


# --- Chosen by settings


@pytest.mark.parametrize(
    ("id", "kwargs", "chosen"),
    [
        ("Acrobot-v1", {}, Acrobot()),
        ("MountainCar-v0", {"goal_velocity": 0.01}, MountainCar(goal_velocity=0.01)),
        ("Pendulum-v1", {"g": 9.81}, Pendulum(g=9.81)),
        ("CartPole-v1", {"sutton_barto_reward": True}, CartPole(sutton_barto_reward=True)),
        (BREAKOUT, {"sticky": 0.0}, Breakout(sticky=0.0)),
        (BREAKOUT, {}, Breakout()),
    ],
)
def test_native_is_by_tensors(id: str, kwargs: dict[str, Any], chosen: TensorEnv) -> None:
    """`auto` takes what is registered with Gymnasium, and no other, so that recorded runs can be repeated."""
    settings = EnvSettings(id, num_envs=4, kwargs=kwargs, vectorization="native")
    envs = settings.make_vec(0, settings.plan())
    assert isinstance(envs, NativeEnvs)
    assert envs.env.core == chosen
    registered = replace(settings, vectorization="auto").plan().vectorization == "native"
    assert registered is (id == BREAKOUT and not kwargs)


def test_native_of_other_versions() -> None:
    """One with another time limit keeps it; other classes have none."""
    gym.register("LabTestLongAcrobot-v0", "gymnasium.envs.classic_control.acrobot:AcrobotEnv", max_episode_steps=900)
    settings = EnvSettings("LabTestLongAcrobot-v0", num_envs=4, vectorization="native")
    assert settings.make_vec(0, settings.plan()).env.core == Acrobot(900)  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="MountainCarContinuous-v0 with these kwargs"):
        EnvSettings("MountainCarContinuous-v0", vectorization="native").plan()
    with pytest.raises(ConfigError, match="Acrobot-v1 with these kwargs"):
        EnvSettings("Acrobot-v1", vectorization="native", resume="replay").plan()
