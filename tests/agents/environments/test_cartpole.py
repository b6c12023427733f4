"""Our CartPoles are Gymnasium's: its physics, its episodes, its picture; and they come back to where they were."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.monitor import Monitor

from agents.environments.cartpole_vectors import (
    CartPoleMaskedVector,
    CartPoleNoVelVector,
    CartPolePixelsVector,
    CartPoleVector,
)
from agents.environments.rasterizer import BACKGROUND, SIZE, draw
from agents.environments.resumable import Resumable, choose_method

VECTORS = (CartPoleVector, CartPoleNoVelVector, CartPoleMaskedVector, CartPolePixelsVector)
NO_VEL, MASKED, PIXELS = (f"agents.environments.cartpole:CartPole{kind}-v1" for kind in ("NoVel", "Masked", "Pixels"))
SINGLES = (NO_VEL, MASKED, PIXELS)
LIMIT = 12 * 2 * np.pi / 360

vectors = pytest.mark.parametrize("kind", VECTORS)
singles = pytest.mark.parametrize("name", SINGLES)


@pytest.fixture
def gymnasiums() -> Iterator[CartPoleEnv]:
    env = gym.make("CartPole-v1", render_mode="rgb_array").unwrapped
    assert isinstance(env, CartPoleEnv)
    env.reset(seed=0)
    yield env
    env.close()  # type: ignore[no-untyped-call]


def balancing(envs: CartPoleVector) -> np.ndarray:
    """Actions that keep the pole upright."""
    x, speed, angle, spin = envs._state()
    actions: np.ndarray = (10 * angle + 2 * spin + 0.3 * x + 0.6 * speed > 0).astype(np.int64)
    return actions


def assert_same(a: Any, b: Any) -> None:
    """Bit by bit, but for rows of `final_obs` that are not valid."""
    for one, other in zip(a[:4], b[:4], strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert a[4].keys() == b[4].keys()
    for key in a[4]:
        np.testing.assert_array_equal(a[4][key], b[4][key])


# --- Episodes


def test_every_step_is_gymnasiums(gymnasiums: CartPoleEnv) -> None:
    random = np.random.default_rng(0)
    n = 500
    states = random.uniform(-1, 1, (4, n)) * [[2.6], [3], [0.25], [3]]
    ours = CartPoleVector(n)
    ours.reset(seed=0)
    ours.state = states.copy()
    actions = random.integers(0, 2, n)
    seen, rewards, terminated, truncated, infos = ours.step(actions)
    assert terminated.any() and not terminated.all() and not truncated.any()  # noqa: PT018
    for i in range(n):
        gymnasiums.state, gymnasiums.steps_beyond_terminated = states[:, i], None
        expected, reward, ended, *_ = gymnasiums.step(actions[i])  # type: ignore[no-untyped-call]
        assert (rewards[i], terminated[i]) == (reward, ended)
        last = infos["final_obs"][i] if ended else seen[i]
        np.testing.assert_array_equal(last, expected)


def test_whole_episode_is_gymnasiums() -> None:
    ours, theirs = CartPoleVector(1), gym.make("CartPole-v1")
    ours.reset(seed=3)
    theirs.reset()
    core: Any = theirs.unwrapped
    core.state = ours._state()[:, 0].copy()
    for step in range(1, 501):
        action = balancing(ours)
        seen, rewards, terminated, truncated, infos = ours.step(action)
        expected, reward, ended, cut, _ = theirs.step(action[0])
        assert (rewards[0], terminated[0], truncated[0]) == (reward, ended, cut) == (1, False, step == 500)
        np.testing.assert_array_equal(infos["final_obs"][0] if cut else seen[0], expected)
    assert np.abs(seen).max() <= 0.05
    assert ours.steps[0] == 0


@singles
def test_each_copy_begins_from_its_own_seed(name: str) -> None:
    many: Any = gym.make_vec(name, num_envs=3, vectorization_mode="vector_entry_point")
    seeds = [7, 2**31 + 5, 7]
    seen, _ = many.reset(seed=seeds)
    for row, seed in zip(seen, seeds, strict=True):
        np.testing.assert_array_equal(row, gym.make(name).reset(seed=seed)[0])
    later = [copy.deepcopy(many.step(np.zeros(3, np.int64))) for _ in range(40)]
    many.reset(seed=seeds)
    for step in later:
        assert_same(step, many.step(np.zeros(3, np.int64)))
    with pytest.raises(ValueError, match="a seed for each of 3 copies, received 2"):
        many.reset(seed=[1, 2])


def test_the_reward_of_sutton_and_barto() -> None:
    ours = CartPoleVector(4, sutton_barto_reward=True)
    ours.reset(seed=0)
    for _ in range(30):
        _, rewards, terminated, *_ = ours.step(np.array([0, 1, 0, 1]))
        np.testing.assert_array_equal(rewards, np.where(terminated, -1, 0))


@vectors
def test_finished_copies_reset_at_once(kind: type[CartPoleVector]) -> None:
    ours = kind(5, max_episode_steps=12)
    assert ours.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    seen, infos = ours.reset(seed=0)
    assert seen in ours.observation_space
    assert infos == {}
    length, ends = np.zeros(5, int), 0
    for _ in range(60):
        before = seen.copy()
        seen, rewards, terminated, truncated, infos = ours.step(np.array([0, 1, 0, 1, 0]))
        assert seen in ours.observation_space
        assert seen.shape == ours.observation_space.shape
        assert [a.dtype for a in (rewards, terminated, truncated)] == [np.float32, np.bool_, np.bool_]
        length += 1
        done = terminated | truncated
        np.testing.assert_array_equal(truncated, length == 12)
        assert set(infos) == ({"final_obs", "_final_obs"} if done.any() else set())
        if done.any():
            np.testing.assert_array_equal(infos["_final_obs"], done)
            assert infos["final_obs"].shape == seen.shape
            assert infos["final_obs"].dtype == seen.dtype
        for i in np.flatnonzero(done):
            last = infos["final_obs"][i]
            assert not np.array_equal(last, seen[i])
            if kind is CartPolePixelsVector:
                np.testing.assert_array_equal(last[:-1], before[i, 1:])  # the stack has gone on
                np.testing.assert_array_equal(seen[i], seen[i, :1].repeat(4, 0))  # and begun again
            else:
                assert np.abs(seen[i]).max() <= 0.05
            length[i] = 0
            ends += 1
    assert ends > 10


@pytest.mark.parametrize(
    ("kind", "hide"),
    [(CartPoleMaskedVector, lambda seen: seen[:, ::2]), (CartPoleNoVelVector, lambda seen: seen * [1, 0, 1, 0])],
)
def test_velocities_are_hidden(kind: type[CartPoleVector], hide: Callable[[np.ndarray], np.ndarray]) -> None:
    """`CartPoleNoVel` is the observation times the mask of rl_zoo3's MaskVelocityWrapper."""
    full, blind = CartPoleVector(6), kind(6)
    np.testing.assert_array_equal(hide(full.reset(seed=1)[0]), blind.reset(seed=1)[0])
    for actions in np.random.default_rng(0).integers(0, 2, (100, 6)):
        seen, *rest, infos = full.step(actions)
        less, *other, their_infos = blind.step(actions)
        assert_same([hide(seen).astype(np.float32), *rest, {}], [less, *other, {}])
        if infos:
            np.testing.assert_array_equal(hide(infos["final_obs"]), their_infos["final_obs"])


@vectors
def test_seeds_repeat_and_differ(kind: type[CartPoleVector]) -> None:
    def play(seed: int) -> list[Any]:
        envs = kind(3)
        first, _ = envs.reset(seed=seed)
        return [first.copy(), *(copy.deepcopy(envs.step(np.array([1, 1, 0]))) for _ in range(30))]

    one, same, other = play(0), play(0), play(1)
    assert not np.array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[0], same[0])
    for a, b in zip(one[1:], same[1:], strict=True):
        assert_same(a, b)


@vectors
def test_state_is_restored_bitwise(kind: type[CartPoleVector]) -> None:
    actions = np.random.default_rng(0).integers(0, 2, (90, 4))
    one = kind(4)
    one.reset(seed=0, options={"low": -0.1, "high": 0.1})
    for row in actions[:33]:
        one.step(row)
    saved = copy.deepcopy(one.state_dict())
    expected = [copy.deepcopy(one.step(row)) for row in actions[33:]]
    assert any(infos for *_, infos in expected)
    fresh = kind(4)
    for envs in (one, fresh):  # one that has gone on, and one that has never been reset
        envs.load_state_dict(saved)
        for row, result in zip(actions[33:], expected, strict=True):
            assert_same(envs.step(row), result)


@vectors
def test_observations_outlive_the_next_step(kind: type[CartPoleVector]) -> None:
    envs = kind(4, max_episode_steps=5)
    seen, _ = envs.reset(seed=0)
    for _ in range(20):
        kept = seen.copy()
        after, *_ = envs.step(np.array([0, 1, 0, 1]))
        np.testing.assert_array_equal(seen, kept)
        seen = after


def test_invalid_actions_are_refused() -> None:
    envs = CartPoleVector(2)
    with pytest.raises(gym.error.ResetNeeded, match="was not reset"):
        envs.step(np.array([0, 1]))
    envs.reset(seed=0)
    for actions in (np.array([0, 2]), np.array([0.0, 1.0])):
        with pytest.raises(IndexError):
            envs.step(actions)


# --- Registration, and one copy


@singles
@pytest.mark.filterwarnings("ignore:.*Box observation space m..imum value is")  # of CartPole-v1's velocities too
def test_registered_by_name(name: str) -> None:
    importlib.reload(importlib.import_module("agents.environments.cartpole"))  # no warning
    one = gym.make(name)
    many: Any = gym.make_vec(name, num_envs=3, vectorization_mode="vector_entry_point")
    assert many.max_episode_steps == 500
    assert many.single_observation_space == one.observation_space
    assert many.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    check_env(gym.make(name).unwrapped, skip_render_check=True)


@singles
def test_single_equals_vector(name: str) -> None:
    one, many = gym.make(name), gym.make_vec(name, num_envs=1, vectorization_mode="vector_entry_point")
    core: Any = one.unwrapped
    seen, _ = many.reset(seed=0)
    core.reset(seed=0)
    one.reset(seed=0)  # both draw their four first numbers from the same generator
    np.testing.assert_array_equal(core._observe(first=True), seen[0])
    for action in np.random.default_rng(0).integers(0, 2, 200):
        expected, reward, terminated, truncated, _ = one.step(action)
        seen, rewards, ends, cuts, infos = many.step(np.array([action]))
        last = infos["final_obs"] if infos else seen
        np.testing.assert_array_equal(last[0], expected)
        assert (rewards[0], ends[0], cuts[0]) == (reward, terminated, truncated)
        if terminated:
            return
    pytest.fail("no episode ended")


def test_the_time_limit_cuts_once() -> None:
    env: Any = gym.make(PIXELS)
    env.reset(seed=0)
    cuts = []
    for _ in range(500):
        env.unwrapped.state[:] = 0
        *_, terminated, truncated, _ = env.step(0)
        assert not terminated
        cuts.append(truncated)
    assert cuts == [False] * 499 + [True]


@singles
def test_one_is_resumed_from_its_state(name: str) -> None:
    def make() -> gym.Env[Any, Any]:
        return gym.make(name)

    assert choose_method(make) == ("native", None)
    envs = [Resumable(Monitor(make()), seed=0, copy=i, method="native") for i in (0, 1)]
    for env in envs:
        env.reset()
        for action in (0, 1, 1, 0, 1):
            env.step(action)
    envs[1].restore(copy.deepcopy(envs[0].state()))
    for _ in range(3):
        a, b = (env.step(1) for env in envs)
        np.testing.assert_array_equal(a[0], b[0])
        assert a[1:4] == b[1:4]


def test_films_show_gymnasiums_picture() -> None:
    ours, theirs = (gym.make(name, render_mode="rgb_array") for name in (PIXELS, "CartPole-v1"))
    for env in (ours, theirs):
        env.reset(seed=0)
        env.step(1)
    np.testing.assert_array_equal(ours.render(), theirs.render())
    ours.close()
    theirs.close()


# --- The picture


def averages(length: int) -> np.ndarray:
    """(64, length): resizes an axis by area."""
    edges = np.arange(SIZE + 1)[:, None] * length / SIZE
    pixels = np.arange(length)
    shared = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    resized: np.ndarray = shared.clip(0) / (length / SIZE)
    return resized


def shown(env: CartPoleEnv, x: float, theta: float) -> np.ndarray:
    """Gymnasium's picture in grey, by its own weights, and resized by area."""
    env.state = np.array([x, 0, theta, 0])
    grey = np.asarray(env.render()) @ [0.2125, 0.7154, 0.0721]  # type: ignore[no-untyped-call]
    picture: np.ndarray = averages(400) @ grey @ averages(600).T
    return picture


@pytest.mark.parametrize(
    ("reach", "lean"),
    [
        (2.4, LIMIT),
        (2.5, np.pi / 2),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in ((2.5, 2 * LIMIT), (2.4, 0), (0, LIMIT))),
    ],
)
def test_the_picture_is_gymnasiums(gymnasiums: CartPoleEnv, reach: float, lean: float) -> None:
    random = np.random.default_rng(0)
    x, theta = random.uniform(-reach, reach, 200), random.uniform(-lean, lean, 200)
    x[:4], theta[:4] = [reach, reach, -reach, -reach], [lean, -lean, lean, -lean]
    expected = np.stack([shown(gymnasiums, *state) for state in zip(x, theta, strict=True)])
    difference = draw(x, theta) - expected
    assert np.abs(difference).mean() < 0.06
    assert np.abs(difference[expected < 254]).mean() < 2
    # Gymnasium cuts corners to whole pixels, which moves edges by up to half a pixel to both sides: of 9.375 from black
    # to white 14 levels, and a few more where two edges are cut apart.
    assert np.abs(difference).max() < 20
    assert np.abs(difference.mean()) < 0.01


@pytest.mark.parametrize("x", [-1.6, 0.0, 0.8, 2.0])
def test_uncut_pictures_are_equal(gymnasiums: CartPoleEnv, x: float) -> None:
    """Upright poles on whole pixels, of which our numbers are the middle and Gymnasium's the left."""
    ours = draw(np.array([x + 0.5 / 125]), np.zeros(1))[0]
    assert np.abs(ours - shown(gymnasiums, x + 1e-6, 0)).max() < 0.51  # rounded to whole levels


def cart_at(picture: np.ndarray) -> Any:
    """The middle between the edges of the cart, in pixels of Gymnasium's picture, from a row without pole or track."""
    ink = 255.0 - picture[49]
    inside = int(ink.argmax()) + 1
    return (inside + (ink[inside:].sum() - ink[:inside].sum()) / ink.max() / 2) * 600 / SIZE


def pole_at(picture: np.ndarray) -> Any:
    """The column of the upper pole's ink, on average, in pixels of Gymnasium's picture."""
    ink = 255.0 - picture[:40]
    return (ink @ (np.arange(SIZE) + 0.5)).sum() / ink.sum() * 600 / SIZE


def test_cart_and_pole_positions(gymnasiums: CartPoleEnv) -> None:
    random = np.random.default_rng(0)
    for x, theta in zip(random.uniform(-2, 2, 100), random.uniform(-LIMIT, LIMIT, 100), strict=True):
        ours, theirs = draw(np.array([x]), np.array([theta]))[0], shown(gymnasiums, x, theta)
        assert np.abs(cart_at(ours) - (300 + 125 * x)) < 0.05  # a two-hundredth of one of our pixels
        assert np.abs(cart_at(ours) - cart_at(theirs)) < 0.55  # half a pixel is what is cut
        assert np.abs(pole_at(ours) - pole_at(theirs)) < 1


@pytest.mark.parametrize("layout", [lambda n: n[:, 2], lambda n: n[::2, 0], lambda n: n[3:, 1]])
def test_draws_into_views(layout: Callable[[np.ndarray], np.ndarray]) -> None:
    room = np.full((100, 4, SIZE, SIZE), 7, np.uint8)
    part = layout(room)
    random = np.random.default_rng(0)
    x, theta = random.uniform(-3, 3, len(part)), random.uniform(-2, 2, len(part))
    assert draw(x, theta, out=part) is part
    alone = np.concatenate([draw(x[i : i + 1], theta[i : i + 1]) for i in range(len(part))])
    assert np.abs(part.astype(int) - alone).max() <= 1  # however many are drawn together, but for the order of sums
    part[:] = 7
    assert (room == 7).all()


def test_outside_is_not_drawn() -> None:
    away = draw(np.array([-5.0, 5.0, -100.0, 1e6]), np.array([0.2, -0.2, 0.0, 0.0]))
    np.testing.assert_array_equal(away, np.broadcast_to(BACKGROUND, away.shape))


def test_upright_is_nothing_special() -> None:
    pictures = draw(np.full(3, 0.3), np.array([-1e-6, 0, 1e-6])).astype(int)
    assert np.abs(pictures - pictures[1]).max() <= 1


def test_left_and_right_are_alike() -> None:
    random = np.random.default_rng(0)
    x, theta = random.uniform(-3, 3, 100), random.uniform(-1.5, 1.5, 100)
    difference = draw(x, theta).astype(int) - draw(-x, -theta)[:, :, ::-1]
    assert np.abs(difference).max() <= 1
