"""The command as a person meets it: exit codes, streams, what it writes and what it does not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.cli import main

LAB = [sys.executable, "-m", "lab.cli"]
FAST = ["--fast-dev-run", "--data.name=digits"]


def written() -> list[Path]:
    return [path for path in Path.cwd().rglob("*") if path.is_file() and path.name != "mine.yaml"]


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
        ["run", "cnn-mnist", "--data.name=digits", "--trainer.early_stopping.monitor=val/acuracy"],
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
    ],
)
def test_bad_input_exits_2_with_one_line_and_writes_nothing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line]
    assert lines[-1].startswith("lab: error: ")
    assert len(lines) == 1
    assert written() == []


def test_cuda_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert main(["run", "vae-mnist", *FAST, "--device", "cuda"]) == 2
    assert "device 'cuda' is not available here; available: " in capsys.readouterr().err


def test_unwritable_runs_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert main(["run", "ppo-cartpole", "--fast-dev-run", "--runs-dir", "file"]) == 2
    assert "cannot write to the runs folder" in capsys.readouterr().err


def test_list_and_help_import_nothing_heavy() -> None:
    for words in (["list"], ["list", "--json"], ["--help"], ["run", "--help"]):
        script = (
            "import sys\nfrom lab.cli import main\n"
            f"try: main({words!r})\nexcept SystemExit: pass\n"
            "heavy = {'torch', 'stable_baselines3', 'wandb', 'pytorch_lightning', 'jsonargparse', 'gymnasium'}\n"
            "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_list_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["family"] for row in rows} == {"agents", "generative", "supervised"}
    assert all(row["description"] for row in rows)


def test_show_prints_a_config_that_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "ppo-cartpole", "--env.num_envs=4", "--agent.batch_size", "64"]) == 0
    Path("mine.yaml").write_text(capsys.readouterr().out)
    assert main(["run", "mine.yaml", "--fast-dev-run", "--json", "--runs-dir", "runs"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["name"] == "ppo-cartpole"
    assert summary["threads"] == 1


def test_run_runs_eval(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_RUNS_DIR", "elsewhere")
    assert main(["runs"]) == 0
    assert "no runs in" in capsys.readouterr().out
    assert main(["run", "vae-mnist", *FAST, "--seed", "3"]) == 0
    out = capsys.readouterr().out
    for expected in ("test/nll", "86.76", "not-comparable", "Burda et al. 2016", "lab eval", "elsewhere"):
        assert expected in out
    assert main(["runs", "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["seed"], run["status"]) == (3, "completed")
    for name in ("vae-mnist", run["run_id"], run["run_id"][:-2], run["run_dir"]):
        assert main(["eval", name, "--json"]) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert told == {"run_id": run["run_id"], "metrics": run["metrics"], "same": True}
    folder = Path(run["run_dir"])
    summary = json.loads((folder / "summary.json").read_text())
    summary["metrics"]["test/nll"] += 1
    (folder / "summary.json").write_text(json.dumps(summary))
    assert main(["eval", run["run_id"]]) == 1
    assert "differs" in capsys.readouterr().out
    (folder / "checkpoints" / "final" / "state.safetensors").write_bytes(b"")
    assert main(["eval", run["run_id"]]) == 5
    assert "is damaged" in capsys.readouterr().err


def test_unicode_spaces_and_percent_in_paths(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mein Lauf 100%").mkdir()
    Path("mein Lauf 100%/süß.yaml").write_text("extends: ppo-cartpole\nagent: {init_args: {n_steps: 64}}\n")
    assert main(["run", "mein Lauf 100%/süß.yaml", "--fast-dev-run", "--runs-dir", "mein Lauf 100%/läufe"]) == 0
    assert list(Path("mein Lauf 100%/läufe/süß").iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("experiment", ["vae-mnist", "ppo-cartpole"])
def test_a_signal_ends_a_run_cleanly(experiment: str, number: signal.Signals, code: int) -> None:
    words = [experiment, "--runs-dir", "runs"]
    words += ["--data.name=digits", "--trainer.max_epochs=100000"] if experiment == "vae-mnist" else []
    process = subprocess.Popen([*LAB, "run", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not any(p.stat().st_size for p in Path("runs").rglob("metrics.jsonl")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "Traceback" not in err
    (path,) = Path("runs").rglob("summary.json")
    summary = json.loads(path.read_text())
    assert summary["status"] == "interrupted"
    assert summary["durations"]["train"] > 0


def test_a_reader_that_leaves_early_sees_no_traceback() -> None:
    command = f"'{sys.executable}' -m lab.cli list | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
