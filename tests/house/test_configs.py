"""Every shipped experiment keeps its contract. The experiments are found by glob, and none is named here.

Few experiments, in which every class occurs that a config names, run from end to end and are evaluated again; some of
them are killed and resumed. Experiments take a step or two on a pretended GPU (`tests/devices`), which refuses tensors
of the CPU. `make test` does that with a part of these few; `make faults` does it with all of them, and steps with every
experiment. What is tested is what a kind promises: an encoder, pictures or baselines are not owed.
"""

from __future__ import annotations

import ast
import json
import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import lab
from lab.config.shipped import families, shipped
from lab.configuration import Config, load
from lab.encoders.files import load_encoder
from lab.errors import ConfigError
from lab.experiment import Experiment, RunContext
from lab.job import Job, prepare
from lab.resuming import resume
from lab.runs.artifacts import artifact_at
from lab.runs.order import direction
from lab.runs.select import Run, flat
from lab.runs.summary import Summary
from lab.tracking import Trackers, read_journal
from tests.devices.pretended import CUDA, pretended_cuda
from tests.faults.harness import Killed, differences, killing
from tests.house.small import one_of_each_kind, small
from tests.support.recorded import recorded

NAMES = list(shipped())
ONE_OF_A_KIND = one_of_each_kind()
SOME = ONE_OF_A_KIND[::7]
"""Those that run from end to end in `make test`."""
KILLED = SOME[::3]
"""Those that are killed and resumed in `make test`."""
KINDS = [pytest.param(name, marks=() if name in SOME else pytest.mark.slow) for name in ONE_OF_A_KIND]
STEPPING = [pytest.param(name, marks=() if name in ONE_OF_A_KIND[::2] else pytest.mark.slow) for name in NAMES]
ROOT = Path(lab.__file__).parents[1]
UNIMPORTED = {"listing.py": {"env.id"}}
"""`lab list` reads what an experiment is about without importing its classes, which would take seconds."""
ON_DEVICE = {"device": "cuda"}
FAILING = ("deep-plain", "rnn-adding")
"""Their targets say how badly a network without a technique does."""
VERDICTS = ("not-comparable", "none")
"""Of a run this short."""


@cache
def loaded(name: str) -> Config:
    return load(name, {"seed": 7})


@contextmanager
def extras_may_lack() -> Any:
    """Skip the test where the experiment needs a package that is not installed."""
    try:
        yield
    except ConfigError as error:
        if "package that is not installed" in str(error):
            pytest.skip(str(error))
        raise


def run_small(name: str, **overrides: Any) -> Summary:
    with extras_may_lack():
        return lab.run(name, small(name) | overrides, runs_dir="runs", fast_dev_run=True)


def test_names_are_unique() -> None:
    folders = [path.parent for path in shipped().values()]
    files = [path.stem for folder in set(folders) for path in folder.glob("*.yaml")]
    assert Counter(files) == Counter(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_config_is_complete(name: str) -> None:
    """It opens with its command, describes itself, and says where each figure that it is measured against is from, and
    reports know which way is better: that of the figure, or against it where it is to be shown that a network fails."""
    assert shipped()[name].read_text(encoding="utf-8").startswith(f"# lab run {name}\n# ")
    config = loaded(name)
    assert not texts_of_lab() & settings_of_family(config), "`lab` names a family's setting"
    common = config.common
    assert common.name == name
    assert common.description
    for measure in (common.reference, common.target):
        for field in fields(measure) if measure else ():
            assert getattr(measure, field.name) != "", f"{field.name} is empty"
    told = {one.kind: asdict(one) for one in (common.reference, common.target) if one}
    run = Run(recorded(Path("runs"), name, reference=told.get("reference", {}), target=told.get("target", {})))
    for kind, one in told.items():
        shows_failure = kind == "target" and one["metric"] in ("test/accuracy", "test/mse") and name in FAILING
        assert (direction(one["metric"], [run])[0] == one["direction"]) is not shows_failure


def settings_of_family(config: Config) -> set[str]:
    """The dotted names of the settings that no experiment of another family has."""
    own = {"trainer", "data", "checkpoint", "reference", "target"}
    return {name for name in flat(config.as_dict()) if "." in name and name.partition(".")[0] not in own}


@cache
def texts_of_lab() -> set[str]:
    """Every text in `lab`, docstrings aside."""
    found: set[str] = set()
    for path in sorted((ROOT / "lab").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose)
        found |= {text for text in texts if isinstance(text, str)} - UNIMPORTED.get(path.name, set())
    return found


def test_settings_of_a_family_are_found() -> None:
    assert "evaluation.episodes" in settings_of_family(loaded("ppo-cartpole"))


@pytest.mark.parametrize("name", KINDS)
def test_resolved_config_repeats_itself(name: str) -> None:
    resolved = loaded(name).as_dict()
    Path("again.yaml").write_text(yaml.safe_dump(resolved))
    assert load("again.yaml").as_dict() == resolved


@pytest.mark.parametrize("name", STEPPING)
def test_takes_two_steps_on_device(name: str) -> None:
    with extras_may_lack(), pretended_cuda():
        job = prepare(load(name, small(name) | ON_DEVICE), fast_dev_run=True)
        assert job.device == CUDA
        if type(job.experiment).trial is Experiment.trial:  # cannot be timed in turns
            assert run_small(name, **ON_DEVICE).status == "completed"
            return
        context = RunContext(Path.cwd(), 0, job.device, Trackers([]), fast_dev_run=True)
        with job.experiment.trial(context) as turn:
            assert turn(0).steps >= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_OF_A_KIND)
def test_runs_end_to_end_on_device(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pretended_cuda():
        run = run_small(name, **ON_DEVICE)
        assert "could not be" not in capsys.readouterr().err, "pictures or baselines failed"
        assert run.device == "cuda (pretended)"
        assert lab.evaluate(run.dir).metrics == run.metrics
        if name in KILLED:
            check_repetition(run)


@pytest.mark.parametrize("name", KINDS)
def test_runs_end_to_end(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_small(name)
    assert "could not be" not in capsys.readouterr().err, "pictures or baselines failed"
    assert run.status == "completed"
    assert run.family in families()
    assert run.verdict in VERDICTS
    assert run.target.get("verdict", "none") in VERDICTS
    assert run.metrics
    assert set(run.durations) >= {"setup", "train", "saving", "evaluate"}
    assert run.throughput is not None
    assert run.throughput["value"] > 0
    check_summary(run)
    check_journal(run)
    check_artifacts(run)

    before = contents(run.dir)
    assert lab.evaluate(run.dir).metrics == run.metrics, "evaluation of the checkpoint gives other figures"
    assert contents(run.dir) == before, "evaluation changed the run's folder"
    if name in KILLED:
        check_repetition(run)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(ONE_OF_A_KIND) - set(KILLED)))
def test_killed_run_repeats(name: str) -> None:
    check_repetition(run_small(name))


def check_repetition(run: Summary) -> None:
    """The config of a run repeats it bitwise, even when the second run is killed and resumed."""
    folders: list[Path] = []
    with killing(1), pytest.raises(Killed):
        lab.run(
            str(run.dir / "config.yaml"),
            runs_dir="killed",
            fast_dev_run=True,
            announce=lambda record: folders.append(record.dir),
        )
    resumed = resume(folders[0])
    assert resumed.name == run.name
    assert resumed.resume["sessions"] == 2
    if resumed.resume["exact"]:
        assert differences(run.dir, resumed.dir) == []
    else:
        assert resumed.resume["reason"]


@pytest.mark.parametrize("name", KILLED)
def test_seed_decides_weights(name: str) -> None:
    with extras_may_lack():
        one, same, other = (
            weights(prepare(load(name, small(name) | {"seed": seed}), fast_dev_run=True)) for seed in (1, 1, 2)
        )
    assert one.keys() == same.keys() == other.keys()
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not all(torch.equal(value, other[name]) for name, value in one.items())


def weights(job: Job) -> dict[str, torch.Tensor]:
    return {name: torch.as_tensor(value) for name, value in job.experiment.states()["final"].items()}


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    """Time and size of every file."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def check_summary(run: Summary) -> None:
    written = json.loads((run.dir / "summary.json").read_text())
    assert written["schema"] == run.schema
    assert written["metrics"] == run.metrics
    assert written["versions"]["torch"]
    assert set(written["dataset"]) == {"name", "sha256", "fallback", "path"}
    assert all(value is not None for value in run.metrics.values())
    for name, metrics in (run.baselines | run.bounds).items():
        assert metrics, f"{name} has no metric"
        assert metrics.keys() <= run.metrics.keys(), f"{name} has metrics that the run lacks"
        assert all(map(math.isfinite, metrics.values()))


def check_journal(run: Summary) -> None:
    for row in read_journal(run.dir / "metrics.jsonl"):
        assert row["axis"] in ("env_steps", "global_step", "epoch")
        assert row[row["axis"]] >= 0
    named = {row["file"] for row in read_journal(run.dir / "media.jsonl")}
    scores = {path.name for path in run.dir.glob("media/*.mid")}  # beside the sounds of music
    assert scores <= {Path(name).with_suffix(".mid").name for name in named}
    assert named == {path.name for path in run.dir.glob("media/*")} - scores, "the journal names other media"
    assert not list(run.dir.rglob("*.tmp"))


def check_artifacts(run: Summary) -> None:
    for name in run.artifacts:
        folder = artifact_at(run.dir, name)
        assert folder is not None
        assert (folder / f"{name}.json").is_file()
        assert {path.suffix for path in folder.iterdir()} <= {".json", ".safetensors"}
    if "encoder" in run.artifacts:
        assert load_encoder(run.dir / "artifacts" / "encoder").features_dim > 0
