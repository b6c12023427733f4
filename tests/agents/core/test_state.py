"""An agent that takes back its state goes on bit by bit like the one it was taken from, whatever is switched on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from safetensors.torch import save_file

from agents.core.agent import Agent
from agents.core.state import agent_state, lacks, load_agent_state, load_randomness, load_replay, replay_rows
from agents.environments.settings import EnvSettings, Plan
from agents.environments.vector import Environments
from lab.encoders.networks.recurrent import Recurrent
from lab.saving.checkpoint import Segment
from lab.saving.packing import pack, unpack
from lab.system.files import print_of
from lab.training.optimization import Schedule
from tests.faults.environments import Walk
from tests.support.tasks import Identity, dqn, ppo, together, weights

BOTH: dict[str, Any] = {"normalize_observations": True, "normalize_rewards": True}
LINEAR: dict[str, Any] = {"learning_rate_schedule": Schedule(kind="linear")}
BOX = spaces.Box(-1, 1, (2,), np.float32)


def identity(space: spaces.Space[Any]) -> Callable[[], Environments]:
    return lambda: together(lambda: Identity(space), 2)


def walks() -> Environments:
    return together(Walk, 2)


def cartpole(kind: Any, name: str = "CartPoleMasked") -> Callable[[], Environments]:
    return lambda: EnvSettings(f"agents.environments.cartpole:{name}-v1", num_envs=2).make_vec(
        0, Plan(kind, "native", None)
    )


def tensors() -> Environments:
    return EnvSettings("CartPole-v1", num_envs=2).make_vec(0, Plan("tensors", "native", None))


def remembering(cell: Any) -> Any:
    return partial(Recurrent, cell=cell, width=8)


KINDS: dict[str, tuple[Any, Callable[[], Environments], dict[str, Any]]] = {
    "ppo": (ppo, walks, LINEAR),
    "ppo native": (ppo, cartpole("native"), {"clip_range_vf": 0.2, "target_kl": 0.01}),
    "ppo tensors": (ppo, tensors, {}),
    "ppo normalised": (ppo, walks, BOTH | {"share_encoder": False}),
    "ppo box": (ppo, identity(BOX), {}),
    "ppo gsde": (ppo, identity(BOX), {"gsde": True, "sde_sample_freq": 5}),
    "ppo switches": (ppo, identity(spaces.MultiBinary(3)), {}),
    "ppo choices": (ppo, identity(spaces.MultiDiscrete([2, 3])), {}),
    "lstm": (ppo, walks, {"encoder": remembering("lstm")}),
    "gru": (ppo, cartpole("native"), {"encoder": remembering("gru"), "share_encoder": False} | BOTH),
    "dqn": (dqn, walks, LINEAR | {"buffer_size": 150, "tau": 0.5, "target_update_interval": 8}),
    "dqn native": (dqn, cartpole("native"), {"average": 0.5, "buffer_size": 300}),
    "dqn tensors": (dqn, tensors, {}),
    "dqn pictures": (
        dqn,
        cartpole("native", "CartPolePixels"),
        {"n_steps": 2, "buffer_size": 300, "gradient_steps": 2},
    ),
    "dqn normalised": (dqn, walks, BOTH | {"average": 0.5, "gradient_steps": -1}),
    "rainbow": (
        dqn,
        walks,
        BOTH | {"prioritized_alpha": 0.6, "n_steps": 3, "dueling": True, "net_arch": [8], "buffer_size": 150},
    ),
}


def saved(agent: Agent, folder: Path) -> tuple[Any, list[Segment]]:
    """What a checkpoint has of an agent: its state, and the replay buffer's rows in two files."""
    state = copy.deepcopy(unpack(*pack(agent_state(agent))))
    segments: list[Segment] = []
    if agent.replay is not None:
        total = agent.rows_added
        oldest = max(0, total - agent.replay.buffer_size)
        for start, stop in ((0, total - 20), (total - 20, total)):
            if stop <= oldest:
                continue
            rows = replay_rows(agent.replay, start, total)
            path = folder / f"{start}.safetensors"
            count = stop - rows.start
            save_file({name: part[:count].contiguous() for name, part in rows.new.items()}, path)
            segments.append(Segment(rows.start, stop, path, print_of(path)))
    return state, segments


SELDOM = ("gru", "dqn pictures", "ppo box", "ppo choices", "dqn native")
"""`make faults` restores these; in `make test`, the others have all that they have."""


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.slow if one in SELDOM else ()) for one in KINDS])
def test_restored_agents_continue_bitwise(name: str, tmp_path: Path) -> None:
    build, environments, settings = KINDS[name]
    agent, other = (build(environments(), 0, **settings) for _ in range(2))
    agent.learn(320)
    state, segments = saved(agent, tmp_path)
    taken = weights(agent.policy)
    agent.learn(256, reset_num_timesteps=False)
    assert not torch.equal(weights(agent.policy), taken)

    other._setup_learn(10)
    other.memory = tuple(part + 1 for part in other.memory)
    assert load_agent_state(other, state) == []
    if other.replay is not None:
        load_replay(other.replay, segments, other.rows_added)
    load_randomness(other, state)
    assert torch.equal(weights(other.policy), taken)
    other.learn(256, reset_num_timesteps=False)
    assert other.num_timesteps == agent.num_timesteps
    after, expected = agent_state(other), agent_state(agent)
    assert same(after, expected) == []
    if agent.replay is not None:
        assert other.replay is not None
        for column in ("observations", "next_observations", "actions", "rewards", "terminated", "truncated"):
            np.testing.assert_array_equal(getattr(other.replay, column), getattr(agent.replay, column))
        assert (other.replay.pos, other.replay.full) == (agent.replay.pos, agent.replay.full)


def same(a: Any, b: Any, where: str = "") -> list[str]:
    """Return the places in which two states differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return [f"{where}: {sorted(map(str, a.keys() ^ b.keys()))}"]
        return [place for key in a for place in same(a[key], b[key], f"{where}.{key}")]
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return [f"{where}: {len(a)} and {len(b)}"]
        return [place for i, (x, y) in enumerate(zip(a, b, strict=True)) for place in same(x, y, f"{where}.{i}")]
    if isinstance(a, torch.Tensor):
        return [] if torch.equal(a, b) else [where]
    if isinstance(a, np.ndarray):
        return [] if np.array_equal(a, b) else [where]
    return [] if a == b or (a != a and b != b) else [f"{where}: {a} and {b}"]


def test_strayed_environments_are_named() -> None:
    agent = ppo(walks())
    agent.learn(64)
    state = copy.deepcopy(agent_state(agent))
    state["plain"]["_last_obs"][1] += 1
    other = ppo(walks())
    other._setup_learn(10)
    assert load_agent_state(other, state) == [1]


class Precise(Walk):
    """Shows float64 where its space says float32."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        return observation + 1 / 3, info

    def step(self, action: Any) -> Any:
        observation, *rest = super().step(action)
        return observation + np.float64(1) / 3, *rest

    def draw(self) -> np.ndarray:
        return self.np_random.normal(size=3)


@pytest.mark.parametrize(("capture", "count"), [("auto", 1), ("never", 0)])
def test_programs_that_are_gone_are_named(capture: Any, count: int) -> None:
    agent = ppo(walks(), 0, capture=capture)
    state = agent_state(agent) | {"programs": {"used": ["gone"], "known": ["gone"]}}
    assert len(lacks(agent, state)) == count


def test_other_dtypes_are_restored() -> None:
    assert Precise().reset(seed=0)[0].dtype == np.float64
    agent, other = (ppo(together(Precise, 2)) for _ in range(2))
    agent.learn(64)
    other._setup_learn(10)
    assert load_agent_state(other, copy.deepcopy(agent_state(agent))) == []


def test_earlier_state_is_restored() -> None:
    """Earlier checkpoints have such a list, always empty."""
    agent, other = (ppo(walks()) for _ in range(2))
    agent.learn(64)
    other._setup_learn(10)
    assert load_agent_state(other, copy.deepcopy(agent_state(agent)) | {"successes": []}) == []


@pytest.mark.parametrize("build", [ppo, dqn])
def test_boundary_episodes_depend_on_step(build: Any) -> None:
    begun = []
    for steps in (64, 192):
        agent = build(walks())
        agent.learn(steps)
        if agent.replay is not None:
            newest = agent.replay.pos - 1
            assert not (agent.replay.terminated[newest] | agent.replay.truncated[newest]).all()
        agent.num_timesteps = 1000
        agent.begin_episodes()
        begun.append(np.copy(agent._last_obs))
        assert agent._last_episode_starts.all()
        assert not agent.vec_env.lengths.any()
        if agent.replay is not None:
            assert (agent.replay.terminated[newest] ^ agent.replay.truncated[newest]).all()
    np.testing.assert_array_equal(begun[0], begun[1])
