"""Texts of the user's own with a class each, and what reads texts for predictions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lab.data import Sentences
from lab.data.inputs.given import Reader
from lab.data.inputs.reading import read_inputs
from lab.data.own.texts.documents import Documents
from lab.data.own.texts.labelled import read_texts
from lab.data.own.texts.lines import Lines
from lab.data.spec import Classes
from lab.data.tokenizers.characters import Characters
from lab.data.tokenizers.words import Words
from lab.errors import ConfigError, DataError

CPU = torch.device("cpu")
ROWS = [
    "text,label,stars",
    *(f'"{["bad", "good", "fine"][i % 3]}, number {i}",{["no", "yes", "yes"][i % 3]},1' for i in range(30)),
]


def sheet(place: Path, rows: list[str] | None = None) -> Path:
    place.write_text("\n".join(rows or ROWS))
    return place


def folder(place: Path, sides: tuple[str, ...] = ("",), each: int = 12) -> Path:
    for side in sides:
        for name in ("calm", "angry"):
            (place / side / name).mkdir(parents=True)
            for i in range(each):
                (place / side / name / f"{i}.txt").write_text(f"{name} {side}\n\nletter {i}")
    return place


def prepared(place: Path, **settings: float) -> Sentences:
    data = Sentences(path=str(place), **settings)  # type: ignore[arg-type]
    data.prepare()
    return data


def sizes(data: Sentences) -> list[int]:
    return [sum(map(len, one or ())) for one in (data.train(CPU, 0), data.validation(CPU), data.test(CPU))]


def test_rows_of_a_csv_are_texts(tmp_path: Path) -> None:
    told = read_texts(sheet(tmp_path / "t.csv"))
    assert told.texts[0] == "bad, number 0"
    assert told.classes == ("no", "yes")
    assert told.labels.tolist() == [int(i % 3 > 0) for i in range(30)]
    data = prepared(tmp_path / "t.csv", folds=5, val_size=0.25)
    assert sizes(data) == [18, 6, 6]
    assert data.info.path == str(tmp_path / "t.csv")


def test_columns_are_chosen(tmp_path: Path) -> None:
    data = Sentences(
        path=str(sheet(tmp_path / "t.csv", ["what;who", *(f"a {i};{i % 2}" for i in range(40))])), target="who"
    )
    with pytest.raises(ConfigError, match=r"data\.text must be a column of t\.csv \(what, who\), received 'text'"):
        data.prepare()
    data.text = "what"
    data.prepare()
    assert data.spec.target == Classes(2, ("0", "1"))


def test_copies_stay_together(tmp_path: Path) -> None:
    """The same text is never in two parts of the split."""
    rows = [f"{['good', 'bad'][i % 2]} {i // 4},{i % 2}" for i in range(80)]
    told = read_texts(sheet(tmp_path / "t.csv", ["text,label", *rows]))
    for fold in range(5):
        parts = Sentences(fold=fold, folds=5, val_size=0.3)._folds(told)
        assert sum(map(len, parts)) == 80
        distinct = [{told.texts[i] for i in part.tolist()} for part in parts]
        assert sum(map(len, distinct)) == len(set(told.texts)), "no text is in two parts"


def test_folder_has_a_folder_for_each_class(tmp_path: Path) -> None:
    data = prepared(folder(tmp_path / "letters"), folds=4, fold=3, val_size=0.25)
    assert data.spec.target == Classes(2, ("angry", "calm"))
    assert sizes(data) == [13, 5, 6]
    assert {"angry", "letter", "0"} <= {*data.words.known}


def test_folders_choose_the_split(tmp_path: Path) -> None:
    place = folder(tmp_path / "letters", ("train", "test"))
    data = prepared(place, val_size=0.25)
    assert sizes(data) == [18, 6, 24]
    assert "test" not in data.words.known
    with pytest.raises(ConfigError, match=r"data\.fold chooses what is tested, but the folder test of data\.path does"):
        prepared(place, fold=1)
    assert sizes(prepared(folder(tmp_path / "more", ("train", "val", "test")), val_size=0.25)) == [24, 24, 24]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["text,label", "a,1", ",0", "b,0", "c,1"],
            r"t\.csv: the text is missing in line 3; expected one in every row",
        ),
        (["text,label", "a,1", "b,1"], "the target label is '1' in every row"),
    ],
)
def test_bad_rows_are_named(rows: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_texts(sheet(tmp_path / "t.csv", rows))


READER = Documents(3, Words(("good", "film")))


def test_shorter_texts_are_padded(tmp_path: Path) -> None:
    """Rows of a csv, lines of standard input, and a file as one text."""
    given = READER.read(b"text,other\ngood,1\na film of films,2\n", "t.csv")
    assert given.inputs.tolist() == [[2, 0, 0], [1, 3, 1]]  # type: ignore[union-attr]
    assert isinstance(given.mask, torch.Tensor)
    assert given.mask.tolist() == [[True, False, False], [True] * 3]
    assert given.labels == [{"row": 1}, {"row": 2}]
    assert given.notes == [
        "t.csv: 1 text cut to the first 3 words, which is all that the model takes",
        "t.csv: 2 of 4 words unknown to the model ('a', 'of')",
    ]
    given = READER.read(b"good film\n\nfilm\x85\n".decode("latin-1").encode(), "standard input")
    assert given.inputs.tolist() == [[2, 3], [3, 0]]  # type: ignore[union-attr]
    assert given.labels == [{"line": 1}, {"line": 3}]
    assert READER.read(b"good\nfilm", "t.txt").inputs.tolist() == [[2, 3]]  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match=r"t\.csv has no column text; its columns are a, b"):
        READER.read(b"a,b\nc,d\n", "t.csv")


def test_texts_without_a_known_word_are_named() -> None:
    rows = b"text,other\nGood ____,1\nun beau film,2\ntr\xc3\xa8s mauvais,3\n____,4\n"
    assert READER.read(rows, "t.csv").notes == [
        "t.csv: 4 of 6 words unknown to the model ('un', 'beau', 'tr\xe8s', and 1 more)",
        "t.csv: the model knows no word of row 3: what it predicts there says nothing of the text",
    ]
    notes = READER.read_text("un beau jour").notes
    assert notes[1] == "the text: the model knows no word: what it predicts there says nothing of the text"
    assert not READER.read_text("a good film"[2:]).notes


@pytest.mark.parametrize("reader", [READER, Lines(9, Characters.of("abc", 3), "text")])
def test_rows_without_a_text_are_refused(reader: Reader) -> None:
    with pytest.raises(DataError, match=r"^t\.csv: column text has no text in rows 2, 4; expected one in every row$"):
        reader.read(b"text,other\na,1\n,2\nb,3\n  ,4\n", "t.csv")


def test_sentences_are_read_in_place_of_files(tmp_path: Path) -> None:
    long = "good " * 500
    ((told, given), (other, cut)) = read_inputs(["a good film", long], READER)
    assert (told, other) == ("a good film", long)
    assert given.inputs.tolist() == [[1, 2, 3]]  # type: ignore[union-attr]
    assert cut.inputs.tolist() == [[2, 2, 2]]  # type: ignore[union-attr]
    (tmp_path / "my good film").write_text("film")
    ((_, given),) = read_inputs([str(tmp_path / "my good film")], READER)
    assert given.inputs.tolist() == [[3]]  # type: ignore[union-attr]
    for word in ("film", "my film.csv"):
        with pytest.raises(DataError, match=f"{word} cannot be read: No such file"):
            read_inputs([word], READER)
