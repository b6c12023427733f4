"""`lab compile`: what it refuses, what it says, and that runs with its programs resume exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
from gymnasium import spaces

from agents.compiled.hints import hints
from agents.compiled.packages import Packages
from lab.cli.main import main
from tests.agents.compiled.test_packages import compiler
from tests.support.tasks import Identity, ppo, together

FEW = ["--threads=1", "--agent.encoder.hidden=[8]", "--agent.batch_size=64"]
PPO = [*FEW, "--agent.n_steps=8", "--agent.n_epochs=2", "--total_timesteps=4096"]
DQN = [*FEW, "--agent.train_freq=64", "--agent.gradient_steps=8", "--total_timesteps=2048"]


@compiler
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["cnn-mnist"], "cnn-mnist trains no agent; only what agents compute is compiled"),
        (["ppo-cartpole", "--agent.capture=never"], "received cpu and never"),
        (["ppo-cartpol"], "ppo-cartpole"),
        (["ppo-cartpole", "--seconds=0"], "--seconds must be a number of seconds above 0"),
    ],
    ids=["no agent", "not captured", "unknown", "no time"],
)
def test_nothing_is_compiled(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", *words]) == 2
    assert sentence in capsys.readouterr().err


@compiler
def test_recurrent_agents_run_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--agent.n_steps=8", "--agent.batch_size=16", "--agent.n_epochs=1", "--agent.encoder.width=4"]
    assert main(["compile", "ppo-cartpole-masked", "--threads=1", "--seconds=0.1", *small]) == 0
    assert "none of this agent's operations can be compiled" in capsys.readouterr().out


@pytest.mark.slow
@compiler
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ppo-cartpole", [*PPO, "--env.vectorization=native"]),
        ("ppo-cartpole", [*PPO, "--env.vectorization=tensors"]),
        ("dqn-cartpole", [*DQN, "--env.vectorization=tensors"]),
    ],
    ids=["ppo-native", "ppo-tensors", "dqn-tensors"],
)
def test_runs_with_programs_resume_exactly(
    name: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["compile", name, "--seconds=0.5", *words]) == 0
    said = capsys.readouterr().out
    assert "training is" in said
    assert "not compiled" not in said
    assert main(["verify", name, "--kills=2", "--checkpoint.steps=128", *words]) == 0
    assert "EXACT" in capsys.readouterr().out


def test_doctor_says_whether_programs_took_part() -> None:
    agent = ppo(together(lambda: Identity(spaces.Discrete(2)), 2), 0)
    agent.packages = Packages()
    assert all("lab compile mine" in line for line in hints(agent, "mine"))
    agent.packages.used.add("one")
    assert hints(agent, "mine") == ["1 compiled program took part."]
