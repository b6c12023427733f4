"""`lab collect`: the same bytes from the same seed, all of them or none, and one sentence for what will not do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import lab
from agents.environments.settings import EnvSettings
from agents.recording.recipe import Recipe
from agents.recording.recorder import Source, record
from agents.recording.source import source_of
from lab.cli.main import main
from lab.data.own.episodes import DESCRIPTION, TENSORS, read_episodes
from lab.errors import ConfigError, DataError

RUNS = Path("runs")
SMALL = {
    "total_timesteps": 64,
    "agent.n_steps": 32,
    "agent.batch_size": 32,
    "env.num_envs": 1,
    "evaluation.episodes": 1,
}


def collected(folder: str, **options: Any) -> dict[str, Any]:
    return Recipe(**{"env": "CartPole-v1", "n": 60, **options}).make(Path(folder), RUNS)


def test_same_seed_gives_same_bytes() -> None:
    one, again, other = (collected(name, seed=seed) for name, seed in (("one", 3), ("again", 3), ("other", 4)))
    assert one["sha256"] == again["sha256"] != other["sha256"]
    assert Path("one", TENSORS).read_bytes() == Path("again", TENSORS).read_bytes()
    assert Path("one", DESCRIPTION).read_bytes() == Path("again", DESCRIPTION).read_bytes()


def test_global_generators_do_not_matter() -> None:
    np.random.seed(1)
    one = collected("one")
    np.random.seed(2)
    assert one["sha256"] == collected("again")["sha256"]


def test_pictures_have_the_state_beside_them() -> None:
    """A frame is drawn from the state beside it: the pole leans to the side of its angle."""
    collected("frames", n=120, pixels="40x60")
    found = read_episodes(Path("frames"))
    frames = found.tensors["observations"].numpy().astype(float)
    assert frames.shape == (120, 1, 40, 60)
    assert found.names == ("position", "velocity", "angle", "angular_velocity")
    states = found.tensors["states"].numpy()
    dark = 255 - frames[:, 0, 16:24]  # above the cart there is the pole alone
    middle = (dark.sum(1) * np.arange(60)).sum(1) / dark.sum((1, 2))
    lean = middle - (29.5 + states[:, 0] * 60 / 4.8)
    assert np.corrcoef(lean, states[:, 2])[0, 1] > 0.95
    assert np.array_equal(found.tensors["starts"][1:], found.tensors["terminations"][:-1])


def test_pictures_that_are_alike_have_one_angle() -> None:
    """Pendulum counts how often it has turned."""
    collected("pendulum", env="Pendulum-v1", n=300)
    found = read_episodes(Path("pendulum"))
    angle, seen = found.tensors["states"][:, 0].numpy(), found.tensors["observations"].numpy()
    assert np.abs(angle).max() <= np.float32(np.pi)
    assert np.allclose(np.sin(angle), seen[:, 1], atol=1e-4)
    assert np.allclose(np.abs(angle), np.abs(np.arctan2(seen[:, 1], seen[:, 0])), atol=1e-4)


class OneBuffer(gym.Env[Any, Any]):
    """Writes each observation, the number of the step, into the same memory."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self, dtype: str = "float32", shape: tuple[int, ...] = (3,), password: str = "") -> None:
        self.observation_space = gym.spaces.Box(0, 255, shape, np.dtype(dtype).type)
        self.buffer = np.zeros(shape, dtype)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.buffer[:] = 0
        return self.buffer, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.buffer[:] += 1
        return self.buffer, 1.0, bool((self.buffer == 4).all()), False, {}


@pytest.mark.parametrize(("dtype", "shape"), [("uint8", (1, 8, 8)), ("float32", (3,))])
def test_what_is_seen_before_the_action_is_kept(dtype: str, shape: tuple[int, ...]) -> None:
    gym.register(f"OneBuffer-{dtype}-v0", f"{__name__}:OneBuffer", disable_env_checker=True)
    settings = EnvSettings(f"OneBuffer-{dtype}-v0", kwargs={"dtype": dtype, "shape": shape})
    rows, _ = record(Source(settings, None, {}), steps=8, seed=0, size=None)
    assert rows["observations"].reshape(8, -1)[:, 0].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    if "states" in rows:
        assert np.array_equal(rows["states"], rows["observations"])


class ChangesActions(OneBuffer):
    """Scales the actions that it is given, in place."""

    action_space = gym.spaces.Box(-1, 1, (2,))  # type: ignore[assignment]

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        action *= 1_000
        return super().step(action)


def test_actions_are_those_that_were_chosen() -> None:
    gym.register("ChangesActions-v0", f"{__name__}:ChangesActions", disable_env_checker=True)
    rows, _ = record(Source(EnvSettings("ChangesActions-v0"), None, {}), steps=8, seed=0, size=None)
    assert 0 < np.abs(rows["actions"]).max() <= 1


def test_secrets_are_not_recorded() -> None:
    gym.register("OneBuffer-v0", f"{__name__}:OneBuffer", disable_env_checker=True)
    settings = EnvSettings("OneBuffer-v0", kwargs={"password": "open sesame"})
    _, told = record(Source(settings, None, {}), steps=8, seed=0, size=None)
    assert told["environment"]["kwargs"] == {"password": "[redacted]"}


def test_steps_replay_in_the_environment() -> None:
    """Observations, actions and rewards of an episode are what the environment gives for them."""
    rows, told = record(source_of("CartPole-v1", "random", RUNS), steps=80, seed=1, size=None)
    starts = np.flatnonzero(rows["starts"])
    assert told["episodes"] == len(starts)
    env: Any = gym.make("CartPole-v1").unwrapped
    for start, end in zip(starts, [*starts[1:], 80], strict=True):
        env.reset()
        env.state = rows["observations"][start].astype(np.float64)
        for step in range(start, end):
            seen, reward, terminated, *_ = env.step(rows["actions"][step])
            assert (reward, terminated) == (rows["rewards"][step], rows["terminations"][step])
            if step + 1 < end:
                np.testing.assert_allclose(seen, rows["observations"][step + 1], atol=1e-5)


def test_a_trained_agent_acts() -> None:
    run = lab.run("ppo-cartpole", SMALL)
    assert collected("one", policy="ppo-cartpole")["sha256"] == collected("again", policy=run.run_id)["sha256"]
    assert json.loads(Path("one", DESCRIPTION).read_text())["policy"]["run_id"] == run.run_id
    agent, found = lab.load(run.dir), read_episodes(Path("one")).tensors
    for observation, action in zip(found["observations"][:10], found["actions"][:10], strict=True):
        assert agent.act(observation.numpy()) == action
    with pytest.raises(ConfigError, match=r"sees Box.* and Acrobot-v1 has Box.*`lab collect ppo-cartpole`"):
        collected("other", env="Acrobot-v1", policy="ppo-cartpole")


def test_an_experiment_gives_its_environment() -> None:
    settings = source_of("ppo-cartpole-pixels", "random", RUNS).settings
    assert settings.id == "agents.environments.cartpole:CartPolePixels-v1"
    rows, told = record(Source(settings, None, {}), steps=4, seed=0, size=None)
    assert rows["observations"].shape == (4, 4, 64, 64)
    assert rows["observations"].dtype == np.uint8
    assert told["states"][2] == "angle"


def test_the_command_says_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", "CartPole-v1", "-n", "60", "--pixels", "16x24", "-o", "poles", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["count"] == 60
    assert "recording: 60 steps" in err
    assert err.splitlines()[-1].startswith("`lab data show poles`")
    assert main(["data", "show", "poles"]) == 0
    out, _ = capsys.readouterr()
    assert "images of 24x16 pixels, grey" in out
    assert "position, velocity, angle, angular_velocity" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["CartPol-v1"], "unknown environment 'CartPol-v1'; did you mean 'CartPole-v1'?"),
        (["ppo-cartpol"], "unknown environment 'ppo-cartpol'"),
        (["vae-mnist"], "vae-mnist trains no agent, so it has no environment"),
        (["CartPole-v1", "--policy", "ppo-cartpole"], "ppo-cartpole"),
        (["CartPole-v1", "-n", "0"], "expected a number from 1 to 1,000,000,000, received '0'"),
        (["CartPole-v1", "-n", "1000000000", "--pixels"], "1,000,000,000 steps of CartPole-v1 need 8.3 TB of memory"),
        (["CartPole-v1", "--pixels", "40"], "a height and a width from 8 to 512, such as 40x60, received '40'"),
        (["Plain-v0", "--pixels"], "Plain-v0 cannot be drawn as pictures: its render modes are []"),
        (["FrozenLake-v1"], "has observations of Discrete"),
        (["CartPole-v1", "-o", "there"], "there is already something at there"),
        (["CartPole-v1", "-o", "file/inside"], "cannot write file/inside"),
    ],
)
def test_bad_input_is_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("there").mkdir()
    Path("file").write_text("")
    if "Plain-v0" not in gym.registry:
        gym.register("Plain-v0", entry_point=f"{__name__}:Plain")
    assert main(["collect", *words]) == 2
    _, err = capsys.readouterr()
    assert sentence in err
    assert sum(line.startswith("lab: error: ") for line in err.splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == ["file", "there"]
    assert not list(Path("there").iterdir())


class Plain(gym.Env[Any, Any]):
    """Cannot be drawn."""

    observation_space = gym.spaces.Box(0, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(2, np.float32), 0.0, False, False, {}


def test_a_kill_leaves_no_data_set(tmp_path: Path) -> None:
    command = ["collect", "CartPole-v1", "-n", "1000000", "-o", str(tmp_path / "poles")]
    child = subprocess.Popen([sys.executable, "-m", "lab.cli", *command], stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    while "recording" not in child.stderr.readline():
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert not list(tmp_path.glob("*poles*"))


def test_too_many_steps_are_refused_before_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(EnvSettings("CartPole-v1"), None, {})
    monkeypatch.setattr("lab.system.memory.free_memory", lambda device: 1000)
    with pytest.raises(DataError, match=r"100 steps of CartPole-v1 need .* free; record fewer with -n"):
        record(source, steps=100, seed=0, size=None)
