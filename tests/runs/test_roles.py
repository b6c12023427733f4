"""Roles of settings: declared by the classes that have them, recorded in runs, and read from there."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

import lab
from lab.config.roles import Roles, roles_before_0_2, roles_of
from lab.configuration import load
from lab.runs.designs import budget, design, differing, kind, repeat
from lab.runs.groups import by_fields, by_kind
from lab.runs.select import Run, choose, flat
from lab.runs.summary import read_summary
from tests.support.recorded import recorded

ROOT = Path(lab.__file__).parents[1]
FORMER = [path.parent for path in sorted((ROOT / "tests" / "fixtures").glob("*/*/*/summary.json"))]


@dataclass(frozen=True)
class Inner:
    """Settings inside others."""

    roles: ClassVar[Roles] = Roles(protocol=("beam",), indifferent=("log",))
    beam: int = 1
    log: int = 2


class Base:
    """A class with a role."""

    roles: ClassVar[Roles] = Roles(budget={"epochs": "epochs"})

    def __init__(self, inner: Inner | None = None, epochs: int = 1, part: object = None) -> None:
        pass


class Derived(Base):
    """Declares only what it adds."""

    roles: ClassVar[Roles] = Roles(stops=("early",))


def test_roles_are_collected() -> None:
    """From the bases, from dataclasses inside, and from classes that the config names."""
    part = {"class_path": f"{__name__}.Base", "init_args": {"inner": {"beam": 3}}}
    found = roles_of(Derived, {"inner": {"beam": 2}, "epochs": 3, "part": part})
    assert found == roles_of(Base, {"inner": {"beam": 2}, "part": part}) | Roles(stops=("early",))
    assert found.budget == {"epochs": "epochs", "part.epochs": "epochs"}
    assert set(found.protocol) == {"inner.beam", "part.inner.beam"}
    assert found.as_dict()["stops"] == ["early"]
    assert Roles.read(json.loads(json.dumps(found.as_dict()))) == found


def test_damaged_roles_are_left_out() -> None:
    damaged = {"budget": ["x"], "protocol": [1, "good"], "task": "text", "unknown": ["x"], "stops": None}
    assert Roles.read(damaged) == Roles(protocol=("good",))


@pytest.mark.parametrize("name", ["ppo-cartpole", "vae-mnist", "gan-mnist", "cnn-mnist"])
def test_former_roles_are_still_declared(name: str) -> None:
    """Classes declare what version 0.1.0 knew about their settings."""
    config = load(name)
    settings, now, before = flat(config.as_dict()), config.roles(), roles_before_0_2()
    for role, names in vars(before).items():
        known = {one for one in names if any(key == one or key.startswith(f"{one}.") for key in settings)}
        assert known <= {*vars(now)[role]}, role


CONFIG = {
    "experiment": "tests.support.toys.Toy",
    "steps": 10,
    "data": {"class_path": "x.Y", "init_args": {"fold": 1, "size": 3}},
    "trainer": {"rate": 0.1, "log_every": 5},
}
ROLES = Roles(
    repeats=("seed", "data.fold"),
    budget={"steps": "steps"},
    indifferent=("seed", "name", "trainer.log_every"),
)


def added(folder: Path, seed: int, fold: int | None, **settings: object) -> None:
    config = json.loads(json.dumps({**CONFIG, **settings, "seed": seed, "name": "ppo-a"}))
    config["data"]["init_args"]["fold"] = fold
    recorded(folder, seed=seed, config=config, roles=ROLES.as_dict())


def test_folds_and_seeds_are_repeats(tmp_path: Path) -> None:
    for seed in (0, 1):
        for fold in (2, 10):
            added(tmp_path, seed, fold)
    added(tmp_path, 0, 2, trainer={"rate": 0.1, "log_every": 7})
    added(tmp_path, 0, 2, trainer={"rate": 0.2})
    runs = choose([], tmp_path)
    assert repeat(runs[0]) == (("seed", 0), ("data.fold", 2))
    assert budget(runs[0]) == (("steps", 10.0),)
    assert {name for name, _ in design(runs[0])} == {"experiment", "data", "data.size", "trainer.rate"}
    same, other = by_kind(runs)
    assert [same.called(run) for run in same.counted] == [
        *("seed 0, fold 2", "seed 0, fold 10", "seed 1, fold 2", "seed 1, fold 10")
    ]
    assert same.counted[0] is runs[4], "the newest of those that only log differently"
    assert len(same.scores) == 4
    assert list(other.runs) == [runs[5]]
    assert "trainer.rate=0.2" in other.label


def test_fork_replaces_no_run_from_scratch(tmp_path: Path) -> None:
    for seed in (0, 1):
        added(tmp_path, seed, None)
    added(tmp_path, 1, None)
    added(tmp_path, 2, None)
    scratch, first, *forks = choose([], tmp_path)
    for fork in forks:
        fork.record.parent = {"run_id": "another", "checkpoint": 5}
    (found,) = by_kind([scratch, first, *forks])
    assert found.counted == (scratch, first, forks[1]), "the fork of seed 2 has no other beside it"


def test_test_without_folds_is_another_protocol(tmp_path: Path) -> None:
    """The published split and one fold of several are no two repeats of one thing."""
    for fold in (None, 0, 1):
        added(tmp_path, 0, fold)
    one, each = by_kind(choose([], tmp_path))
    assert [one.called(run) for run in one.counted] == ["seed 0"]
    assert [each.called(run) for run in each.counted] == ["fold 0", "fold 1"]
    assert each.label == "ppo-a (each data.fold)"
    (together,) = by_fields(choose([], tmp_path), ["experiment"])
    assert len(together.counted) == 3, "they have an order"
    assert [together.called(run) for run in together.counted] == ["fold none", "fold 0", "fold 1"]


def test_runs_are_called_by_what_varies(tmp_path: Path) -> None:
    """A fold or a setting that all of them share does not belong to their names."""
    for seed, rate in ((3, 0.1), (3, 0.2)):
        added(tmp_path, seed, 1, trainer={"rate": rate})
    (one,) = by_fields(choose([], tmp_path), ["experiment"])
    assert [one.called(run) for run in one.runs] == ["rate 0.1", "rate 0.2"]
    added(tmp_path, 4, 1, trainer={"rate": 0.2})
    (one,) = by_fields(choose([], tmp_path), ["experiment"])
    assert [one.called(run) for run in one.runs] == ["seed 3, rate 0.1", "seed 3, rate 0.2", "seed 4, rate 0.2"]
    assert {group.unit for group in by_kind(choose([], tmp_path))} == {"seed"}


def test_subset_is_a_repeat_only_of_some_of_the_data() -> None:
    for name, repeats in (("cnn-mnist", {"seed"}), ("probe-mnist", {"seed", "data.subset"})):
        assert set(load(name).roles().repeats) - {"data.fold"} == repeats
    assert "data.subset" in load("cnn-mnist", {"data.train_size": 100}).roles().repeats


def test_moved_classes_stay_alike(tmp_path: Path) -> None:
    """Runs that recorded a class under its former name are of the same kind."""
    for name in ("agents.cartpole.Masked", "agents.environments.cartpole.Masked"):
        recorded(tmp_path, config={"experiment": "x.Y", "env": {"wrappers": [], "id": name}})
    one, other = choose([], tmp_path)
    assert kind(one) == kind(other)


@pytest.mark.parametrize("folder", FORMER, ids=lambda path: path.name)
def test_former_runs_are_of_todays_kind(folder: Path, tmp_path: Path) -> None:
    """A run of version 0.1.0 is a repeat of a run with the same config today, whatever settings were added since."""
    former = read_summary(folder)
    config = load(str(folder / "config.yaml"))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config.as_dict()))
    today = replace(former, run_dir=str(tmp_path), roles=config.roles().as_dict())
    assert differing([Run(former), Run(today)]) == []


def test_run_records_its_roles() -> None:
    Path("toy.yaml").write_text(yaml.safe_dump({"experiment": "tests.support.toys.Toy", "device": "cpu"}))
    record = lab.run("toy.yaml", {"fold": 3, "seed": 2})
    assert repeat(Run(record)) == (("seed", 2), ("fold", 3))
    assert budget(Run(record)) == (("steps", 10.0),)
    assert {"name", "device", "threads"} <= {*Run(record).roles.indifferent}
