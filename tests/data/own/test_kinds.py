"""Data of a kind that an experiment does not take are refused in one sentence, whatever the kind."""

from __future__ import annotations

import re
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

import lab.data
from lab.cli.data.finding import build
from lab.cli.main import main
from lab.errors import ConfigError
from tests.data.own.test_images import folder as image_folder
from tests.data.own.test_sounds import folder as sound_folder

CLASSES = {
    "Images": ("idx", "images"),
    "Sounds": ("sounds",),
    "Text": ("text", "texts"),
    "Table": ("csv",),
    "Series": ("csv",),
    "Ratings": ("csv",),
    "Sentences": ("csv", "letters"),
}
"""The data modules, and which of the data below each takes."""

PART = {
    "Images": "expected images in a folder for each class or four IDX files in a folder, but ",
    "Sounds": "expected wav files in a folder for each class, but ",
    "Text": "expected a text file, or a folder of .txt files, but ",
    "Table": "expected a csv file, but ",
    "Sentences": "expected a csv file or text files in a folder for each class, but ",
}
TAKERS = {
    "image": "ae-mnist",
    "wav": "speech-digits",
    "csv": "cancer-mlp",
    "text": "gpt-shakespeare",
    "text files by class": "sentiment-cnn",
    "IDX": "ae-mnist",
}
"""An experiment of each kind, which is among those that are named."""


def write(place: Path, content: str | bytes) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)
    return place


def idx_folder(place: Path) -> Path:
    for split in ("train", "t10k"):
        write(place / f"{split}-images-idx3-ubyte", b"\0\0\x08\x03" + struct.pack(">3I", 20, 2, 2) + bytes(range(80)))
        write(
            place / f"{split}-labels-idx1-ubyte",
            b"\0\0\x08\x01" + struct.pack(">I", 20) + bytes(i % 2 for i in range(20)),
        )
    return place


def single_wav(place: Path) -> Path:
    with wave.open(str(place), "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        file.writeframes(bytes(100))
    return place


GIVEN: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "images": ("is a folder of images", lambda root: image_folder(root / "pets")),
    "image": ("is an image", lambda root: next((image_folder(root / "pets") / "cats").iterdir())),
    "sounds": ("is a folder of wav files", lambda root: sound_folder(root / "calls")),
    "sound": ("is a wav file", lambda root: single_wav(root / "a.wav")),
    "csv": ("is a csv file", lambda root: write(root / "t.csv", "user,item,rating\na,b,1\n")),
    "tables": ("is a folder of csv files", lambda root: write(root / "all" / "t.csv", "a,b\n1,2\n").parent),
    "text": ("is a text file", lambda root: write(root / "novel.txt", "It was a dark night. " * 100)),
    "texts": ("is a folder of text files", lambda root: write(root / "all" / "1.txt", "So it goes. " * 100).parent),
    "letters": (
        "is a folder of text files by class",
        lambda root: write(root / "all" / "calm" / "1.txt", "So it goes. ").parents[1],
    ),
    "idx": ("is a folder of IDX files", lambda root: idx_folder(root / "numbers")),
    "gzip": ("is an IDX file", lambda root: write(root / "train-images-idx3-ubyte.gz", b"\x1f\x8b")),
    "packed": ("ends in .zip", lambda root: write(root / "all.zip", b"PK\x03\x04")),
    "empty": ("is empty", lambda root: write(root / "all" / ".hidden", "").parent),
    "other": (
        "has files that the lab does not read: 1 .docx",
        lambda root: write(root / "x" / "notes.docx", "").parent,
    ),
}


@pytest.mark.parametrize(
    ("cls", "given"),
    [
        pytest.param(cls, given, marks=() if (i + j) % 3 == 0 else pytest.mark.slow)
        for i, cls in enumerate(CLASSES)
        for j, given in enumerate(GIVEN)
    ],
)
def test_wrong_kinds_are_named(cls: str, given: str, tmp_path: Path) -> None:
    told, made = GIVEN[given]
    place = made(tmp_path)
    data = build(getattr(lab.data, cls), [f"--data.path={place}"])
    if given in CLASSES[cls]:
        try:
            data.prepare()
        except Exception as error:  # too few rows for a table is another matter
            assert "data.path: expected" not in str(error), error  # noqa: PT017
        return
    with pytest.raises(ConfigError) as caught:
        data.prepare()
    said = str(caught.value)
    assert f"data.path: {PART.get(cls, PART['Table'])}{place} {told}" in said
    assert said.count(". ") == 0, "one sentence"
    assert "\n" not in said
    kind = re.search(r"image|wav|csv|text files by class|text|IDX", told)
    own = kind and kind[0] in " ".join(CLASSES[cls]).replace("sounds", "wav").replace("idx images", "IDX image")
    if given == "packed":
        assert said.endswith("; unpack it first")
    elif kind and not own:
        assert re.search(rf" are for [^;]*\b{TAKERS[kind[0]]}\b", said)


def test_nothing_is_written_for_a_wrong_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = image_folder(tmp_path / "pets")
    assert main(["run", "cancer-mlp", f"--data.path={place}"]) == 2
    err = capsys.readouterr().err
    assert re.search("is a folder of images; images are for [^;]*ae-mnist, .* more$", err, re.MULTILINE)
    assert not Path("runs").exists()


def test_files_of_unknown_ending_are_read_as_what_is_wanted(tmp_path: Path) -> None:
    """Where a file is wanted; and other files beside those that are wanted do not hide them."""
    text = write(tmp_path / "LICENSE", "Permission is hereby granted. " * 50)
    build(lab.data.Text, [f"--data.path={text}", "--data.block=8"]).prepare()
    place = image_folder(tmp_path / "pets", each=6)
    for number in range(30):
        write(place / "cats" / f"{number}.txt", "a caption")
    build(lab.data.Images, [f"--data.path={place}"]).prepare()
