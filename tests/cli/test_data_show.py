"""`lab data show`: what is in a data set, or in the user's own files."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.cli.data.finding import find_data
from lab.cli.data.fitting import commands
from lab.cli.main import main
from lab.configuration import load
from tests.data.own.test_images import folder
from tests.data.own.test_sounds import folder as sound_folder


def test_own_images_have_commands(tmp_path: Path) -> None:
    place = folder(tmp_path / "my pets", each=10, classes=("cats", "dogs"))
    (found,), _ = find_data(str(place), ["--data.image_size=[12,10]"])
    command = next(line for line in commands(found) if line.startswith("lab run cnn-mnist"))
    settings = load("cnn-mnist", shlex.split(command)[3:]).as_dict()["data"]["init_args"]
    assert (settings["path"], settings["image_size"]) == (str(place), [12, 10])
    assert 1 < settings["batch_size"] < 14


@pytest.mark.slow
def test_own_images_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = folder(tmp_path / "my pets", each=10, classes=("cats", "dogs"))
    Path("thesis.png").write_text("precious")
    Path("my pets-data.png").symlink_to("thesis.png")
    assert main(["data", "show", str(place), "--data.image_size=[12,10]"]) == 0
    assert Path("thesis.png").read_text() == "precious", "what is there is not replaced"
    told = capsys.readouterr().out
    for part in ("images of 10x12 pixels, 3 channels", "2 classes", "20 of 20 images were resized", "sha256"):
        assert part in told
    assert told.split("all")[-1].split()[:3] == ["14", "2", "4"], "training, validation, test"
    command = next(line for line in told.splitlines() if line.startswith("lab run cnn-mnist"))
    settings = load("cnn-mnist", shlex.split(command)[3:]).as_dict()["data"]["init_args"]
    assert (settings["path"], settings["image_size"]) == (str(place), [12, 10])
    assert 1 < settings["batch_size"] < 14
    assert "# data.batch_size" not in told
    picture = np.asarray(Image.open("my pets-data-2.png").convert("RGB"))
    assert picture.std(axis=(0, 1)).min() > 20, "it shows something"


def test_own_sounds_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = sound_folder(tmp_path / "calls", each=5)
    assert main(["data", "show", str(place), "--json", "-o", "calls.png"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["input"] == "sounds of 8,000 samples per second"
    assert told["examples"] == {"train": 8, "test": 2}
    assert told["classes"]["high"] == {"train": 4, "test": 1}
    assert told["commands"][0].startswith("lab run speech-digits --data.path=")
    with Image.open("calls.png") as picture:
        assert picture.width > 500


def test_own_csv_is_shown_as_all_that_it_may_be(capsys: pytest.CaptureFixture[str]) -> None:
    """With a picture of a table's columns, and of a series."""
    rows = [f"{i % 7},{i * 5 % 11},{'ill' if i % 3 else 'well'}" for i in range(150)]
    Path("t.csv").write_text("\n".join(["age,dose,outcome", *rows]))
    assert main(["data", "show", "t.csv"]) == 0
    told = capsys.readouterr()
    assert "csv as a table" in told.out
    (line,) = re.findall(r"lab run cancer-mlp --data.path=t.csv\n(.*)\n", told.out)
    assert line.startswith("  # model.positive is the class to find and must be one of ill, well, received 'malignant'")
    assert "csv as a series" in told.out
    assert "not read as ratings: t.csv: outcome is 'well' in line 2; expected a number" in told.err
    Path("s.csv").write_text("\n".join(["sales", *(str(i % 12 + i / 7) for i in range(150))]))
    assert main(["data", "show", "s.csv"]) == 0
    for name in ("t.csv-data.png", "s.csv-data.png"):
        with Image.open(name) as picture:
            assert np.asarray(picture.convert("L")).std() > 10


@pytest.mark.slow
def test_all_that_a_csv_may_be_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """One picture below the other, ratings with how many each user and item has."""
    rows = [f"{i % 30},{i * 7 % 11},{1 + i * i % 5},{i % 2}" for i in range(200)]
    Path("one.csv").write_text("\n".join(["user,item,rating", *(row.rpartition(",")[0] for row in rows)]))
    Path("all.csv").write_text("\n".join(["user,item,rating,again", *rows]))
    sizes = []
    for name in ("one.csv", "all.csv"):
        assert main(["data", "show", name]) == 0
        with Image.open(f"{name}-data.png") as picture:
            sizes.append(picture.height)
    assert "csv as ratings" in capsys.readouterr().out
    assert min(sizes) > 600
    Path("few.csv").write_text("\n".join(["user,item,rating", *(f"u{i},x,{i % 5}" for i in range(30))]))
    main(["data", "show", "few.csv"])
    assert "each user (user) has one rating alone" in capsys.readouterr().err


@pytest.mark.slow
def test_pairs_of_texts_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers", reason="the extra text is not installed")
    rows = [f"zahl {i} und {i * 7 % 50}\tnumber {i} and {i * 7 % 50}" for i in range(80)]
    Path("pairs.tsv").write_text("\n".join(["source\ttarget", *rows]))
    assert main(["data", "show", "pairs.tsv"]) == 0
    told = capsys.readouterr().out
    assert "pairs.tsv: csv as pairs of texts" in told
    assert "lab run translate-rnn --data.path=pairs.tsv" in told
    with Image.open("pairs.tsv-data.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_texts_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Their first lines in the terminal, their characters and lines in the picture, those of no font too."""
    Path("novel.txt").write_text("CHAPTER I.\n\n  It was a dark night; 漢\x1b[31m\n" * 100)
    assert main(["data", "show", "novel.txt"]) == 0
    told = capsys.readouterr().out
    assert "  | CHAPTER I.\n  | It was a dark night; 漢" in told
    assert "\x1b" not in told
    with Image.open("novel.txt-data.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


@pytest.mark.slow
def test_published_data_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", "digits", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["examples"]["test"], told["path"]) == (500, None)
    assert "lab run cnn-mnist --data.name=digits" in told["commands"]
    assert not list(Path().glob("*.png")), "with --json a picture is drawn where one is wished for"


SLOW = pytest.mark.slow


ODD = ["null", "[x]", "${env:HOME}", "2024"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_paths_in_commands(name: str) -> None:
    sound_folder(Path(name), each=5)
    (found,), _ = find_data(name)
    words = shlex.split(next(one for one in commands(found) if " speech-digits " in one))
    settings = load("speech-digits", words[3:]).as_dict()["data"]["init_args"]
    assert settings["path"] == str(Path(name).absolute())


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_any_name_of_a_folder_is_a_path(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also in the commands that are printed, which are tried with the settings as they stand there."""
    sound_folder(Path(name), each=5)
    assert main(["data", "show", name, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["path"] == str(Path(name).absolute())
    words = shlex.split(next(one for one in told["commands"] if " speech-digits " in one))
    data = load("speech-digits", words[3:]).as_dict()["data"]
    assert data["init_args"]["path"] == str(Path(name).absolute())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["digts"], "there is no file or folder digts, and no data set of this name; .*did you mean 'digits'"),
        (["mnist"], "mnist is not here; `lab data fetch mnist` downloads it"),
        ([], "takes one data set, file or folder, received 0"),
        (["digits", "-o", "a.jpg"], r"a file that ends in \.png, received a\.jpg"),
        (["digits", "--model.x=1"], r"takes settings of the data alone, --data\.NAME=VALUE, received --model\.x"),
        (["digits", "--data.val_sise=1"], r"unknown key 'data\.val_sise'; did you mean 'data\.val_size'"),
        (["digits", "--data.val_size=x"], r"data\.val_size must be a number"),
        (["empty"], "empty is empty"),
    ],
)
def test_mistakes_are_named(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAB_DATA_DIR", str(tmp_path / "none"))
    Path("empty").mkdir()
    assert main(["data", "show", *words]) == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert not list(Path().glob("*.png"))
