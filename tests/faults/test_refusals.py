"""Bad input is refused before anything is written: exit code 2, one sentence, expected and received."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml

from lab.cli.main import main
from lab.resuming import resume
from lab.runs.summary import read_summary, versions
from tests.faults.harness import Killed, copy_of_killed, copy_of_undisturbed, differences, killing, lab_command

FAST = ["--fast-dev-run", "--data.name=digits"]


def written() -> list[Path]:
    return [path for path in Path.cwd().rglob("*") if path.is_file() and path.name != "mine.yaml"]


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    "words",
    [
        ["run", "ppo-cartpol"],
        ["run", "none.yaml"],
        ["run", "vae-mnist", "--model.latnet_dim=3", "--data.name=digits"],
        ["run", "vae-mnist", "--device", "tpu"],
        ["run", "vae-mnist", "--trainer.optimizer.lr=-1", "--data.name=digits"],
        ["run", "vae-mnist", "--trainer.optimizer.lr=.nan", "--data.name=digits"],
        ["run", "vae-mnist", "--data.name=digits", "--data.batch_size=5000"],
        ["run", "cnn-mnist", "--data.name=digits", "--data.val_size=0", "--trainer.early_stopping.patience=3"],
        ["run", "ppo-cartpole", "--env.id=CartPol-v1"],
        ["run", "ppo-cartpole", "--env.id=no_such_module:CartPole-v1"],
        ["run", "ppo-cartpole", "--env.kwargs={a: 1}"],
        ["run", "ppo-cartpole", "--agent.batch_size=100"],
        ["run", "ppo-cartpole", "--env.kwargs={render_mode: human}"],
        ["run", "ppo-cartpole", "--name=../up"],
        ["run", "ppo-cartpole", "--threads=100000"],
        ["run", "ppo-cartpole", "--seed=5000000000"],
        ["run", "ppo-cartpole", "--config=x.yaml"],
        ["run", "ppo-cartpole", "--env.id=Blackjack-v1"],
        ["run", "cnn-mnist", "--data.name=digits", "--trainer.early_stopping.metric=val/acuracy"],
        ["run", "cnn-mnist", "--data.name=digits", "--model.encoder=ResNet", "--model.encoder.channels=[]"],
        ["show", "vae-mnist", "--json"],
        ["eval", ""],
        ["run", "dqn-cartpole", "--env.id=Pendulum-v1"],
        ["run", "vae-mnist", "--fast-dev-rnu"],
        ["run"],
        ["rnu", "vae-mnist"],
        ["list", "--all"],
        ["eval", "no-such-run"],
        ["data", "fetch", "minst"],
        ["resume", "no-such-run"],
        ["resume"],
        ["run", "ppo-cartpole", "--checkpoint.steps=0"],
        ["run", "ppo-cartpole", "--checkpoint.epochs=2"],
        ["run", "vae-mnist", "--data.name=digits", "--checkpoint.epochs=2", "--checkpoint.steps=2"],
        ["run", "ppo-cartpole", "--env.resume=replya"],
        ["run", "ppo-cartpole", "--reference.value=.inf"],
        ["verify", "ppo-cartpol"],
        ["verify", "ppo-cartpole", "--kills", "many"],
        ["sync", "--all"],
    ],
)
def test_bad_input_exits_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line]
    assert lines[-1].startswith("lab: error: ")
    assert len(lines) == 1
    assert written() == []


@pytest.mark.fault(10)
def test_other_config_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy_of_killed("vae", 5)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["resume", str(folder), "--model.latent_dim=20", "--trainer.max_epochs=9"]) == 2
    err = capsys.readouterr().err
    assert "model.latent_dim: 50 -> 20; trainer.max_epochs: 3 -> 9" in err
    assert "--force" in err
    assert main(["resume", str(folder), "--trainer.max_epochs=2", "--force"]) == 2, "a run cannot become shorter"
    assert "trainer.max_epochs can only grow" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    edited = yaml.safe_load((folder / "config.yaml").read_text())
    edited["trainer"]["log_every"] = 1
    (folder / "config.yaml").write_text(yaml.safe_dump(edited))
    assert main(["resume", str(folder)]) == 2
    assert "trainer.log_every: 3 -> 1" in capsys.readouterr().err
    assert main(["resume", str(folder), "--force"]) == 0
    (fork,) = (path for path in folder.parent.iterdir() if path != folder)
    assert read_summary(fork).parent == {"run_id": folder.name, "checkpoint": 4}
    assert read_summary(folder).status == "running", "the old run is unchanged"


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    ("name", "value"), [pytest.param("torch", "1.0", marks=pytest.mark.slow), ("deep-learning-lab", "0.0.1")]
)
def test_other_version_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    undisturbed, folder = copy_of_undisturbed("classifier"), copy_of_killed("classifier", 5)
    real = versions()
    monkeypatch.setattr("lab.saving.surroundings.versions", lambda: real | {name: value})
    assert main(["resume", str(folder)]) == 2
    assert f"{name}: {real[name]} -> {value}" in capsys.readouterr().err
    forced = resume(folder, force=True)
    assert forced.resume["exact"] is False
    assert forced.resume["reason"] == f"resumed in spite of {name}: {real[name]} -> {value}"
    assert differences(undisturbed.dir, folder) == []


@pytest.mark.fault(10)
def test_other_threads_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A machine with fewer CPUs than the checkpoint's threads cannot resume it exactly."""
    folder = killed_with_two_threads()
    with machine(cpus=1, threads=1):
        assert main(["resume", str(folder)]) == 2
        assert "threads: 2 -> 1" in capsys.readouterr().err


@pytest.mark.fault(10)
def test_threads_of_the_checkpoint_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the config leaves them open, and the machine has so many CPUs."""
    folder = killed_with_two_threads()
    before = (folder / "config.yaml").read_bytes()
    with machine(cpus=2, threads=1):
        assert main(["resume", str(folder), "--threads=1"]) == 2
        assert "threads: None -> 1" in capsys.readouterr().err
        with killing(2), pytest.raises(Killed):
            resume(folder, {"threads": 2})
        assert resume(folder).status == "completed"
    record = read_summary(folder)
    assert (record.threads, record.resume["exact"]) == (2, True)
    assert (folder / "config.yaml").read_bytes() == before


@contextmanager
def machine(cpus: int, threads: int) -> Iterator[None]:
    """A machine with so many CPUs, where torch would take so many threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: cpus)
        patch.setattr("lab.system.devices.DEFAULT_THREADS", threads)
        yield
    torch.set_num_threads(1)


def killed_with_two_threads() -> Path:
    with machine(cpus=2, threads=2):
        folder = copy_of_killed("classifier", 5, threads=None)
    assert read_summary(folder).threads == 2
    return folder


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    ("kind", "word", "code", "sentence"),
    [
        ("vae", "--model.encoder.hidden=[16]", 2, "does not fit the settings"),
        ("ppo", "--env.num_envs=4", 2, "env.num_envs must stay 8 when a run is resumed, received 4"),
        ("dqn", "--agent.buffer_size=9000", 2, "a buffer can be made smaller, not larger"),
    ],
)
def test_unfitting_forced_settings_are_refused(
    kind: str, word: str, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of_killed(kind, 11 if kind == "dqn" else 5)
    if word.startswith("--env"):
        word += " --agent.batch_size=128"
    assert main(["resume", str(folder), *word.split(), "--force"]) == code
    err = capsys.readouterr().err
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.fault(22)
def test_missing_cuda_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert main(["run", "vae-mnist", *FAST, "--device", "cuda"]) == 2
    assert "device 'cuda' is not available here; available: " in capsys.readouterr().err
    assert written() == []


@pytest.mark.fault(23)
def test_missing_extra_is_named() -> None:
    words = ["run", "ppo-cartpole", "--env.id=LunarLander-v3", "--fast-dev-run"]
    code, said = lab_command(words, "sys.modules['Box2D'] = None")
    assert code == 2
    assert "needs a package that is not installed: pip install 'deep-learning-lab[box2d]'" in said
    assert "Traceback" not in said
    assert written() == []


@pytest.mark.fault(25)
def test_closed_pipe_is_silent() -> None:
    command = f"'{sys.executable}' -m lab.cli list | true"
    assert subprocess.run(["bash", "-c", command], capture_output=True, text=True).stderr == ""
