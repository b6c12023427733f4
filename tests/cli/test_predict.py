"""`lab predict` reads csv and text files, folders and standard input, and refuses before it predicts."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest

import lab
import lab.data
from lab.cli.main import main
from lab.data.inputs.given import Reader
from lab.data.inputs.images import Images
from lab.data.inputs.sounds import Sounds
from lab.data.own.columns import Columns
from lab.data.spec import DataSpec, Target
from lab.errors import CheckpointError
from lab.runs.summary import Summary
from lab.saving.checkpoint import load, publish
from lab.saving.specs import KINDS, spec_as_json, spec_from_json
from tests.data.own.test_images import folder as image_folder
from tests.data.own.test_sounds import folder as sound_folder

COMMON = {"device": "cpu", "threads": 1}


def trained(name: str, settings: dict[str, Any], runs: Path) -> Summary:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        return lab.run(name, COMMON | settings, runs_dir=runs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def table(folder: Path) -> Summary:
    """A classifier of people: the class is who is tall, in text columns and numbers with gaps."""
    draw = random.Random(0)
    rows = ["name,height,shoes,tall"]
    for i in range(120):
        height, shoes = draw.gauss(170, 10), draw.choice(["boots", "flat"])
        tall = height + 5 * (shoes == "boots") > 172
        rows.append(f"p{i},{'' if i % 10 == 3 else round(height, 1)},{shoes},{'yes' if tall else 'no'}")
    (folder / "people.csv").write_text("\n".join(rows))
    settings = {"data.path": str(folder / "people.csv"), "model.positive": "yes", "trainer.max_epochs": 15}
    return trained("cancer-mlp", settings, folder / "runs")


@pytest.fixture(scope="module")
def series(folder: Path) -> Summary:
    rows = [f"{1990 + t // 12}-{t % 12 + 1:02d},{10 + t},{200 - t}" for t in range(100)]
    (folder / "sales.csv").write_text("\n".join(["month,up,down", *rows]))
    settings = {"data.path": str(folder / "sales.csv"), "data.horizon": 2, "trainer.max_steps": 100, "model.lags": [1]}
    return trained("forecast-airline", settings | {"model.log": False}, folder / "runs")


@pytest.fixture(scope="module")
def language(folder: Path) -> Summary:
    (folder / "abc.txt").write_text("abcd" * 300)
    settings = {"data.path": str(folder / "abc.txt"), "data.block": 8, "trainer.max_steps": 60}
    small = {"model.encoder.width": 8, "model.encoder.layers": 1, "model.encoder.heads": 1}
    return trained("gpt-shakespeare", settings | small, folder / "runs")


def predicted(capsys: pytest.CaptureFixture[str], run: Summary, *words: str) -> tuple[list[dict[str, Any]], str]:
    capsys.readouterr()
    assert main(["predict", str(run.dir), *words, "--json"]) == 0
    out, err = capsys.readouterr()
    return json.loads(out), err


def test_rows_of_a_csv_are_predicted(table: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.csv").write_text("shoes;extra;height\nflat;1;150,5\nboots;2;190\nclogs;3;\n")
    rows, err = predicted(capsys, table, "new.csv", "-o", "out.csv")
    assert [(row["input"], row["row"]) for row in rows] == [("new.csv", 1), ("new.csv", 2), ("new.csv", 3)]
    assert [row["label"] for row in rows[:2]] == ["no", "yes"]
    assert "new.csv: not used: extra" in err
    assert "shoes is 'clogs' in row 3, which training had not: taken as none of boots, flat" in err
    written = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert [row["label"] for row in written] == [row["label"] for row in rows]
    assert main(["predict", str(table.dir), "new.csv"]) == 0
    assert capsys.readouterr().out.startswith("new.csv, row 1: no, probability 0.")


def test_standard_input_is_a_file(
    table: Summary, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"height,shoes\n190,boots\n")))
    rows, _ = predicted(capsys, table, "-")
    assert [(row["input"], row["label"]) for row in rows] == [("standard input", "yes")]


def test_folder_is_all_files_of_the_kind(table: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    Path("new").mkdir()
    for name in ("b.csv", "a.csv", ".c.csv", "d.md"):
        (Path("new") / name).write_text("height,shoes\n190,boots\n")
    rows, _ = predicted(capsys, table, "new")
    assert [row["input"] for row in rows] == ["new/a.csv", "new/b.csv"]


def test_no_table_replaces_its_input(table: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    Path("new").mkdir()
    Path("new/a.csv").write_text("height,shoes\n190,boots\n")
    Path("link.csv").symlink_to("new/a.csv")
    for output in ("new/a.csv", "link.csv"):
        assert main(["predict", str(table.dir), "new", "-o", output]) == 2
        assert "is an input, and predictions would replace it" in capsys.readouterr().err
    assert Path("new/a.csv").read_text() == "height,shoes\n190,boots\n"


def test_steps_have_column_and_number(series: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    Path("history.csv").write_text("\n".join(["down,up", *(f"{180 - t},{30 + t}" for t in range(20))]))
    rows, err = predicted(capsys, series, "history.csv")
    assert [(row["step"], row["column"]) for row in rows] == [(1, "up"), (1, "down"), (2, "up"), (2, "down")]
    assert [row["value"] for row in rows] == pytest.approx([50, 160, 51, 159], abs=1)
    assert "history.csv: the forecast follows its last 14 steps; the 6 before are not used" in err


def test_next_character_is_predicted(language: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    Path("start.txt").write_text("abcdabcdab")
    rows, err = predicted(capsys, language, "start.txt")
    assert (rows[0]["label"], rows[0]["probability"] > 0.25) == ("c", True)
    assert "follows its last 8 tokens" in err
    assert main(["predict", str(language.dir), "start.txt"]) == 0
    assert capsys.readouterr().out.startswith("start.txt: next 'c', probability 0.")


def test_all_bad_files_are_named(table: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("good", "height,shoes\n190,flat"), ("bad", "hight,shoes\n1,2"), ("empty", "")):
        Path(f"{name}.csv").write_text(text)
    Path("void").mkdir()
    for words, sentence in (
        (["good.csv", "bad.csv"], "bad.csv has no column height; its columns are hight, shoes; did you mean 'hight'?"),
        (["good.csv", "bad.csv", "empty.csv"], "2 of 3 inputs cannot be read: bad.csv has no column height; "),
        (["void"], "the folder void has no file that ends in .csv, .tsv"),
        (["none.csv"], "there is no file none.csv"),
        ([" "], "an INPUT is empty; expected a file, a folder, a text or -"),
        (["-", "-"], "standard input, -, can be read once"),
    ):
        assert main(["predict", str(table.dir), *words, "-o", "out.csv"]) == 2
        out, err = capsys.readouterr()
        assert sentence in err
        assert not out
    assert not Path("out.csv").exists()


@pytest.fixture(scope="module")
def images(folder: Path) -> Summary:
    small = {"model.encoder": "MLP", "model.encoder.hidden": [4], "trainer.max_epochs": 1, "trainer.keep_best": None}
    settings = {"data.path": str(image_folder(folder / "pets")), "data.batch_size": 4, "data.val_size": 0}
    return trained("cnn-mnist", settings | small, folder / "runs")


@pytest.fixture(scope="module")
def sounds(folder: Path) -> Summary:
    settings = {"data.path": str(sound_folder(folder / "calls")), "data.batch_size": 4, "trainer.keep_best": None}
    small = {"model.encoder.encoder.channels": [4], "model.encoder.mels": 8, "trainer.max_epochs": 1}
    return trained("speech-digits", settings | small, folder / "runs")


@pytest.mark.parametrize(
    ("kind", "data", "name"),
    [
        ("table", "people.csv", "new.csv"),
        pytest.param("series", "sales.csv", "new.csv", marks=pytest.mark.slow),
        pytest.param("language", "abc.txt", "new.txt", marks=pytest.mark.slow),
        ("images", "pets", "new.png"),
        pytest.param("sounds", "calls", "new.wav", marks=pytest.mark.slow),
    ],
)
def test_run_predicts_without_its_data(
    kind: str, data: str, name: str, folder: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same as with them; what is evaluated needs them, and other settings of the data do."""
    run = request.getfixturevalue(kind)
    source = {"images": "pets/cats/0.png", "sounds": "calls/high/0.wav", "language": "abc.txt"}.get(kind, data)
    content = (folder / source).read_bytes()
    Path(name).write_bytes(content if kind != "table" else b"height,shoes\n,boots\n150,flat\n")
    before = predicted(capsys, run, name, f"--data.path={folder / data}")
    moved = (folder / data).rename(folder / "moved")
    try:
        assert predicted(capsys, run, name) == before
        assert lab.load(run.dir).spec.target == lab.load(run.dir, {"data.path": str(moved)}).spec.target
        for words in (["predict", str(run.dir), name, f"--data.path={folder / data}"], ["eval", str(run.dir)]):
            assert main(words) == 2
            assert "no longer at" in capsys.readouterr().err
    finally:
        moved.rename(folder / data)


def test_form_that_cannot_be_saved_leaves_the_old_way(table: Summary) -> None:
    """A user's own reader is no class that a file may name."""

    class Own(Columns):
        pass

    spec = lab.load(table.dir).spec
    assert spec_from_json(spec_as_json(spec)).reader == spec.reader
    assert spec_as_json(DataSpec(spec.input, spec.target, reader=Own(spec.reader.columns))) is None


def test_form_that_does_not_fit_is_told(table: Summary, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.csv").write_text("height,shoes\n190,boots\n")
    run = folder / "strange" / table.dir.name
    shutil.copytree(table.dir, run)
    final = run / "checkpoints" / "final"
    saved = load(final)
    shutil.rmtree(final)
    form = json.loads(json.dumps(saved.meta["form"]))
    form["input"]["shape"] = ["wide"]
    publish(final, saved.state, {**saved.meta, "form": form})
    assert main(["predict", str(run), "new.csv"]) == 5
    assert "the form of the data cannot be read (TypeError: shape of input is wide)" in capsys.readouterr().err


def test_all_that_a_spec_is_made_of_can_be_saved() -> None:
    """The targets, and whatever reads a csv or a text of the user's."""
    assert {*get_args(Target)} <= {*KINDS.values()}
    room = Path(lab.data.__path__[0])
    names = [".".join(path.relative_to(room).with_suffix("").parts) for path in room.rglob("*.py")]
    classes = [cls for name in names for cls in vars(import_module(f"lab.data.{name}")).values()]
    readers = {cls for cls in classes if isinstance(cls, type) and hasattr(cls, "read") and hasattr(cls, "suffixes")}
    readers -= {Reader, Images, Sounds}  # pictures and sounds are read by the form of the input
    assert len(readers) == 10
    assert readers <= {*KINDS.values()}


def test_damaged_form_is_told() -> None:
    for values in (
        {"kind": "data"},
        {"kind": "os.system"},
        {"kind": "classes", "n": 2, "of": 1},
        3,
        {"kind": ["data"]},
    ):
        with pytest.raises(CheckpointError, match="the form of the data cannot be read"):
            spec_from_json(values)
