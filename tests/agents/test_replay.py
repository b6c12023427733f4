"""Replay gives back what was added, sums rewards over n steps as written down, and draws by priority."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer

from agents.buffers.priorities import SMALLEST, Priorities
from agents.buffers.replay import Replay, Sample
from agents.environments.vector import Steps

SPACE = spaces.Box(-1e6, 1e6, (2,), np.float32)
GAMMA = 0.9


class Story:
    """Random episodes of several environments, written down in full beside the buffer they are added to.

    An observation is (time, environment) with a fraction of 0.5 where it is an episode's last.
    """

    def __init__(self, replay: Replay, steps: int, seed: int = 0, ending: float = 0.15) -> None:
        random = np.random.default_rng(seed)
        self.replay, envs = replay, replay.n_envs
        self.rewards = random.normal(size=(steps, envs)).astype(np.float32)
        self.terminated = random.random((steps, envs)) < ending
        self.truncated = random.random((steps, envs)) < ending
        self.actions = random.integers(3, size=(steps, envs))
        for t in range(steps):
            self.add(t)

    def seen(self, t: int, *, last: bool = False) -> np.ndarray[Any, Any]:
        times = np.full(self.replay.n_envs, t + (0.5 if last else 0.0), np.float32)
        return np.stack([times, np.arange(self.replay.n_envs, dtype=np.float32)], 1)

    def steps(self, t: int) -> Steps:
        ended = self.terminated[t] | self.truncated[t]
        last = np.where(ended[:, None], self.seen(t + 1, last=True), np.nan) if ended.any() else None
        return Steps(self.seen(t + 1), self.rewards[t], self.terminated[t], self.truncated[t], last)

    def add(self, t: int) -> None:
        self.replay.add(self.seen(t), self.actions[t], self.steps(t))

    def expected(self, t: int, env: int, n_steps: int) -> tuple[float, float, float]:
        """Summed reward, discount and time of the next observation, by the definition."""
        total = 0.0
        for k in range(n_steps):
            now = t + k
            total += GAMMA**k * float(self.rewards[now, env])
            ended = bool(self.terminated[now, env] or self.truncated[now, env])
            if ended or k == n_steps - 1 or now == len(self.rewards) - 1:
                discount = 0.0 if self.terminated[now, env] else GAMMA ** (k + 1)
                return total, discount, now + 1 + (0.5 if ended else 0.0)
        raise AssertionError


def replay(rows: int = 40, envs: int = 3, **settings: Any) -> Replay:
    return Replay(rows * envs, SPACE, spaces.Discrete(3), n_envs=envs, gamma=GAMMA, **settings)


def all_of(sample: Sample) -> list[tuple[Any, ...]]:
    observations, following = sample.observations, sample.next_observations
    assert isinstance(observations, torch.Tensor)
    assert isinstance(following, torch.Tensor)
    columns = (observations, sample.actions, sample.rewards, sample.discounts, following)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("n_steps", [1, 2, 3, 7])
@pytest.mark.parametrize("steps", [25, 40, 97])
@pytest.mark.parametrize("alpha", [None, 0.6])
def test_samples_are_what_happened(n_steps: int, steps: int, alpha: float | None) -> None:
    """Before the ring is full, when it just is, and after it has been written over; in several environments."""
    story = Story(replay(n_steps=n_steps, alpha=alpha), steps)
    torch.manual_seed(0)
    oldest, drawn = max(0, steps - 40), set()
    for (time, env), action, reward, discount, (following, same) in all_of(story.replay.sample(2000)):
        t, i = int(time), int(env)
        assert oldest <= t < steps
        assert same == env
        assert action == story.actions[t, i]
        expected = story.expected(t, i, n_steps)
        assert (reward, discount, following) == pytest.approx(expected, abs=1e-5)
        drawn.add((t, i))
    assert len(drawn) == min(steps, 40) * 3, "every transition that is kept is drawn now and then"


def test_n_step_returns_are_sb3s() -> None:
    """Where the two mean the same: SB3 takes an episode that is both terminated and cut off for cut off."""
    story = Story(replay(n_steps=4), 97)
    theirs = NStepReplayBuffer(40 * 3, SPACE, spaces.Discrete(3), "cpu", n_envs=3, n_steps=4, gamma=GAMMA)
    story.truncated &= ~story.terminated
    story.replay = replay(n_steps=4)
    for t in range(97):
        story.add(t)
        steps = story.steps(t)
        ended = steps.terminated | steps.truncated
        following = (
            steps.observations if steps.last is None else np.where(ended[:, None], steps.last, steps.observations)
        )
        infos = [{"TimeLimit.truncated": bool(cut)} for cut in steps.truncated]
        theirs.add(story.seen(t), following, story.actions[t], steps.rewards, ended, infos)
    torch.manual_seed(0)
    np.random.seed(0)
    mine = {tuple(seen): rest for seen, *rest in all_of(story.replay.sample(3000))}
    sample = theirs.sample(3000)
    assert sample.discounts is not None
    compared = 0
    for seen, reward, done, discount, following in zip(
        *(column.tolist() for column in (sample.observations, sample.rewards, sample.dones, sample.discounts)),
        sample.next_observations.tolist(),
        strict=True,
    ):
        _, my_reward, my_discount, my_following = mine[tuple(seen)]
        assert my_reward == pytest.approx(reward[0], abs=1e-5)
        assert my_discount == pytest.approx(discount[0] * (1 - done[0]), abs=1e-5)
        assert my_following == following
        compared += 1
    assert compared == 3000


def test_what_is_added_is_copied() -> None:
    """Environments write into the same arrays again and again."""
    buffer = replay(rows=4, envs=1)
    seen, rewards = np.zeros((1, 2), np.float32), np.zeros(1, np.float32)
    no = np.zeros(1, dtype=bool)
    buffer.add(seen, np.zeros(1, dtype=np.int64), Steps(seen, rewards, no, no, None))
    seen += 1
    rewards += 1
    assert not buffer.observations.any()
    assert not buffer.next_observations.any()
    assert not buffer.rewards.any()


def test_dict_observations() -> None:
    space = spaces.Dict({"a": SPACE, "b": spaces.Box(0, 255, (1, 4, 4), np.uint8)})
    buffer = Replay(10, space, spaces.Discrete(2), n_envs=2)
    no, one = np.zeros(2, dtype=bool), np.array([False, True])
    for t in range(3):
        seen: dict[str, Any] = {"a": np.full((2, 2), t, np.float32), "b": np.full((2, 1, 4, 4), t, np.uint8)}
        after = {"a": seen["a"] + 1, "b": seen["b"] + 1}
        last = {"a": seen["a"] + 50, "b": seen["b"] + 50} if t == 1 else None
        buffer.add(seen, np.zeros(2, dtype=np.int64), Steps(after, np.ones(2, np.float32), no, one & (t == 1), last))
    sample = buffer.sample(50)
    earlier, later = sample.observations, sample.next_observations
    assert isinstance(earlier, dict)
    assert isinstance(later, dict)
    assert later["b"].dtype == torch.uint8
    for now, a, b in zip(
        earlier["a"][:, 0].tolist(), later["a"][:, 0].tolist(), later["b"][:, 0, 0, 0].tolist(), strict=True
    ):
        assert a == b
        assert a - now in ((1, 50) if now == 1 else (1,))


def test_cut_off_ends_episodes() -> None:
    story = Story(replay(n_steps=3), 10, ending=0.0)
    story.terminated[9, 1] = True
    story.replay = replay(n_steps=3)
    for t in range(10):
        story.add(t)
    story.replay.cut_off()
    story.replay.add(story.seen(50), story.actions[0], story.steps(0))
    torch.manual_seed(0)
    for (time, env), _, reward, discount, (following, _) in all_of(story.replay.sample(1000)):
        if time == 50:
            continue
        expected = story.expected(int(time), int(env), 3)  # the story ends with its tenth step, as the episodes do
        assert (reward, discount, following) == pytest.approx(expected, abs=1e-5)


# --- Priorities


def test_draws_are_proportional() -> None:
    """And importance weights make up for it: on average over draws, weight times anything is its plain mean."""
    errors = np.array([0.1, 0.5, 1.0, 2.0, 0.0, 4.0, 1.0])
    priorities = Priorities(len(errors), alpha=0.7)
    priorities.appear(np.arange(len(errors)))
    priorities.update(np.arange(len(errors)), errors)
    expected = (errors + SMALLEST) ** 0.7
    probability = expected / expected.sum()
    np.testing.assert_allclose(priorities.of(np.arange(7)), expected)
    torch.manual_seed(0)
    slots, weights = priorities.draw(70_000, 7, beta=0.5)
    np.testing.assert_allclose(np.bincount(slots, minlength=7) / 70_000, probability, atol=1e-4)
    exact = (7 * probability[slots]) ** -0.5
    np.testing.assert_allclose(weights, exact / exact.max(), rtol=1e-5)
    drawn = np.bincount(np.concatenate([priorities.draw(4, 7, 1.0)[0] for _ in range(5000)]), minlength=7) / 20_000
    np.testing.assert_allclose(drawn, probability, atol=4 * 0.5 / 20_000**0.5)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 100])
def test_nodes_are_sums(size: int) -> None:
    random, priorities = np.random.default_rng(0), Priorities(size, alpha=0.6)
    for _ in range(50):
        slots = random.integers(size, size=5)
        priorities.appear(slots[:2])
        priorities.update(slots, random.exponential(size=5))
    leaves, tree = priorities.leaves, priorities.tree
    np.testing.assert_allclose(tree[1], tree[leaves:].sum())
    for node in range(1, leaves):
        assert tree[node] == tree[2 * node] + tree[2 * node + 1]
    assert not tree[leaves + size :].any(), "slots that do not exist have no priority"


def test_new_transitions_have_largest_priority() -> None:
    priorities = Priorities(4, alpha=1.0)
    priorities.appear(np.array([0, 1]))
    assert priorities.of(np.array([0, 1])).tolist() == [1, 1]
    priorities.update(np.array([0, 1]), np.array([5.0, 0.1]))
    priorities.update(np.array([0]), np.array([0.5]))
    priorities.appear(np.array([2]))
    assert priorities.of(np.array([2])).tolist() == [5 + SMALLEST]


def test_last_error_counts() -> None:
    priorities = Priorities(4, alpha=1.0)
    priorities.update(np.array([2, 2, 2]), np.array([1.0, 9.0, 3.0]))
    assert priorities.of(np.array([2])).tolist() == [3 + SMALLEST]
    assert priorities.tree[1] == 3 + SMALLEST


def test_empty_slots_are_never_drawn() -> None:
    story = Story(replay(rows=1000, alpha=0.6), 5)
    torch.manual_seed(0)
    story.replay.sample(5000)
    assert story.replay.drawn.max() < 15


def test_a_saved_tree_draws_the_same() -> None:
    random, priorities = np.random.default_rng(0), Priorities(100, alpha=0.6)
    priorities.appear(np.arange(100))
    for _ in range(200):
        priorities.update(random.integers(100, size=8), random.exponential(size=8))
    restored = Priorities(100, alpha=0.6)
    restored.load_state_dict(copy.deepcopy(priorities.state_dict()))
    assert np.array_equal(restored.tree, priorities.tree), "bit by bit"
    for seed in range(20):
        drawn = []
        for one in (priorities, restored):
            torch.manual_seed(seed)
            slots, weights = one.draw(16, 100, 0.7)
            one.appear(slots[:2])
            one.update(slots, weights)
            drawn.append((slots.tolist(), weights.tolist()))
        assert drawn[0] == drawn[1]


def test_a_saved_tree_is_a_copy() -> None:
    priorities = Priorities(4, alpha=1.0)
    priorities.appear(np.arange(4))
    state = priorities.state_dict()
    priorities.update(np.arange(4), np.full(4, 9.0))
    restored = Priorities(4, alpha=1.0)
    restored.load_state_dict(state)
    assert (restored.tree[1], restored.largest) == (4, 1)
    restored.update(np.arange(4), np.full(4, 2.0))
    assert state["tree"].tolist() == [1, 1, 1, 1]


def test_replay_weights_make_up_for_priorities() -> None:
    story = Story(replay(rows=20, alpha=1.0), 20)
    assert story.replay.priorities is not None
    story.replay.priorities.update(np.arange(60), np.abs(np.linspace(-3, 3, 60)))
    torch.manual_seed(0)
    for beta in (0.0, 0.4, 1.0):
        sample = story.replay.sample(256, beta)
        assert story.replay.priorities is not None
        assert sample.weights is not None
        probability = story.replay.priorities.of(story.replay.drawn) / story.replay.priorities.tree[1]
        exact = (60 * probability) ** -beta
        np.testing.assert_allclose(sample.weights, exact / exact.max(), rtol=1e-5)
        rows = sample.observations
        assert isinstance(rows, torch.Tensor)
        assert story.replay.drawn.tolist() == (rows[:, 0] * 3 + rows[:, 1]).tolist()
