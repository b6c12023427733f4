"""A csv of ratings is cut into fifths, and its users and items keep their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from lab.data import Ratings
from lab.data.own.ratings import Ids
from lab.errors import DataError, LabError

CPU = torch.device("cpu")
ROWS = [(f"u{i % 9}", f"film {i * i % 13}", 1 + i % 5) for i in range(200)]


def prepared(path: Path, rows: Sequence[Sequence[object]], header: str = "user,item,rating", fold: int = 1) -> Ratings:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]).strip())
    data = Ratings(path=str(path), fold=fold)
    data.prepare()
    return data


def named(data: Ratings, fifth: object) -> list[tuple[str, str, float]]:
    ids = data.spec.reader
    assert isinstance(ids, Ids)
    found = []
    for x, y in fifth:  # type: ignore[attr-defined]
        for user, item, rating in zip(x["user"].tolist(), x["item"].tolist(), y.tolist(), strict=True):
            found.append((ids.users[user], ids.items[item], rating))
    return found


def test_each_rating_is_tested_once(tmp_path: Path) -> None:
    folds = [prepared(tmp_path / "own.csv", ROWS, fold=fold) for fold in range(1, 6)]
    tested = [named(data, data.test(CPU)) for data in folds]
    assert sorted(row for fifth in tested for row in fifth) == sorted(ROWS)
    pairs = [{row[:2] for row in fifth} for fifth in tested]
    assert sum(map(len, pairs)) == len(set().union(*pairs)), "ratings of one pair are in one fold"
    first = folds[0]
    rest = named(first, first.train(CPU, 0)) + named(first, first.validation(CPU))
    assert sorted(rest + tested[0]) == sorted(ROWS)
    assert "are of an item that the user has rated before" in first.notes[-1]


def test_other_columns_are_told(tmp_path: Path) -> None:
    rows = [(*row, "2020") for row in ROWS]
    data = prepared(tmp_path / "own.csv", rows, "who,what,stars,when")
    assert list(data.notes[:2]) == [
        "own.csv: users are the column who, items what and ratings stars",
        "own.csv: not used: when",
    ]
    assert prepared(tmp_path / "own.csv", ROWS, "").notes[0].startswith("the first line of own.csv has numbers")


def test_capitals_do_not_matter(tmp_path: Path) -> None:
    rows = [(rating, user, item) for user, item, rating in ROWS]
    data = prepared(tmp_path / "own.csv", rows, "Rating,USER,Item")
    found = [*named(data, data.train(CPU, 0)), *named(data, data.validation(CPU)), *named(data, data.test(CPU))]
    assert sorted(found) == sorted(ROWS)
    assert data.spec.reader.columns == ("USER", "Item")  # type: ignore[union-attr]


def test_pairs_are_read_by_name() -> None:
    ids = Ids(("ann", "bob"), ("7", "12"))
    given = ids.read(b"item,user,x\n12,ann,0\n7,bob,0\n", "new.csv")
    assert {key: one.tolist() for key, one in given.inputs.items()} == {"user": [0, 1], "item": [1, 0]}  # type: ignore[union-attr]
    assert given.labels[1] == {"row": 2, "user": "bob", "item": "7"}
    assert given.notes == ["new.csv: not used: x"]
    assert ids.read(b"ann,12\n", "new.csv").labels == [{"row": 1, "user": "ann", "item": "12"}]
    with pytest.raises(DataError, match=r"new\.csv: the user 'anne' in line 2 has no ratings in training.*mean 'ann'"):
        ids.read(b"user,item\nanne,7\n", "new.csv")


@pytest.mark.parametrize(
    ("rows", "header", "sentence"),
    [
        (ROWS[:19], "user,item,rating", "has 19 ratings; expected at least 20"),
        ([("a", i, 3) for i in range(30)], "user,item,rating", "rating is 3 in every row"),
        ([*ROWS, ("a", "", 3)], "user,item,rating", "item is missing in line 202"),
        ([*ROWS, ("a", "b", "good")], "user,item,rating", "rating is 'good' in line 202; expected a number"),
        ([("a", i) for i in range(30)], "user,item", "has 2 columns; expected three: user, item and rating"),
    ],
)
def test_useless_ratings_are_one_sentence(
    tmp_path: Path, rows: Sequence[Sequence[object]], header: str, sentence: str
) -> None:
    with pytest.raises(LabError, match=sentence):
        prepared(tmp_path / "own.csv", rows, header)


def test_no_pair_is_validated_and_trained_on(tmp_path: Path) -> None:
    data = prepared(tmp_path / "own.csv", [*ROWS, *ROWS])
    train, validation = ({row[:2] for row in named(data, part)} for part in (data.train(CPU, 0), data.validation(CPU)))
    assert validation
    assert not train & validation
