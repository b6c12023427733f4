"""The agents learn every kind of action, remember what they must, and see every kind of observation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from agents.networks.extractor import input_spec
from lab.cli.main import main
from lab.encoders import MLP
from lab.encoders.combined import Combined
from lab.encoders.networks.recurrent import Recurrent
from lab.errors import ConfigError
from tests.support.tasks import Identity, Recite, dqn, mean_return, ppo, together

BOX = spaces.Box(-1, 1, (2,), np.float32)


@pytest.mark.parametrize(
    ("space", "settings", "enough"),
    [
        (spaces.Discrete(4), {}, 8),
        (spaces.MultiDiscrete([3, 2, 4]), {}, 8),
        (spaces.MultiBinary(3), {}, 8),
        (BOX, {"log_std_init": -1.0}, 7.7),
        (BOX, {"log_std_init": -2.0, "gsde": True, "sde_sample_freq": 4}, 7.7),
    ],
    ids=["discrete", "multi-discrete", "multi-binary", "box", "gsde"],
)
def test_ppo_learns_every_kind_of_action(space: spaces.Space[Any], settings: dict[str, Any], enough: float) -> None:
    agent = ppo(together(lambda: Identity(space), 8), gamma=0.0, batch_size=64, **settings)
    assert mean_return(agent, lambda: Identity(space)) < enough - 0.3
    agent.learn(4096)
    assert mean_return(agent, lambda: Identity(space)) >= enough


@pytest.mark.parametrize(
    "settings",
    [
        {"double": False},
        {"dueling": True, "net_arch": [16], "prioritized_alpha": 0.6, "n_steps": 2},
        {"average": 0.5, "prioritized_alpha": 0.4},
    ],
    ids=["plain", "dueling-prioritized-n-step", "averaged"],
)
def test_dqn_learns_with_each_part(settings: dict[str, Any]) -> None:
    agent = dqn(together(lambda: Identity(spaces.Discrete(4)), 4), gamma=0.5, **settings)
    agent.learn(2000)
    assert mean_return(agent, lambda: Identity(spaces.Discrete(4))) == 8


@pytest.mark.parametrize(("cell", "share"), [("gru", True), pytest.param("lstm", False, marks=pytest.mark.slow)])
def test_recurrent_ppo_remembers(cell: Any, share: bool) -> None:
    """The sign is shown once, and asked for five steps later."""
    settings: dict[str, Any] = {"n_steps": 30, "batch_size": 240, "learning_rate": 1e-2, "share_encoder": share}
    agent = ppo(together(Recite, 16), encoder=partial(Recurrent, cell=cell, width=16), **settings)
    agent.learn(9600)
    assert mean_return(agent, Recite, 40) > 0.95


def test_ppo_without_a_memory_cannot() -> None:
    settings: dict[str, Any] = {"n_steps": 30, "batch_size": 240, "learning_rate": 1e-2}
    agent = ppo(together(Recite, 16), encoder=partial(MLP, hidden=[16]), **settings)
    agent.learn(9600)
    assert mean_return(agent, Recite, 40) < 0.75


# --- Observations


class Seen(gym.ObservationWrapper[Any, Any, Any]):
    """Identity of two actions whose sign is shown in a space of another kind."""

    def __init__(self, space: spaces.Space[Any]) -> None:
        super().__init__(Identity(spaces.Discrete(2)))
        self.observation_space = space

    def observation(self, observation: Any) -> Any:
        return self._in(self.observation_space, int(observation.argmax()))

    def _in(self, space: spaces.Space[Any], sign: int) -> Any:
        if isinstance(space, spaces.Dict):
            return {key: self._in(part, sign) for key, part in space.spaces.items()}
        if isinstance(space, spaces.Discrete):
            return sign
        return np.full(space.shape or (), sign * getattr(space, "high", np.ones(1)).max(), space.dtype)


OBSERVATIONS: dict[str, spaces.Space[Any]] = {
    "float64": spaces.Box(-1, 1, (2,), np.float64),
    "uint8 vector": spaces.Box(0, 255, (3,), np.uint8),  # the memory of an Atari machine
    "int64 vector": spaces.Box(0, 3, (3,), np.int64),
    "discrete": spaces.Discrete(2),
    "multi-discrete": spaces.MultiDiscrete([2, 2]),
    "multi-binary": spaces.MultiBinary(3),
    "image": spaces.Box(0, 255, (3, 36, 36), np.uint8),
    "dict": spaces.Dict({"a": spaces.Box(0, 1, (2,), np.float64), "b": spaces.Box(0, 5, (1,), np.int32)}),
}


OFTEN = {"ppo": [*OBSERVATIONS][1::2], "dqn": [*OBSERVATIONS][::2], "recurrent": ["discrete"]}
"""What `make test` trains on. Observations reach every kind of agent in one way, so that each is shown once."""
LEARNED = [
    pytest.param(kind, name, marks=() if name in OFTEN[kind] else pytest.mark.slow)
    for kind in ("ppo", "dqn", "recurrent")
    for name in OBSERVATIONS
    if (kind, name) != ("recurrent", "dict")  # a recurrent encoder takes one input
]


@pytest.mark.parametrize(("kind", "name"), LEARNED)
def test_every_observation_is_learned(kind: str, name: str) -> None:
    space = OBSERVATIONS[name]
    flat: Any = partial(MLP, hidden=[16], activation="tanh")
    encoder = partial(Combined, default=flat) if name == "dict" else flat
    if kind == "recurrent":
        encoder = partial(Recurrent, width=8, trunk=flat)
    env = together(lambda: Seen(space), 4)
    if kind == "dqn":
        agent: Any = dqn(env, encoder=encoder, gamma=0.0)
        agent.learn(1000)
    else:
        agent = ppo(env, encoder=encoder, gamma=0.0, batch_size=64, learning_rate=1e-2)
        agent.learn(1500)
    assert played(agent, space) == 8


@pytest.mark.parametrize("build", [ppo, dqn])
def test_whole_numbers_can_be_normalised(build: Any) -> None:
    space = OBSERVATIONS["uint8 vector"]
    agent = build(together(lambda: Seen(space), 4), gamma=0.0, normalize_observations=True)
    agent.learn(1500)
    assert played(agent, space) == 8


def played(agent: Any, space: spaces.Space[Any]) -> float:
    from agents.spaces.observations import stack

    total, env = 0.0, Seen(space)
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        memory, over = None, False
        while not over:
            (action,), memory = agent.act(stack([observation]), memory)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
    return total / 5


@pytest.mark.parametrize("build", [ppo, dqn])
@pytest.mark.parametrize("space", [spaces.Discrete(2, start=1), spaces.MultiDiscrete([2, 2], start=[0, 1])])
def test_shifted_observations_are_refused(build: Any, space: spaces.Space[Any]) -> None:
    with pytest.raises(ConfigError, match="counts discrete observations from 0"):
        build(together(lambda: Seen(space), 1))


# --- What is refused


class Odd(gym.Env[Any, Any]):
    """Does nothing, in spaces that no agent of the lab takes."""

    def __init__(self, observation: spaces.Space[Any] = BOX, action: spaces.Space[Any] = BOX) -> None:
        self.observation_space, self.action_space = observation, action

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, False, False, {}


gym.register("LabTestOdd-v0", Odd, max_episode_steps=20, disable_env_checker=True)  # type: ignore[arg-type]

TWO = spaces.Dict({"a": spaces.Discrete(2), "b": BOX})
PARTS = {"tuple": spaces.Tuple([spaces.Discrete(2), BOX]), "dict": TWO}
ODD_ACTIONS = PARTS | {"unbounded box": spaces.Box(-np.inf, np.inf, (2,), np.float32)}
ODD_OBSERVATIONS = {
    "tuple": PARTS["tuple"],
    "dict in dict": spaces.Dict({"a": TWO}),
    "table of numbers": spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])),
    "scalar": spaces.Box(-1, 1, (), np.float32),
}


def refused(words: list[str], capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch, **given: Any) -> str:
    """Return what `lab run` and `lab doctor` say, as they leave with 2 before anything is written."""
    make = partial(Odd, **given)
    patch.setattr(gym.spec("LabTestOdd-v0"), "entry_point", lambda **rest: make(**rest))
    words = [*words, "--env.id=LabTestOdd-v0", "--device=cpu"]
    assert main(["doctor", *words]) == 2
    said = capsys.readouterr().err
    assert main(["run", *words, "--fast-dev-run"]) == 2
    assert said.splitlines()[-1] == capsys.readouterr().err.splitlines()[-1]
    assert not Path("runs").exists()
    return said


@pytest.mark.parametrize("kind", [pytest.param("ppo", marks=pytest.mark.slow), "dqn"])
@pytest.mark.parametrize("name", ODD_ACTIONS)
def test_unsupported_actions_are_refused(
    kind: str, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refused([kind], capsys, monkeypatch, action=ODD_ACTIONS[name])
    assert "finite bounds" in said if name == "unbounded box" else "agents take Discrete, MultiDiscrete" in said
    assert "PPO takes it" not in said


@pytest.mark.parametrize("kind", [pytest.param("ppo", marks=pytest.mark.slow), "dqn"])
@pytest.mark.parametrize("name", ODD_OBSERVATIONS)
def test_unsupported_observations_are_refused(
    kind: str, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    space = ODD_OBSERVATIONS[name]
    said = refused([kind], capsys, monkeypatch, observation=space, action=spaces.Discrete(2))
    assert "encoders take Box observations of one axis or more" in said
    env = gym.wrappers.FlattenObservation(Odd(space))
    assert input_spec(env.observation_space), "the way out that it names"


@pytest.mark.parametrize(
    "encoder", ["Recurrent", "Conv", *(pytest.param(one, marks=pytest.mark.slow) for one in ("MLP", "ResNet"))]
)
def test_encoders_refuse_dicts(
    encoder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["ppo", f"--agent.encoder=lab.encoders.{encoder}"]
    said = refused(words, capsys, monkeypatch, observation=TWO, action=spaces.Discrete(2))
    assert f"{encoder} takes one input, but there are several: a, b" in said
