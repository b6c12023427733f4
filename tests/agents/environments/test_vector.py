"""Environments keep one contract however they are stepped: resets, last observations, returns, and the way back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import yaml
from gymnasium import spaces
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.registration import WrapperSpec
from gymnasium.wrappers import FrameStackObservation, TimeLimit
from stable_baselines3.common.vec_env import DummyVecEnv

import lab
from agents.environments.cartpole_vectors import CartPoleVector
from agents.environments.native import NativeEnvs
from agents.environments.resumable import Resumable, Strayed
from agents.environments.settings import EnvSettings, Plan
from agents.environments.sync import SyncEnvs
from agents.environments.vector import Environments, EpisodeResult
from agents.evaluation.env import EvalEnv
from agents.experiment import AgentExperiment
from agents.spaces.images import ChannelsFirst, has_channels_last, turned_images
from agents.spaces.observations import at, each, fitted, misfit
from lab.configuration import load
from lab.errors import ConfigError, EnvironmentFailedError

MASKED, WALK = "agents.environments.cartpole:CartPoleMasked-v1", "tests.faults.environments:Walk-v0"
KINDS = ("native", "sync", "async")
kinds = pytest.mark.parametrize("kind", KINDS)
Make = Callable[..., Environments]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes environments that are closed in the end."""
    made: list[Environments] = []

    def one(kind: Any, id: str = MASKED, count: int = 3, seed: int = 0, **settings: Any) -> Environments:
        method: Any = "native" if id == MASKED else "replay"
        made.append(EnvSettings(id, num_envs=count, **settings).make_vec(seed, Plan(kind, method, None)))
        return made[-1]

    yield one
    for envs in made:
        envs.close()


def rows(tree: Any) -> list[np.ndarray[Any, Any]]:
    return list(tree.values()) if isinstance(tree, dict) else [tree]


def assert_same(a: Any, b: Any) -> None:
    """Bit by bit, but for rows of `last` that mean nothing."""
    for one, other in zip(a[:4], b[:4], strict=True):
        for x, y in zip(rows(one), rows(other), strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)
    ended = a.terminated | a.truncated
    assert (a.last is None) == (b.last is None) == (not ended.any())
    if a.last is not None:
        for x, y in zip(rows(at(a.last, ended)), rows(at(b.last, ended)), strict=True):
            np.testing.assert_array_equal(x, y)


def begin(envs: Environments) -> np.ndarray[Any, Any]:
    observations = envs.reset()
    assert isinstance(observations, np.ndarray)
    return observations


def play(envs: Environments, steps: int, seed: int = 0) -> list[Any]:
    random = np.random.default_rng(seed)
    return [copy.deepcopy(envs.advance(random.integers(2, size=envs.num_envs))) for _ in range(steps)]


# --- The contract


@kinds
def test_shapes_and_types(kind: str, make: Make) -> None:
    envs = make(kind)
    observations = begin(envs)
    assert (observations.shape, observations.dtype) == ((3, 2), np.float32)
    for steps in play(envs, 60):
        assert (steps.observations.shape, steps.observations.dtype) == ((3, 2), np.float32)
        assert (steps.rewards.shape, steps.rewards.dtype) == ((3,), np.float32)
        assert (steps.terminated.shape, steps.terminated.dtype) == ((3,), np.bool_)
        assert (steps.truncated.shape, steps.truncated.dtype) == ((3,), np.bool_)
        assert steps.last is None or steps.last.shape == (3, 2)


@kinds
def test_next_episode_begins_at_once(kind: str, make: Make) -> None:
    """A cart begins within 0.05 of the middle and ends beyond a limit: the two cannot be confused."""
    envs = make(kind)
    envs.reset()
    ended = 0
    limit = 12 * 2 * np.pi / 360
    for steps in play(envs, 150):
        over = steps.terminated | steps.truncated
        assert (np.abs(steps.observations[over]) <= 0.05).all()
        assert (np.abs(steps.observations[~over][:, 1]) <= limit).all()
        if over.any():
            assert (np.abs(steps.last[over][:, 1]) > limit).all()
            ended += int(over.sum())
    assert ended > 10


@kinds
def test_returns_and_lengths_of_episodes(kind: str, make: Make) -> None:
    envs = make(kind, WALK if kind != "native" else MASKED)
    envs.reset()
    expected: list[EpisodeResult] = []
    returns, lengths = np.zeros(3), np.zeros(3, dtype=int)
    for steps in play(envs, 150):
        returns += steps.rewards
        lengths += 1
        for i in np.flatnonzero(steps.terminated | steps.truncated):
            expected.append(EpisodeResult(returns[i], lengths[i]))
            returns[i], lengths[i] = 0, 0
    assert len(envs.ended) == len(expected) > 5
    assert [e.length for e in envs.ended] == [e.length for e in expected]
    assert [e.reward for e in envs.ended] == pytest.approx([e.reward for e in expected])
    assert envs.lengths.tolist() == lengths.tolist()
    envs.reset()
    assert not envs.lengths.any()
    assert not envs.rewards.any()


@kinds
def test_seeds_decide_runs(kind: str, make: Make) -> None:
    runs = []
    for seed in (0, 0, 1):
        envs = make(kind, seed=seed)
        first = begin(envs)
        runs.append((first, play(envs, 60)))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    for one, other in zip(runs[0][1], runs[1][1], strict=True):
        assert_same(one, other)
    assert not np.array_equal(runs[0][0], runs[2][0])
    assert len(np.unique(runs[0][0], axis=0)) == 3, "no two copies are the same"


@kinds
@pytest.mark.parametrize("id", [MASKED, WALK])
def test_the_way_back_is_exact(kind: str, id: str, make: Make) -> None:
    """In the same environments and in new ones; more than once; with an observation where one can be had."""
    if kind == "native" and id == WALK:
        pytest.skip("it has no native vector environment")
    envs = make(kind, id)
    envs.reset()
    before = play(envs, 37)[-1]
    state = copy.deepcopy(envs.state())
    after = play(envs, 80, seed=1)
    returns, episodes = envs.rewards.copy(), list(envs.ended)
    for other in (envs, make(kind, id), make(kind, id, seed=0)):
        seen = other.restore(copy.deepcopy(state))
        assert other.ended == []
        for i, one in enumerate(seen):
            assert one is None or np.array_equal(one, before.observations[i])
        assert (seen[0] is None) == (id == MASKED)
        for one, same in zip(after, play(other, 80, seed=1), strict=True):
            assert_same(one, same)
        np.testing.assert_array_equal(other.rewards, returns)
        assert other.ended == episodes[len(episodes) - len(other.ended) :]


@pytest.mark.parametrize("id", [MASKED, WALK])
def test_sync_equals_async(id: str, make: Make) -> None:
    sync, other = make("sync", id), make("async", id)
    np.testing.assert_array_equal(begin(sync), begin(other))
    for one, same in zip(play(sync, 120), play(other, 120), strict=True):
        assert_same(one, same)
    assert sync.ended == other.ended
    for a, b in zip(sync.state()["copies"], other.state()["copies"], strict=True):
        assert a["episode"] == b["episode"]


@kinds
def test_returned_steps_stay_unchanged(kind: str, make: Make) -> None:
    """Rewards and ends for good; observations until the next step at least, those of a reset for good."""
    envs = make(kind)
    first = begin(envs)
    kept = copy.deepcopy(first)
    seen = [envs.advance(np.zeros(3, dtype=np.int64)) for _ in range(20)]
    copies = play_again(make(kind), 20)
    np.testing.assert_array_equal(first, kept)
    for one, other in zip(seen, copies, strict=True):
        np.testing.assert_array_equal(one.rewards, other.rewards)
        np.testing.assert_array_equal(one.terminated, other.terminated)


def play_again(envs: Environments, steps: int) -> list[Any]:
    envs.reset()
    return [copy.deepcopy(envs.advance(np.zeros(3, dtype=np.int64))) for _ in range(steps)]


@kinds
def test_begin_at_gives_own_episodes(kind: str, make: Make) -> None:
    """They follow from the seed and the step alone, not from what was before."""
    firsts = []
    for played, place in ((5, 1000), (50, 1000), (5, 2000)):
        envs = make(kind)
        envs.reset()
        play(envs, played)
        envs.begin_at(place)
        firsts.append(begin(envs))
    assert np.array_equal(firsts[0], firsts[1])
    assert not np.array_equal(firsts[0], firsts[2])


def test_endless_episodes_are_not_kept() -> None:
    """Without a time limit, what an episode needs to be replayed would grow for ever."""
    for limit, kept in ((None, False), (100, True)):
        env: gym.Env[Any, Any] = gym.make("tests.faults.environments:Endless-v0", max_episode_steps=limit)
        copy = Resumable(env, seed=0, copy=0, method="replay")
        copy.most = min(copy.most, 20) if limit is None else copy.most
        copy.reset()
        for _ in range(20):
            seen, *_ = copy.step(0)
        assert np.array_equal(copy.restore(copy.state()), seen)
        copy.step(0)
        state = copy.state()
        assert (state["actions"] is not None) == kept
        assert isinstance(copy.restore(state), Strayed) != kept
        copy.reset()
        seen, *_ = copy.step(0)
        assert np.array_equal(copy.restore(copy.state()), seen), "the next episode is short again"


# --- SB3's interface


class Endings(gym.Env[Any, Any]):
    """Ends at step 3: cut off, terminated, or both at once, one after the other."""

    observation_space = spaces.Box(-9, 9, (2,), np.float32)
    action_space = spaces.Discrete(2)
    episode = -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at, self.episode = 0, self.episode + 1
        return np.array([0, self.episode], np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at += 1
        over, kind = self.at == 3, self.episode % 3
        return np.array([self.at, self.episode], np.float32), 0.5, over and kind > 0, over and kind != 1, {}

    def name(self, greeting: str) -> str:
        return f"{greeting} {self.at}"


def resumable(kind: type[Endings], copy: int) -> Callable[[], Resumable]:
    return lambda: Resumable(kind(), seed=0, copy=copy, method="replay")


def endings() -> SyncEnvs:
    return SyncEnvs("endings", [resumable(Endings, 0), resumable(Endings, 1)])


def test_steps_equal_sb3s_vector() -> None:
    ours, theirs = endings(), DummyVecEnv([Endings] * 2)
    np.testing.assert_array_equal(begin(ours), theirs.reset())
    for t in range(1, 19):
        actions = np.array([t % 2, 1])
        mine, other = ours.step(actions), theirs.step(actions)
        for one, same in zip(mine[:3], other[:3], strict=True):
            np.testing.assert_array_equal(one, same)
        for i, (info, expected) in enumerate(zip(mine[3], other[3], strict=True)):
            assert info.get("TimeLimit.truncated", False) == expected["TimeLimit.truncated"]
            assert ("terminal_observation" in info) == ("terminal_observation" in expected) == bool(mine[2][i])
            if mine[2][i]:
                np.testing.assert_array_equal(info["terminal_observation"], expected["terminal_observation"])
                assert (info["episode"]["r"], info["episode"]["l"]) == (1.5, 3)


@kinds
def test_infos_through_sb3s_step(kind: str, make: Make) -> None:
    envs, same = make(kind), make(kind)
    envs.reset()
    same.reset()
    finished = 0
    for _ in range(60):
        actions = np.zeros(3, dtype=np.int64)
        observations, rewards, dones, infos = envs.step(actions)
        steps = same.advance(actions)
        np.testing.assert_array_equal(observations, steps.observations)
        np.testing.assert_array_equal(rewards, steps.rewards)
        np.testing.assert_array_equal(dones, steps.terminated | steps.truncated)
        for i, info in enumerate(infos):
            assert bool(info) == bool(dones[i])
            if info:
                np.testing.assert_array_equal(info["terminal_observation"], at(steps.last, i))
                assert info["TimeLimit.truncated"] is False
                assert info["episode"]["l"] == same.ended[finished].length
                finished += 1
    assert finished > 5
    assert envs.ended == [], "they have been handed over"


def test_terminal_observations_are_kept_for_good() -> None:
    """SB3's callbacks may look at them much later."""
    envs = endings()
    envs.reset()
    infos = [envs.step(np.zeros(2, dtype=np.int64))[3] for _ in range(9)]
    kept = [info[0]["terminal_observation"].tolist() for info in infos if info[0]]
    assert kept == [[3, 0], [3, 1], [3, 2]]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_attributes_and_methods_of_the_copies(kind: str, make: Make) -> None:
    envs = make(kind, WALK)
    envs.reset()
    play(envs, 5)
    assert envs.get_attr("lived") == [5, 5, 5]
    envs.set_attr("lived", 70, indices=[1])
    assert envs.get_attr("lived") == [5, 70, 5]
    assert envs.get_attr("lived", indices=1) == [70]
    assert envs.env_is_wrapped(Resumable) == [True] * 3
    assert envs.env_is_wrapped(TimeLimit, indices=[0]) == [False]
    drawn = envs.env_method("draw", indices=[0, 2])
    assert [one.shape for one in drawn] == [(3,), (3,)]


def test_attributes_of_a_native_one(make: Make) -> None:
    envs = make("native")
    assert envs.get_attr("render_mode") == [None] * 3
    assert envs.env_is_wrapped(TimeLimit, indices=[0]) == [False]
    assert envs.env_is_wrapped(TimeLimit) == [False] * 3


# --- What is not finite


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(("name", "what"), [("NanReward", "the reward nan"), ("NanObservation", "that is not finite")])
def test_what_is_not_finite_is_refused(kind: str, name: str, what: str, make: Make) -> None:
    envs = make(kind, f"tests.faults.environments:{name}-v0")
    envs.reset()
    with pytest.raises(
        EnvironmentFailedError, match=rf"environment .*{name}-v0 \(copy 0, its step \d+, episode \d+\) gave .*{what}"
    ):
        play(envs, 200)


class NanAtTheEnd(Endings):
    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation * (np.nan if terminated or truncated else 1), reward, terminated, truncated, info


def test_nonfinite_last_observation() -> None:
    envs = SyncEnvs("endings", [resumable(Endings, 0), resumable(NanAtTheEnd, 1)])
    envs.reset()
    with pytest.raises(EnvironmentFailedError, match=r"copy 1.*gave an observation that is not finite"):
        play(envs, 3)


class Shrinks(Endings):
    """Numbers of another shape, which NumPy would repeat until they fit."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, *rest = super().step(action)
        return observation[:1], *rest


def test_misfit_observations_are_refused() -> None:
    envs = SyncEnvs("endings", [resumable(Endings, 0), resumable(Shrinks, 1)])
    envs.reset()
    what = r"copy 1, its step 1, episode 1\) gave an observation of shape \(1,\), where its space has \(2,\)"
    with pytest.raises(EnvironmentFailedError, match=what):
        play(envs, 1)
    parts = spaces.Dict({"a": spaces.Box(0, 1, (2,)), "b": spaces.Discrete(3)})
    assert misfit(parts, {"a": np.zeros(2), "b": 1}) is None
    assert misfit(parts, {"a": np.zeros(3), "b": 1}) == "whose 'a' is of shape (3,), where its space has (2,)"
    assert misfit(parts, {"a": np.zeros(2)}) == "of ['a'], where its space has ['a', 'b']"
    assert misfit(parts, np.zeros(2)) == "of ndarray, where its space has ['a', 'b']"
    assert misfit(parts, {"a": np.zeros(2), "b": 3}) == "whose 'b' is of the value 3, where its space is Discrete(3)"


BYTES = spaces.Box(0, 255, (2,), np.uint8)


@pytest.mark.parametrize(
    ("space", "observation", "wrong"),
    [
        (BYTES, np.array([0, 255]), None),
        (BYTES, np.array([0.0, 255.0]), None),
        (BYTES, np.array([0.5, 1.0], np.float32), "of type float32, whose values its space of uint8 cannot hold"),
        (BYTES, np.array([0, 256]), "of type int64, whose values its space of uint8 cannot hold"),
        (BYTES, np.array([np.nan, 0]), "of type float64, whose values its space of uint8 cannot hold"),
        (spaces.Box(-1, 1, (2,)), np.array([0, 2]), None),
        (spaces.Box(-1, 1, (2,)), ["a", "b"], "of type <U1, where its space has float32"),
        (spaces.Box(-1, 1, (2,)), [[1], [1, 2]], "of no regular shape, where its space has (2,)"),
        (spaces.Discrete(5), 4, None),
        (spaces.Discrete(5), 5, "of the value 5, where its space is Discrete(5)"),
        (spaces.Discrete(5, start=1), 0, "of the value 0, where its space is Discrete(5, start=1)"),
        (spaces.MultiDiscrete([5, 3]), [4, 3], "of the value [4 3], where its space is MultiDiscrete([5 3])"),
        (spaces.MultiBinary(2), [True, False], None),
        (spaces.MultiBinary(2), [0, 2], "of the value [0 2], where its space is MultiBinary(2)"),
    ],
)
def test_values_must_fit_the_space(space: spaces.Space[Any], observation: Any, wrong: str | None) -> None:
    assert misfit(space, observation) == wrong
    if wrong is None:
        assert fitted(space, observation).dtype == space.dtype
        np.testing.assert_array_equal(fitted(space, observation), observation)


class Loose(Endings):
    """Gives its numbers as float64."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        return observation.astype(np.float64), info


gym.register("LabTestLoose-v0", Loose, disable_env_checker=True)  # type: ignore[arg-type]


def test_evaluation_sees_the_types_of_training(make: Make) -> None:
    id = "tests.agents.environments.test_vector:LabTestLoose-v0"
    env = EvalEnv(EnvSettings(id))
    env.begin(0)
    assert env.observation.dtype == np.float32
    for kind in ("sync", "async"):
        assert begin(make(kind, id)).dtype == np.float32


class BadCartPole(CartPoleVector):
    def step(self, actions: Any) -> Any:
        observations, rewards, *rest = super().step(actions)
        observations[2, 1] = np.inf
        return observations, rewards, *rest


def test_nonfinite_native_environment() -> None:
    envs = NativeEnvs("bad", BadCartPole(4), seed=0)
    envs.reset()
    with pytest.raises(EnvironmentFailedError, match=r"environment bad \(copy 2, its step 1, episode 1\)"):
        envs.advance(np.zeros(4, dtype=np.int64))


# --- Observations of several parts, and images


class Parts(gym.Env[Any, Any]):
    """A dict of a vector, a number and an image `(H, W, C)` whose value is its column, all of them counting."""

    observation_space = spaces.Dict(
        {
            "vector": spaces.Box(-99, 99, (2,), np.float64),
            "number": spaces.Discrete(99),
            "image": spaces.Box(0, 255, (5, 4, 3), np.uint8),
        }
    )
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0
        return self._show(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at += 1
        return self._show(), 1.0, False, self.at == 4, {}

    def _show(self) -> Any:
        image = np.broadcast_to(np.arange(4, dtype=np.uint8)[:, None] + self.at, (5, 4, 3)).copy()
        return {"vector": np.full(2, float(self.at)), "number": self.at, "image": image}


class Image(Parts):
    """Its image alone."""

    observation_space = spaces.Box(0, 255, (5, 4, 3), np.uint8)  # type: ignore[assignment]

    def _show(self) -> Any:
        return super()._show()["image"]


for environment in (Parts, Image):
    if f"Test{environment.__name__}-v0" not in gym.registry:
        gym.register(f"Test{environment.__name__}-v0", environment, disable_env_checker=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_dicts_and_images(kind: str, make: Make) -> None:
    envs = make(kind, "tests.agents.environments.test_vector:TestParts-v0", count=2)
    space = envs.observation_space
    assert isinstance(space, spaces.Dict)
    assert space["image"].shape == (3, 5, 4)
    seen: Any = envs.reset()
    column = np.broadcast_to(np.arange(4), (2, 3, 5, 4))
    np.testing.assert_array_equal(seen["image"], column)
    for t in range(1, 10):
        steps = envs.advance(np.zeros(2, dtype=np.int64))
        at_ = t % 4
        np.testing.assert_array_equal(steps.observations["image"], column + at_)
        np.testing.assert_array_equal(steps.observations["vector"], np.full((2, 2), at_))
        np.testing.assert_array_equal(steps.observations["number"], np.full(2, at_))
        assert (steps.last is not None) == (at_ == 0)
        if steps.last is not None:
            np.testing.assert_array_equal(steps.last["image"], column + 4)
            np.testing.assert_array_equal(steps.last["number"], np.full(2, 4))
    state = envs.state()
    (observation, _) = envs.restore(state)
    for mine, other in zip(rows(observation), rows(at(steps.observations, 0)), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_nonfinite_dicts() -> None:
    envs = SyncEnvs("parts", [lambda: Resumable(Parts(), seed=0, copy=0, method="replay")])
    envs.reset()
    seen = each(np.copy, envs.observations)
    seen["vector"][0, 1] = np.nan
    with pytest.raises(EnvironmentFailedError, match="copy 0"):
        envs._require_finite_observations(seen)


def test_images_turn_channels_first() -> None:
    env = EnvSettings("tests.agents.environments.test_vector:TestImage-v0").make()
    assert isinstance(env, ChannelsFirst)
    assert env.observation_space.shape == (3, 5, 4)
    observation, _ = env.reset(seed=0)
    assert observation.flags.c_contiguous
    assert env.observation_space.contains(observation)
    np.testing.assert_array_equal(observation[0, 0], np.arange(4))
    assert not isinstance(EnvSettings("agents.environments.cartpole:CartPolePixels-v1").make(), ChannelsFirst), (
        "they are already"
    )


class Camera(gym.Env[Any, Any]):
    """Shows one picture `(H, W, C)` of any type."""

    action_space = spaces.Discrete(2)

    def __init__(self, kind: str, high: int) -> None:
        self.observation_space = spaces.Box(0, high, (6, 5, 3), np.dtype(kind).type)
        steps = np.arange(90).reshape(6, 5, 3) % (high + 1)
        self.picture = steps.astype(kind)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.picture, {}


@pytest.mark.parametrize(
    ("kind", "high", "becomes"),
    [
        ("float32", 1, "float32"),
        ("float64", 1, "float32"),
        ("float32", 255, "float32"),
        ("int64", 255, "uint8"),
        ("int8", 1, "float32"),
    ],
)
def test_other_images_turn_channels_first(kind: str, high: int, becomes: str) -> None:
    camera = Camera(kind, high)
    assert has_channels_last(camera.observation_space)
    env = ChannelsFirst(camera)
    assert misfit(env.observation_space, env.reset()[0]) is None
    seen = fitted(env.observation_space, env.reset()[0])
    assert (seen.shape, seen.dtype) == ((3, 6, 5), becomes)
    scale = 255 if becomes == "float32" and high == 255 else 1
    np.testing.assert_allclose(seen * scale, camera.picture.transpose(2, 0, 1), rtol=1e-6)
    assert turned_images(env) == [f"images (H, W, C) of {kind}, (6, 5, 3), become (C, H, W) of {becomes}"]


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 1, (3, 6, 5)),
        spaces.Box(-1, 1, (6, 5, 3)),
        spaces.Box(0, 1, (4, 4, 4)),
        spaces.Box(0, 255, (3, 6, 5), np.uint8),
        spaces.Box(0, 1, (6, 3)),
    ],
)
def test_all_else_stays_as_it_is(space: spaces.Box) -> None:
    assert not has_channels_last(space)


# --- Wrappers


class Halved(gym.RewardWrapper[Any, Any]):
    """Halves rewards; an own wrapper with a setting."""

    def __init__(self, env: gym.Env[Any, Any], by: float = 0.5) -> None:
        super().__init__(env)
        self.by = by

    def reward(self, reward: Any) -> Any:
        return float(reward) * self.by


def env_settings(**overrides: Any) -> EnvSettings:
    experiment = load("ppo-cartpole", overrides).build()
    assert isinstance(experiment, AgentExperiment)
    return experiment.env


STACK = {"class_path": "gymnasium.wrappers.FrameStackObservation", "init_args": {"stack_size": 3}}
LIMIT = {"class_path": "gymnasium.wrappers.TimeLimit", "init_args": {"max_episode_steps": 7}}
HALVED = {"class_path": "tests.agents.environments.test_vector.Halved", "init_args": {"by": 0.25}}


def test_wrappers_from_a_config() -> None:
    settings = env_settings(**{"env.wrappers": [LIMIT, STACK, HALVED]})
    env = settings.make()
    assert isinstance(env, Halved), "the last is outermost"
    assert isinstance(env.env, FrameStackObservation)
    assert isinstance(env.env.env, TimeLimit)
    assert env.observation_space.shape == (3, 4)
    env.reset(seed=0)
    rewards: list[float] = []
    over = False
    while not over:
        _, reward, terminated, truncated, _ = env.step(len(rewards) % 2)
        rewards.append(float(reward))
        over = terminated or truncated
    assert rewards == [0.25] * 7
    assert settings.max_episode_steps() == 7
    assert settings.plan().method == "replay", "a wrapper may have state of its own"


RESCALED = {"class_path": "gymnasium.wrappers.RescaleAction", "init_args": {"min_action": -0.1, "max_action": [2]}}


def test_wrappers_take_numbers_and_lists() -> None:
    """Gymnasium declares these settings as NumPy's types."""
    config = load("ppo", {"env.id": "Pendulum-v1", "env.wrappers": [RESCALED]})
    assert config.as_dict()["env"]["wrappers"] == [RESCALED]
    Path("again.yaml").write_text(yaml.safe_dump(config.as_dict()))
    for one in (config, load("again.yaml")):
        experiment: Any = one.build()
        space = experiment.env.make().action_space
        assert (space.low, space.high) == (np.float32(-0.1), 2)
    wrong = {**RESCALED, "init_args": {"min_action": "low", "max_action": 1}}
    with pytest.raises(ConfigError, match=r"env\.wrappers.*min_action.*'?low'?"):
        load("ppo", {"env.id": "Pendulum-v1", "env.wrappers": [wrong]})


def test_training_wrappers_are_for_training_alone() -> None:
    settings = env_settings(**{"env.wrappers": [LIMIT], "env.training_wrappers": [HALVED], "env.num_envs": 2})
    evaluated = settings.make()
    evaluated.reset(seed=0)
    assert evaluated.step(0)[1] == 1.0
    envs = settings.make_vec(0, Plan("sync", "replay", None))
    envs.reset()
    assert envs.advance(np.zeros(2, dtype=np.int64)).rewards.tolist() == [0.25, 0.25]
    assert settings.plan().vectorization != "native", "the native one knows no wrappers"
    run = lab.run("ppo-cartpole", TINY | {"env.training_wrappers": [HALVED]}, runs_dir="runs", fast_dev_run=True)
    assert run.metrics["eval/return_mean"] == run.metrics["eval/length_mean"], "figures are of the true rewards"


TINY = {"env.num_envs": 2, "agent.batch_size": 32, "agent.n_steps": 16, "agent.n_epochs": 1}


@pytest.mark.parametrize("name", ["NormalizeObservation", "NormalizeReward"])
@pytest.mark.parametrize("where", ["wrappers", "training_wrappers"])
def test_statistics_in_wrappers_are_refused(name: str, where: str) -> None:
    settings = env_settings(**{f"env.{where}": [{"class_path": f"gymnasium.wrappers.{name}"}]})
    with pytest.raises(ConfigError, match=r"set agent.normalize_observations or agent.normalize_rewards instead"):
        settings.make(training=True)


def test_training_wrappers_keep_spaces() -> None:
    settings = env_settings(**{"env.training_wrappers": [{"class_path": "gymnasium.wrappers.TimeAwareObservation"}]})
    with pytest.raises(ConfigError, match=r"env.training_wrappers must leave the spaces alone.*\(4,\).* to .*\(5,\)"):
        settings.spaces()


def test_missing_module_is_explained() -> None:
    with pytest.raises(ConfigError, match="unknown environment 'Nowhere/Pong-v5'; name the module that registers it"):
        EnvSettings("Nowhere/Pong-v5").make()


gym.register("LabTestLacking-v0", "tests.support.lacking:Market")


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("nowhere:Market-v0", "unknown environment 'nowhere:Market-v0'; there is no module 'nowhere'"),
        ("LabTestLacking-v0", "environment LabTestLacking-v0 needs a package that is not installed: market_simulator"),
    ],
)
def test_missing_packages_are_named(id: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        EnvSettings(id).make()
    assert str(raised.value) == said


class Unclosable(Endings):
    def close(self) -> None:
        raise RuntimeError("not connected to the physics server")


gym.register("LabTestUnclosable-v0", Unclosable, max_episode_steps=9)  # type: ignore[arg-type]


def test_failing_close_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run = lab.run("ppo-cartpole", TINY | {"env.id": "LabTestUnclosable-v0"}, runs_dir="runs", fast_dev_run=True)
    assert run.status == "completed"
    said = "environment LabTestUnclosable-v0 could not be closed: RuntimeError: not connected to the physics server"
    assert capsys.readouterr().err.count(said) == 1


def test_a_wrapper_that_fails_is_named() -> None:
    settings = env_settings(**{"env.wrappers": [{"class_path": "gymnasium.wrappers.GrayscaleObservation"}]})
    with pytest.raises(ConfigError, match=r"env.wrappers around CartPole-v1: ValueError"):
        settings.make()


def test_runs_with_wrappers_repeat() -> None:
    run = lab.run("ppo-cartpole", TINY | {"env.wrappers": [LIMIT, STACK]}, runs_dir="runs", fast_dev_run=True)
    again = lab.run(str(run.dir / "config.yaml"), runs_dir="again", fast_dev_run=True)
    assert again.metrics["eval/length_mean"] == run.metrics["eval/length_mean"] == 7


# --- Plans


@pytest.mark.parametrize(
    ("overrides", "vectorization", "method"),
    [
        ({"env.num_envs": 8}, "native", "native"),
        ({"env.num_envs": 2}, "sync", "native"),
        ({"env.num_envs": 2, "env.vectorization": "native"}, "native", "native"),
        ({"env.num_envs": 8, "env.vectorization": "sync"}, "sync", "native"),
        ({"env.num_envs": 8, "env.vectorization": "tensors"}, "tensors", "native"),
        ({"env.num_envs": 8, "env.resume": "boundary"}, "native", "boundary"),
        ({"env.num_envs": 8, "env.resume": "replay"}, "sync", "replay"),
        ({"env.num_envs": 8, "env.wrappers": [STACK]}, "sync", "replay"),
        ({"env.num_envs": 8, "env.kwargs": {"sutton_barto_reward": True}}, "sync", "native"),
    ],
)
def test_plans(overrides: dict[str, Any], vectorization: str, method: str) -> None:
    plan = env_settings(**overrides).plan()
    assert (plan.vectorization, plan.method, plan.inexact) == (vectorization, method, None)


class Doubled(gym.RewardWrapper[Any, Any]):
    def reward(self, reward: Any) -> Any:
        return 2 * reward


class Balance(CartPoleEnv):
    """CartPole under other ids."""


BALANCE = {
    "entry_point": f"{__name__}:Balance",
    "vector_entry_point": "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv",
}
gym.register("LabTestShort-v0", max_episode_steps=9, kwargs={"sutton_barto_reward": True}, **BALANCE)  # type: ignore[arg-type]
gym.register("LabTestEndless-v0", **BALANCE)  # type: ignore[arg-type]
DOUBLED = WrapperSpec("Doubled", f"{__name__}:Doubled", {})
gym.register("LabTestDoubled-v0", max_episode_steps=9, additional_wrappers=(DOUBLED,), **BALANCE)  # type: ignore[arg-type]


@pytest.mark.parametrize("vectorization", ["native", "sync"])
def test_registered_environment_equals_vectors(vectorization: Any) -> None:
    settings = EnvSettings("LabTestShort-v0", num_envs=8, vectorization=vectorization)
    envs = settings.make_vec(0, settings.plan())
    envs.reset()
    steps = [envs.advance(np.arange(8) % 2 if t % 2 else 1 - np.arange(8) % 2) for t in range(9)]
    assert steps[-1].truncated.all(), "its own limit, of nine steps"
    assert {float(reward) for step in steps for reward in step.rewards} == {0.0}, "its own rewards"


@pytest.mark.parametrize("id", ["LabTestEndless-v0", "LabTestDoubled-v0"])
def test_native_falls_back(id: str) -> None:
    assert EnvSettings(id, num_envs=8).plan().vectorization != "native"


def test_second_learn_begins_new_episodes() -> None:
    settings = EnvSettings("CartPole-v1", num_envs=4, vectorization="native")
    first, again = (settings.make_vec(0, settings.plan()) for _ in range(2))
    one, other = np.copy(first.reset()), np.copy(again.reset())  # type: ignore[arg-type]
    np.testing.assert_array_equal(one, other)
    assert (np.asarray(first.reset()) != one).all()


def test_impossible_native_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"env.vectorization is native, but CartPole-v1 with these"):
        env_settings(**{"env.vectorization": "native", "env.wrappers": [STACK]}).plan()
