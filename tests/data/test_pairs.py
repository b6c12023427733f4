"""Ratings are read as their publisher writes them, and the generated ones are of the promised form."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.data import Ratings
from lab.data.archive import read_archive
from lab.data.sets.pairs import generate_ratings, read_movielens
from lab.errors import ConfigError, DataError

CPU = torch.device("cpu")


def archive(path: Path, base: str = "1\t2\t5\t874965758\n2\t1\t3\t876893171\n") -> Path:
    """Write an archive of the publisher's form with three ratings; the file of the training split is `base`."""
    test = "3\t4\t1\t878542960\n"
    with zipfile.ZipFile(path, "w") as file:
        for name, text in (("u.data", base + test), ("u2.base", base), ("u2.test", test)):
            file.writestr(f"ml-100k/{name}", text)
    return path


def prepared(**settings: Any) -> Ratings:
    data = Ratings(name="generated-ratings", **settings)
    data.prepare()
    return data


def test_publishers_archive_is_read(tmp_path: Path) -> None:
    rated = read_movielens(read_archive(archive(tmp_path / "ml-100k.zip"), "u*"), 2)
    assert [column.tolist() for column in rated.train] == [[0, 1], [1, 0], [5.0, 3.0]]
    assert [column.tolist() for column in rated.test] == [[2], [3], [1.0]]
    assert (rated.users, rated.items, rated.generator) == (3, 4, None)


@pytest.mark.parametrize(("base", "fold", "named"), [("one\ttwo\tthree\tfour\n", 2, "u2"), ("1\t2\t5\t0\n", 3, "u3")])
def test_other_files_are_refused(tmp_path: Path, base: str, fold: int, named: str) -> None:
    files = read_archive(archive(tmp_path / "ml-100k.zip", base), "u*")
    with pytest.raises(DataError, match=f"{named}.base is missing or has another form"):
        read_movielens(files, fold)


def test_generated_ratings_resemble_movielens() -> None:
    rated = generate_ratings(1)
    users, items, ratings = (torch.cat(columns) for columns in zip(rated.train, rated.test, strict=True))
    assert (len(rated.train.ratings), len(rated.test.ratings)) == (80_000, 20_000)
    assert len(torch.unique(users * rated.items + items)) == 100_000, "a user has rated an item twice"
    assert sorted(set(ratings.tolist())) == [1, 2, 3, 4, 5]
    for ids, size, fewest, median, most in ((users, 943, 20, 65, 600), (items, 1682, 1, 27, 300)):
        counts = torch.bincount(ids, minlength=size)
        assert len(counts) == size
        assert counts.min() >= fewest
        assert counts.max() >= most
        assert counts.median() == pytest.approx(median, rel=0.1)


def test_folds_test_every_rating_once() -> None:
    tested = [generate_ratings(fold).test for fold in (1, 2, 5)]
    pairs = torch.cat([fold.users * 1682 + fold.items for fold in tested])
    assert len(torch.unique(pairs)) == len(pairs) == 60_000


def test_validation_is_held_out() -> None:
    data = prepared(val_size=1000)
    splits = [data.train(CPU, 0), data.validation(CPU), data.test(CPU)]
    pairs = [torch.cat([x["user"] * 1682 + x["item"] for x, _ in split or ()]) for split in splits]
    assert [len(split) for split in pairs] == [79_000, 1000, 20_000]
    assert len(torch.unique(torch.cat(pairs))) == 100_000


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.fold must be from 1 to 5, received 6"):
        Ratings(fold=6)
    with pytest.raises(ConfigError, match=r"data\.val_size must be less than the 80,000 training ratings"):
        prepared(val_size=80_000)
    with pytest.raises(ConfigError, match=r"data\.name must be one of movielens, generated-ratings"):
        Ratings(name="movielens-1m")
