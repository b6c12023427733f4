"""`lab doctor`: where the time goes, and which measured settings it advises."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml

import lab
from lab.cli.main import main
from lab.cli.views.doctor import advice, report
from lab.configuration import load
from lab.doctor import Diagnosis, Tried, diagnose
from lab.experiment import Alternative, Timing

PARTS = ["environment", "inference", "learning", "logging"]
QUICK = ["--device=cpu", "--threads=1"]
SLEEPY = ["--env.id=tests.support.sleepy:Sleepy-v0", "--env.num_envs=4", "--agent.n_steps=4", "--agent.batch_size=16"]
SLEEPY += ["--agent.n_epochs=1", *QUICK]


def text(found: Diagnosis) -> str:
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as capture:
        console.print(report(found))
    return capture.get()


@pytest.mark.parametrize("name", ["ppo-cartpole", pytest.param("dqn-cartpole", marks=pytest.mark.slow)])
def test_shares_of_an_agent_add_up(name: str) -> None:
    less = "--agent.n_epochs=1" if name.startswith("ppo") else "--agent.gradient_steps=4"
    found = diagnose(name, [*QUICK, less], seconds=0.3)
    assert list(found.shares) == PARTS
    assert sum(found.shares.values()) == pytest.approx(1)
    assert all(share > 0 for share in found.shares.values()), "learning began, and the policy acted"
    assert found.timing.steps > 0
    settings = [one.alternative.setting for one in found.tried]
    assert "env.vectorization=sync" in settings or name.startswith("dqn")
    assert not any("num_envs" in setting for setting in settings)


@pytest.mark.parametrize(
    "name", ["vae-mnist", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cnn-mnist", "gan-mnist"))]
)
def test_shares_of_a_model_add_up(name: str) -> None:
    words = [
        *QUICK,
        "--data.name=digits",
        "--data.batch_size=16",
        *(["--model.encoder.hidden=[32]"] if name == "vae-mnist" else []),
    ]
    found = diagnose(name, words, seconds=0.3)
    assert list(found.shares) == ["data", "learning", "logging", "loop"]
    assert sum(found.shares.values()) == pytest.approx(1)
    assert "learning (forward and backward passes and the optimizer)" in found.verdict


def test_short_training_is_repeated() -> None:
    found = diagnose("vae-mnist", [*QUICK, "--data.name=digits", "--trainer.max_epochs=1"], seconds=1.0)
    assert found.timing.steps > 0


def test_slow_environments_get_processes() -> None:
    slow = "--env.kwargs={seconds: 0.02}"  # slow enough to show on a busy machine too
    found = diagnose("ppo-cartpole", [*SLEEPY, slow, "--env.vectorization=sync"], seconds=0.3)
    assert found.shares["environment"] > 0.6
    assert found.verdict.startswith("The bottleneck is environment (stepping the environments)")
    by_setting = {one.alternative.setting: one for one in found.tried}
    assert "env.vectorization=native" not in by_setting, "the environment has none"
    assert by_setting["env.vectorization=async"].advised
    said = text(found)
    line = next(line for line in said.splitlines() if line.startswith("env.vectorization=async: "))
    assert re.search(r"\d\.\dx, [\d,.]+ -> [\d,.]+ env steps/s; --env\.vectorization=async", line)


def test_slower_settings_are_not_advised() -> None:
    found = diagnose("ppo-cartpole", [*SLEEPY, "--env.vectorization=async"], seconds=0.3)
    assert not {one.alternative.setting for one in found.tried if one.advised} & {"env.vectorization=sync"}


def with_tried(*tried: Tried) -> Diagnosis:
    timing = Timing(100, {"environment": 1.0, "learning": 1.0, "logging": 1.0})
    parts = {"environment": "e", "learning": "l", "logging": "g"}
    return Diagnosis("x", "cpu", 1, "batch", timing, parts, tried)


def test_advice_needs_large_steady_gains() -> None:
    def one(setting: str, after: float, *, steady: bool = True) -> Tried:
        return Tried(Alternative(setting, "as it says"), 1000.0, after, steady)

    small, chance, good, best = one("a=1", 1099), one("b=1", 3000, steady=False), one("c=1", 1200), one("d=1", 1800)
    assert advice(with_tried(small, chance)) == ["No setting gained more than 10%: leave the config as it is."]
    lines = advice(with_tried(small, good, chance, best))
    assert lines[:2] == [
        "d=1: 1.8x, 1,000 -> 1,800 batches/s; --d=1 (as it says)",
        "c=1: 1.2x, 1,000 -> 1,200 batches/s; --c=1 (as it says)",
    ]
    assert lines[2] == "Each was measured alone; together they may gain less."
    assert "There is no single bottleneck" in with_tried().verdict


def test_doctor_writes_and_sends_nothing(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr("lab.tracking.wandb.WandbFollower.__init__", lambda *_, **__: pytest.fail("W&B was started"))
    temporary = Path("temporary")
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary.absolute()))
    threads = torch.get_num_threads()
    assert main(["doctor", "ppo-cartpole", "--seconds", "0.3", "--agent.n_epochs=1", "--env.vectorization=sync"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("ppo-cartpole on cpu, 1 CPU thread: ")
    assert all(part in out for part in PARTS)
    assert "lab: with env.vectorization=native" in err
    left = [path for path in Path.cwd().rglob("*") if "pymp-" not in str(path)]  # Python's own, until the process ends
    assert left == [temporary.absolute()]
    assert torch.get_num_threads() == threads


def test_artifacts_come_from_runs(capsys: pytest.CaptureFixture[str]) -> None:
    digits = {"data.name": "digits", "data.batch_size": 32, "threads": 1, "device": "cpu"}
    patches = [{"channels": 8, "kernel": 4, "stride": 4, "padding": 0}]
    less = {"model.filters": 4, "model.layers": 2, "model.pixel_layers": 0, "model.fid_samples": None}
    words = [f"--{key}={'null' if value is None else value}" for key, value in {**digits, **less}.items()]
    asked = ["doctor", "vqvae-prior-mnist", *words, "--seconds=0.1", "--runs-dir=mine"]
    assert main(asked) == 2
    said = capsys.readouterr().err
    assert "mine; `lab run vqvae-mnist` makes it" in said
    assert "--make-needed" not in said, "an option that this command has not"
    small = {"model.encoder.stages": patches, "model.codes": 8, "model.width": 4, "trainer.max_steps": 1}
    lab.run("vqvae-mnist", digits | small, runs_dir="mine")
    assert main(asked) == 0
    out, err = capsys.readouterr()
    assert out.startswith("vqvae-prior-mnist on cpu, 1 CPU thread: ")
    assert "could not be tried" not in err


def test_what_is_not_tried_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust covers the other settings too."""
    others = [Alternative("threads=1"), Alternative("threads=0")]
    monkeypatch.setattr("lab.doctor._of_the_machine", lambda job, threads: others)
    theirs = Path("runs/theirs/20260101-000000-s0-abcd")
    theirs.mkdir(parents=True)
    (theirs / "summary.json").write_text("{}")
    config = load("ppo-cartpole", [*SLEEPY, "--env.vectorization=sync", "--env.kwargs={seconds: 0.0}"])
    (theirs / "config.yaml").write_text(yaml.safe_dump(config.as_dict()))
    said: list[str] = []
    found = diagnose(str(theirs / "config.yaml"), seconds=0.1, trust=True, say=said.append)
    assert "threads=1" in [one.alternative.setting for one in found.tried]
    assert [line.partition(":")[0] for line in said if "could not" in line] == ["threads=0 could not be tried"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["doctor", "ppo-cartpol"], "ppo-cartpole"),
        (["doctor", "ppo-cartpole", "--env.vectorisation=sync"], "vectori"),
        (["doctor", "ppo-cartpole", "--seconds", "soon"], "--seconds must be a number of seconds above 0"),
        (["doctor", "ppo-cartpole", "--seconds", "nan"], "--seconds must be a number of seconds above 0"),
    ],
)
def test_bad_input_exits_2(words: Sequence[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err
