"""`lab fid` says what it lacks. With torch-fidelity and its weights it compares by Inception's features."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import lab
from generative.judges.inception import inception
from lab.cli.main import main
from lab.errors import ConfigError

TINY = {"data.name": "digits", "threads": 1, "trainer.max_steps": 2, "model.nll_samples": 1, "model.fid_samples": None}
HAS_INCEPTION = importlib.util.find_spec("torch_fidelity") is not None


def test_missing_weights_are_told() -> None:
    with pytest.raises(ConfigError, match=r"there is no file none\.pth"):
        inception("none.pth")


@pytest.mark.skipif(HAS_INCEPTION, reason="torch-fidelity is installed")
def test_missing_package_names_its_extra(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"needs the extra inception: pip install"):
        inception(str(weights))


@pytest.mark.skipif(not HAS_INCEPTION, reason="torch-fidelity is not installed")
def test_other_files_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"no weights")
    with pytest.raises(ConfigError, match="does not hold the weights"):
        inception(str(weights))


def test_few_samples_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    run = lab.run("vae-mnist", TINY, runs_dir="runs")
    assert main(["fid", str(run.dir), "--weights", "none.pth", "-n", "100"]) == 2
    assert "-n must be at least 2,048, received 100" in capsys.readouterr().err
