"""`lab sample`, `lab predict`, `lab play` and `lab export` of a run with something hostile in any field."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import lab
from lab.cli.main import main
from lab.system.files import print_of
from tests.faults.harness import SLOW
from tests.trust.test_planted import leaves, planted, surroundings, values

__all__ = ["surroundings"]  # a fixture that every test here uses

TEXT = {"data.block": 8, "trainer.max_steps": 3, "model.encoder.width": 8, "model.encoder.layers": 1}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "sample": ("gpt-shakespeare", TEXT | {"model.encoder.heads": 1, "model.sample_length": 8}),
    "predict": ("cancer-mlp", {"trainer.max_epochs": 1}),
    "export": (
        "ppo-cartpole",
        {"total_timesteps": 16, "agent.n_steps": 8, "agent.batch_size": 8, "env.num_envs": 1, "evaluation.episodes": 1},
    ),
}
MARKS = ("\x1b", "\x07", "\x9b", "\u202e")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind."""
    runs, found = tmp_path_factory.mktemp("theirs"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        patch.setenv("LAB_KEY_FILE", str(runs / "their-key"))
        for kind, (name, settings) in KINDS.items():
            found[kind] = lab.run(name, {"device": "cpu", "threads": 1, **settings}, runs_dir=runs).dir
    return found


def commands(kind: str, run: Path) -> list[list[str]]:
    if kind == "sample":
        return [["sample", str(run), "-n", "1"], ["predict", str(run), "text.txt"]]
    if kind == "predict":
        return [["predict", str(run), "rows.csv", "-o", "out.csv"]]
    return [["export", str(run), "-o", "agent.zip"], ["play", str(run), "-o", "film.gif"]]


@pytest.fixture(autouse=True)
def inputs() -> None:
    Path("text.txt").write_text("ab")
    Path("rows.csv").write_text("a,b\n1,2\n")


def files(run: Path) -> Iterator[tuple[Path, Any]]:
    """Yield the files of JSON and YAML that these commands read, and what is in them."""
    for name in ("summary.json", "checkpoints/final/meta.json", "checkpoints/final/manifest.json"):
        yield run / name, json.loads((run / name).read_text())
    yield run / "config.yaml", yaml.safe_load((run / "config.yaml").read_text())


@pytest.mark.parametrize("share", [90, pytest.param(1, marks=SLOW)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_what_was_trained(
    kind: str, share: int, trained: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """In `make faults` every field, else one in ninety; each with the next value."""
    run = Path("runs/theirs") / trained[kind].name
    shutil.copytree(trained[kind], run)
    before = {path for path in Path.cwd().rglob("*") if path.is_file()}
    number = 0
    for path, original in files(run):
        written = path.read_bytes()
        for place in leaves(original):
            number += 1
            if number % share:
                continue
            content = planted(original, place, values()[number // share % len(values())])
            path.write_text(yaml.safe_dump(content) if path.suffix == ".yaml" else json.dumps(content))
            manifest = run / "checkpoints/final/manifest.json"
            if path.name == "meta.json":  # whoever writes a checkpoint can write its hashes
                kept = manifest.read_bytes()
                described = json.loads(kept)
                described["files"]["meta.json"] = print_of(path)
                manifest.write_text(json.dumps(described))
            for words in commands(kind, run):
                assert main(words) in (0, 1, 2, 4, 5), (path.name, place, words)
                said = "".join(capsys.readouterr())
                assert not any(mark in said for mark in MARKS), (path.name, place, words)
                assert not any(line.startswith("FORGED") for line in said.splitlines()), (path.name, place)
            if path.name == "meta.json":
                manifest.write_bytes(kept)
        path.write_bytes(written)
    new = {path.name for path in Path.cwd().rglob("*") if path.is_file()} - {path.name for path in before}
    assert new <= {"out.csv", "agent.zip", "agent.json", "film.gif", ".lock"}


def test_folder_is_told_without_control_characters(
    trained: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path("theirs") / "r;touch canary;\x1b]0;OWNED\x07\nFORGED"
    shutil.copytree(trained["export"], run)
    for words in (["eval", str(run), "--episodes", "1"], ["export", str(run)], ["play", str(run), "-o", f"{run}.gif"]):
        assert main(words) == 0
        said = "".join(capsys.readouterr())
        assert "OWNED" in said or words[0] == "export"
        assert not any(mark in said for mark in MARKS), words
        assert not any(line.startswith("FORGED") for line in said.splitlines()), words
        proposed = [line for line in said.splitlines() if "lab play" in line]
        assert [len(shlex.split(line)) for line in proposed] == [8] * (words[0] == "eval"), "the folder is one word"


def test_export_replaces_no_file_unasked(trained: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A run of somebody else's chooses the name, and a link may lie under any."""
    run, name = trained["export"], f"ppo-cartpole-{trained['export'].name}"
    Path("thesis.tex").write_text("precious")
    Path(f"{name}.json").write_text("precious")
    for part in (f".{name}-2.part.zip", f".{name}-2.zip.part", f".{name}-2.json.part"):
        Path(part).symlink_to("thesis.tex")
    assert main(["export", str(run)]) == 0
    assert f"{name}-2.zip: computes what" in capsys.readouterr().out
    assert main(["export", str(run), "-o", f"{name}-2.zip"]) == 0, "what is asked for is replaced"
    made = {path.name for path in Path().glob(f"{name}*")}
    assert made == {f"{name}.json", f"{name}-2.zip", f"{name}-2.json"}
    assert {Path(one).read_text() for one in (f"{name}.json", "thesis.tex")} == {"precious"}


def test_whole_runs_work(trained: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Or the test above would prove nothing."""
    assert main(["sample", str(trained["sample"]), "-n", "1"]) == 0
    assert main(["predict", str(trained["sample"]), "text.txt"]) == 0
    for words in commands("export", trained["export"]):
        assert main(words) == 0
    names = [f"x{i}" for i in range(30)]
    Path("rows.csv").write_text(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    assert main(["predict", str(trained["predict"]), "rows.csv"]) in (0, 2)
    capsys.readouterr()
