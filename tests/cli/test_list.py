"""`lab list`: experiments by family and task, chosen by words, readable and quick however many there are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from lab.cli.main import main
from lab.cli.views.experiments import experiments_table
from lab.config.listing import entries, entry
from lab.config.shipped import shipped

ROOT = Path(__file__).parents[2]
MANY = 250
LOOK = """
import sys, yaml
sys.path.insert(0, sys.argv[1])
from lab.cli.main import main
from lab.config import values
code = main(["list", *sys.argv[2:]])
assert values.__file__.startswith(sys.argv[1])
assert values.SafeLoader is yaml.CSafeLoader, "PyYAML's own loader is ten times slower"
heavy = {"torch", "stable_baselines3", "wandb", "pytorch_lightning", "jsonargparse", "gymnasium", "numpy"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
sys.exit(code)
"""


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["list", *words, "--json"]) == 0
    return [row["name"] for row in json.loads(capsys.readouterr().out)]


def test_rows_have_family_and_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows} == set(shipped())
    assert all(row["description"] and row["task"] for row in rows)
    (vae,) = [row for row in rows if row["name"] == "vae-mnist"]
    assert (vae["family"], vae["task"], vae["data"]) == ("generative", "vae", "mnist")
    assert {"VAE", "MLP"} <= set(vae["classes"])


def test_words_choose_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    found = listed(capsys, "vae")
    assert "vae-mnist" in found
    assert "gan-mnist" not in found
    recurrent = listed(capsys, "recurrent")
    assert "ppo-cartpole-masked" in recurrent, "its encoder's class is called so"
    assert "ppo-cartpole" not in recurrent
    assert listed(capsys, "SUPERVISED", "conv") == listed(capsys, "conv", "supervised")
    assert set(listed(capsys, "agents", "pixels")) < set(listed(capsys, "agents")) < set(shipped())


def test_unmatched_words_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "vaw"]) == 2
    assert "no experiment has 'vaw'; did you mean 'vae'?" in capsys.readouterr().err
    assert main(["list", "vae", "dqn"]) == 2
    assert "no experiment has all of vae, dqn" in capsys.readouterr().err


def test_own_classes_are_not_imported() -> None:
    found = entry("mine", {"experiment": "mine.Own", "model": {"class_path": "mine.nets.Net"}, "target": {"value": 3}})
    assert (found.family, found.task, found.classes) == ("custom", "Net", ["Net"])


@pytest.mark.parametrize("width", [80, 160])
def test_one_line_per_experiment(width: int) -> None:
    console = Console(width=width)
    found = entries()
    with console.capture() as capture:
        console.print(experiments_table(found, width))
    lines = capture.get().splitlines()
    for one in found:
        (line,) = (line for line in lines if line.split()[:1] == [one.name])
        assert one.description[:20] in line
        if one.reference and not one.differs:
            assert f"{one.reference['value']:.5g}" in line
        elif one.reference:
            assert "not comparable" in line or "(our" in line
    assert max(map(len, lines)) <= width
    assert f"{found[0].family}: {found[0].task}" in lines


def copied_house(folder: Path) -> tuple[Path, list[str]]:
    """Copy the core and the configs, with families that hold no code; return the place and the families' names."""
    house = folder / "house"
    for package in ("lab", "configs"):
        shutil.copytree(ROOT / package, house / package, ignore=shutil.ignore_patterns("__pycache__"))
    names = [path.name for path in (house / "configs").iterdir() if (ROOT / path.name / "__init__.py").is_file()]
    for name in names:
        (house / name).mkdir()
        (house / name / "__init__.py").touch()
    return house, names


def test_many_experiments_need_no_heavy_import(tmp_path: Path) -> None:
    house, families = copied_house(tmp_path)
    names = list(shipped())
    for number in range(MANY - len(names)):
        base = names[number % len(names)]
        text = f"extends: {base}\ndescription: a wider one, number {number}, with a description that is rather long\n"
        family = families[number % len(families)]
        (house / "configs" / family / f"{base}-wide-{number}.yaml").write_text(text)
    done = subprocess.run([sys.executable, "-c", LOOK, str(house), "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == MANY
    done = subprocess.run([sys.executable, "-c", LOOK, str(house), "wide"], capture_output=True, text=True)
    assert done.stdout.count("a wider one") == MANY - len(names)
