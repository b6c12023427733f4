"""What is signed belongs to one run: moved into another of the user's own runs, it is a stranger's there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.cli.main import main
from lab.configuration import load
from lab.encoders import MLP, InputSpec
from lab.encoders.files import load_encoder, save_encoder
from lab.errors import CheckpointError, ConfigError
from lab.keys.ownership import is_own
from lab.keys.signature import CONFIGS, FIELD, RUN, signed
from lab.runs.artifacts import is_whole, seal, sealed
from lab.runs.summary import read_summary
from tests.support.recorded import recorded
from tests.support.toys import Maker


@pytest.fixture
def runs() -> tuple[Path, Path]:
    """Two finished runs of a class of one's own."""
    Path("toy.yaml").write_text(f"experiment: {Maker.__module__}.Maker\ndevice: cpu\nthreads: 1\n")
    one, other = (lab.run("toy.yaml", {"seed": seed}).dir for seed in (0, 1))
    return one, other


def replace(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def test_equal_settings_have_equal_configs(runs: tuple[Path, Path]) -> None:
    """Of whatever run: what a power cut took from one can be compared with another."""
    again = lab.run("toy.yaml", {"seed": 0}).dir
    assert (again / "config.yaml").read_bytes() == (runs[0] / "config.yaml").read_bytes()
    assert is_own(again)


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("checkpoints/final", "its checkpoint final is not signed for this run"),
        ("checkpoints/final/manifest.json", "its checkpoint final is not signed for this run"),
        ("summary.json", "its summary or its config is another run's"),
        ("config.yaml", "its summary or its config is another run's"),
    ],
)
def test_part_of_another_run_makes_it_a_strangers(
    part: str, sentence: str, runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = runs
    replace(one / part, other / part)
    assert is_own(one)
    assert not is_own(other)
    capsys.readouterr()
    for words in (["eval", str(other)], ["resume", str(other), "--steps=20"]):
        assert main(words) in (2, 5)
        said = capsys.readouterr().err
        assert f"is not signed as yours ({sentence}), and its experiment names tests.support.toys.Maker" in said
    assert main(["trust", str(other)]) == 0
    assert is_own(other)
    load(str(other / "config.yaml"))


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values["metrics"].update({"toy/value": 500.0}),
        lambda values: values.update(wandb={"id": "another"}),
        lambda values: values.update(run_id="20260101-000000-s0-abcd"),
        lambda values: values.pop(FIELD),
    ],
)
def test_changed_summary_makes_a_run_a_strangers(
    change: Callable[[dict[str, Any]], None], runs: tuple[Path, Path]
) -> None:
    path = runs[0] / "summary.json"
    assert read_summary(runs[0]).mine
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    assert not read_summary(runs[0]).mine
    assert not is_own(runs[0])
    with pytest.raises(ConfigError, match=r"\(its summary was changed\)"):
        load(str(runs[0] / "config.yaml"))


def test_claimed_ownership_is_not_read(runs: tuple[Path, Path]) -> None:
    values = json.loads((runs[0] / "summary.json").read_text())
    assert "mine" not in values
    (runs[0] / "summary.json").write_text(json.dumps({**values, "mine": True, "seed": 5}))
    assert not read_summary(runs[0]).mine


def test_whole_runs_may_be_copied_renamed_and_moved(runs: tuple[Path, Path]) -> None:
    one, other = runs
    shutil.copytree(one, Path("runs/toy/copy"))
    other.rename(other.with_name("renamed"))
    shutil.copytree("runs", "elsewhere/deep/runs")
    for place in (Path("runs/toy/copy"), other.with_name("renamed"), *Path("elsewhere/deep/runs/toy").iterdir()):
        assert is_own(place), place
        assert lab.evaluate(place.absolute()).status == "completed"
    fork = lab.resume(Path("elsewhere/deep/runs/toy/renamed").absolute(), {"steps": 20})
    assert is_own(fork.dir)
    assert fork.mine
    assert is_whole(fork.dir / "artifacts" / "table")
    assert lab.evaluate(fork.dir).metrics == fork.metrics


def test_run_that_an_earlier_version_signed_needs_trust_once(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs[0]
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({name: summary[name] for name in summary.keys() - {FIELD, CONFIGS}}))
    for path in run.glob("checkpoints/*/manifest.json"):
        values = {name: one for name, one in json.loads(path.read_text()).items() if name != RUN}
        path.write_text(json.dumps(signed("manifest", values)))
    shutil.rmtree(run / "artifacts/table/manifest.json", ignore_errors=True)
    capsys.readouterr()
    assert main(["eval", str(run)]) == 2
    said = capsys.readouterr().err
    assert "is not signed as yours (an earlier version signed it, for no certain run)" in said
    assert f"`lab trust runs/toy/{run.name}` signs it as yours" in said
    assert main(["trust", "toy"]) == 0
    assert main(["eval", str(run)]) == 0
    assert is_own(run)
    assert is_whole(run / "artifacts" / "table")


class Mine(MLP):
    """An encoder of one's own, which only an artifact of the user's may name."""


def test_artifact_of_another_run_is_a_strangers(runs: tuple[Path, Path]) -> None:
    one, other = runs
    for run in runs:
        save_encoder(Mine(InputSpec((3,)), hidden=[2]), run / "artifacts" / "encoder")
        seal(run / "artifacts" / "encoder", run.name)
        assert isinstance(load_encoder(run / "artifacts" / "encoder"), Mine)
    replace(one / "artifacts", other / "artifacts")
    assert not is_whole(other / "artifacts" / "table")
    with pytest.raises(ConfigError, match="pass that class in `classes` to load it, or sign the run as yours"):
        load_encoder(other / "artifacts" / "encoder")
    shutil.copytree(one / "artifacts" / "encoder", "alone")
    assert isinstance(load_encoder(Path("alone")), Mine), "in no run, it is the artifact of its own"
    (other / "artifacts" / "encoder" / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="pass that class in `classes`"):
        load_encoder(other / "artifacts" / "encoder")


@pytest.mark.parametrize("name", ["encoder.safetensors", "encoder.json"])
def test_description_is_bound_to_its_weights(name: str) -> None:
    """Weights of somebody else's under a description of the user's."""
    for folder, start in (("mine", 1.0), ("theirs", 2.0)):
        encoder = Mine(InputSpec((3,)), hidden=[2])
        next(encoder.parameters()).data.fill_(start)
        save_encoder(encoder, Path(folder))
    described = json.loads(Path("theirs/encoder.json").read_text())
    Path("theirs/encoder.json").write_text(json.dumps({**described, "note": "x"}))
    shutil.copyfile(f"theirs/{name}", f"mine/{name}")
    with pytest.raises(CheckpointError, match=f"{name} is damaged: it differs from its hash in manifest.json"):
        load_encoder(Path("mine"))


def test_artifacts_without_a_manifest_open_as_a_strangers() -> None:
    save_encoder(MLP(InputSpec((3,)), hidden=[2]), Path("plain"))
    Path("plain/manifest.json").unlink()
    assert not sealed(Path("plain")).mine
    load_encoder(Path("plain"))
    for content in ("{", "[]", '{"files": 5}', "[" * 5000):
        Path("plain/manifest.json").write_text(content)
        assert not sealed(Path("plain")).mine, content
        load_encoder(Path("plain"))


def test_what_is_recorded_without_training_is_signed_alike() -> None:
    """The tests' own runs are like those of the runner."""
    assert is_own(recorded(Path("runs").absolute()).dir)
