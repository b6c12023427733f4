"""The command from the shell: exit codes, streams, and what it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli.main import main

FAST = ["--fast-dev-run", "--data.name=digits"]


def test_show_prints_a_runnable_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "ppo-cartpole", "--env.num_envs=4", "--agent.batch_size", "64"]) == 0
    Path("mine.yaml").write_text(capsys.readouterr().out)
    assert main(["run", "mine.yaml", "--fast-dev-run", "--json", "--runs-dir", "runs"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["name"] == "ppo-cartpole"
    assert summary["threads"] == 1


def test_run_list_and_evaluate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
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


OPTIONS = [
    (
        ["run", "ppo-cartpole", "--fast_dev_run=true"],
        "unknown option --fast_dev_run=true; did you mean '--fast-dev-run'?",
    ),
    (["run", "ppo-cartpole", "--runs_dir=x"], "unknown option --runs_dir=x; did you mean '--runs-dir'?"),
    (["run", "ppo-cartpole", "--fast-dev-rn"], "unknown option --fast-dev-rn; did you mean '--fast-dev-run'?"),
    (["doctor", "ppo-cartpole", "--runs-dir", "x"], "`lab doctor` does not take --runs-dir"),
]


@pytest.mark.parametrize(("words", "sentence"), OPTIONS)
def test_wrong_options_are_not_settings(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not list(Path.cwd().iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_full_output_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "lab.cli", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "lab: error: what was to be printed could not be written: No space left on device\n"
