"""Every shipped experiment keeps the same contract, found by glob: nothing here names one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import lab
from lab.config import load
from lab.config_files import read, shipped
from lab.encoders.files import load_encoder
from lab.summary import Summary
from lab.tracking import read_journal

NAMES = list(shipped())


def small(name: str) -> dict[str, Any]:
    """Overrides with which the experiment needs no download."""
    return {"data.name": "digits"} if "data" in read(shipped()[name]) else {}


def test_all_are_found() -> None:
    assert len(NAMES) == 5


@pytest.mark.parametrize("name", NAMES)
def test_file_opens_with_its_command_and_states_its_reference(name: str) -> None:
    text = shipped()[name].read_text()
    assert text.startswith(f"# lab run {name}\n# ")
    config = load(name)
    assert config.common.name == name
    assert config.common.description
    if config.common.reference:
        assert config.common.reference.protocol
        assert config.common.reference.source


@pytest.mark.parametrize("name", NAMES)
def test_resolved_config_is_itself_a_config(name: str, tmp_path: Path) -> None:
    resolved = load(name, {"seed": 7}).as_dict()
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(resolved))
    assert load(str(path)).as_dict() == resolved


@pytest.mark.parametrize("name", NAMES)
def test_a_run_from_end_to_end(name: str) -> None:
    run = lab.run(name, small(name), runs_dir="runs", fast_dev_run=True)
    assert run.status == "completed"
    assert run.family in ("agents", "generative", "supervised")
    assert run.verdict in ("not-comparable", "none")
    assert run.metrics
    assert all(value is not None for value in run.metrics.values())
    assert set(run.durations) == {"setup", "train", "saving", "evaluate"}
    assert run.throughput is not None
    assert run.throughput["value"] > 0
    check_folder(run)

    before = {path: path.stat().st_mtime_ns for path in run.dir.rglob("*")}
    again = lab.evaluate(run.dir)
    assert {path: path.stat().st_mtime_ns for path in run.dir.rglob("*")} == before, (
        "evaluation leaves the run as it is"
    )
    assert again.metrics == run.metrics, "evaluation from the checkpoint gives the same figures"

    repeated = lab.run(str(run.dir / "config.yaml"), runs_dir="runs", fast_dev_run=True)
    assert repeated.name == name
    assert repeated.metrics == run.metrics, "the same config and seed give the same figures"

    other = lab.run(name, small(name) | {"seed": 1}, runs_dir="runs", fast_dev_run=True)
    assert other.metrics != run.metrics, "another seed gives others"


def check_folder(run: Summary) -> None:
    written = json.loads((run.dir / "summary.json").read_text())
    assert written["schema"] == 1
    assert written["metrics"] == run.metrics
    assert written["versions"]["torch"]
    assert set(written["dataset"]) == {"name", "sha256", "fallback"}
    for row in read_journal(run.dir / "metrics.jsonl"):
        assert row["axis"] in ("env_steps", "global_step", "epoch")
        assert row[row["axis"]] >= 0
    assert list((run.dir / "media").iterdir())
    encoder = load_encoder(run.dir / "encoder")
    assert encoder.features_dim > 0
    assert not list(run.dir.rglob("*.tmp"))
