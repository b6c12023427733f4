"""What is made here is signed, and a run is the user's own as a whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import lab
from lab.cli.main import main
from lab.configuration import load
from lab.errors import ConfigError
from lab.keys.signature import FIELD, config_is_signed
from lab.trust.origin import is_strangers
from tests.support.toys import Toy


@pytest.fixture
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key file that does not exist yet."""
    path = tmp_path / "keys" / "key"
    monkeypatch.setenv("LAB_KEY_FILE", str(path))
    return path


@pytest.fixture
def run() -> Path:
    """A finished run of a class of one's own."""
    Path("toy.yaml").write_text(f"experiment: {Toy.__module__}.Toy\ndevice: cpu\nthreads: 1\n")
    return lab.run("toy.yaml").dir


def test_own_runs_never_ask(run: Path) -> None:
    """Own classes, from another folder too, and when the run is resumed, repeated or its config is run again."""
    os.mkdir("elsewhere")
    shutil.move("runs", "elsewhere/runs")
    here = Path("elsewhere", run.relative_to(Path.cwd()))
    assert lab.evaluate(here.absolute()).status == "completed"
    assert main(["run", str(here / "config.yaml"), "--seed", "1"]) == 0
    assert main(["resume", str(here), "--steps=20"]) == 0, "a fork is signed as well"
    assert main(["eval", "toy", "--runs-dir", "elsewhere/runs"]) == 0


def test_unsigned_run_of_own_classes_asks(run: Path, own_key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in a fresh container with mounted runs: another key. Both ways on work, and the second lasts."""
    capsys.readouterr()
    for words in (["eval", str(run)], ["show", str(run / "config.yaml")], ["resume", str(run), "--steps=20"]):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "experiment names tests.support.toys.Toy, which is none of the lab's own classes" in said
        assert "--trust opens it this once and `lab trust runs/toy/" in said
        assert main([*words, "--trust"]) == 0
        capsys.readouterr()
    assert main(["eval", str(run)]) == 2
    assert main(["trust", "t*y"]) == 0
    assert main(["eval", str(run)]) == 0
    assert own_key.exists()


def test_only_folders_of_that_name_are_signed(run: Path, own_key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stranger's summary may claim the id and the name of the reader's run."""
    theirs = run.parent.parent / "theirs" / "20260101-000000-s0-abcd"
    shutil.copytree(run, theirs)
    capsys.readouterr()
    for name in (run.name, "toy", "t[o]y"):
        assert main(["trust", name]) == 0
        assert str(run.relative_to(Path.cwd())) in capsys.readouterr().err
        assert config_is_signed((run / "config.yaml").read_bytes())
        assert not config_is_signed((theirs / "config.yaml").read_bytes()), name
    assert main(["trust", "theirs"]) == 0
    assert config_is_signed((theirs / "config.yaml").read_bytes())


def test_team_key_opens_runs_of_all(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = shutil.copy(os.environ["LAB_KEY_FILE"], Path("team").absolute())
    monkeypatch.setenv("LAB_KEY_FILE", str(theirs))
    assert main(["eval", str(run)]) == 0


def test_checkpoint_of_a_stranger_makes_the_run_his(run: Path) -> None:
    """He may have taken a config that this user signed, and put it beside a checkpoint of his own."""
    manifest = next(run.glob("checkpoints/*/manifest.json"))
    values = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({name: one for name, one in values.items() if name != FIELD}))
    assert main(["eval", str(run)]) == 2
    manifest.write_text("{")
    assert not is_strangers(run / "config.yaml", (run / "config.yaml").read_bytes()), "a damaged one is not loaded"


@pytest.mark.parametrize("place", ["runs/x.yaml", "runs/toy/x.yaml", "runs/toy/other/x.yaml", "runs/other/config.yaml"])
def test_yaml_among_runs_is_a_strangers(run: Path, place: str) -> None:
    Path(place).parent.mkdir(exist_ok=True)
    shutil.copy("toy.yaml", place)
    with pytest.raises(ConfigError, match="is not signed as yours"):
        load(place)
    load("toy.yaml")
    Path("mine.yaml").symlink_to(place)
    with pytest.raises(ConfigError, match="is not signed as yours"):
        load("mine.yaml")
    assert main(["trust", place]) == 0
    load(place)


def test_changed_run_is_a_strangers(run: Path) -> None:
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("seed: 0\n", "seed: 3\n"))
    with pytest.raises(ConfigError, match="is not signed as yours"):
        load(str(run / "config.yaml"))
