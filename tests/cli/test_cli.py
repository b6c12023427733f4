"""The command from the shell: exit codes, streams, and what it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from lab.cli.main import main
from lab.configuration import load
from lab.errors import ConfigError

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
    (["compile", "ppo-cartpole", "--runs-dir", "x"], "`lab compile` does not take --runs-dir"),
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


NOT_UTF8 = os.fsdecode(b"a\xff")


@pytest.mark.parametrize("word", [f"--name={NOT_UTF8}", f"--env.kwargs.x={NOT_UTF8}", f"--env.kwargs.{NOT_UTF8}=1"])
def test_words_are_utf8(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "ppo", word, "--runs-dir", "runs"]) == 2
    assert f"expected text in UTF-8, received {word!r}" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize("setting", [{"name": NOT_UTF8}, {"env.kwargs": {NOT_UTF8: 1}}, {"env.kwargs.x": [NOT_UTF8]}])
def test_texts_from_python_are_utf8(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected text in UTF-8"):
        load("ppo", setting)


def test_unknown_home_is_a_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A shell takes ~nobody for a file's name where there is no such user."""
    monkeypatch.setenv("LAB_RUNS_DIR", "~nobody-at-all/runs")
    assert main(["runs"]) == 0
    assert f"no runs in {Path.cwd()}/~nobody-at-all/runs" in capsys.readouterr().out


def test_removed_working_directory_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    with chdir(place):
        place.rmdir()
        assert main(["report"]) == 2
    assert "error: the working directory has been removed" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_full_stderr_costs_nothing() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "lab.cli", "run", "ppo", "--fast-dev-run", "--runs-dir", "runs"]
        assert subprocess.run(command, stdout=subprocess.PIPE, stderr=full, check=False).returncode == 0
        assert subprocess.run([*command[:3], "run", "no-such-name"], stderr=full, check=False).returncode == 2


def test_import_of_pytorch_may_fail() -> None:
    """By what stands in the environment: PyTorch reads dozens of variables."""
    command = [sys.executable, "-m", "lab.cli", "run", "ppo", "--fast-dev-run"]
    environment = {**os.environ, "TORCH_LOGS": "nonsense"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert "lab: error: PyTorch cannot be imported: Invalid log settings: nonsense" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_temporary_folder_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
    assert main(["run", "ppo", "--seeds", "0-1", "--fast-dev-run"]) == 2
    assert "No usable temporary directory found in ['/proc/nowhere']; TMPDIR chooses another" in capsys.readouterr().err
