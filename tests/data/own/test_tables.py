"""A csv of the user's own becomes numbers and classes that are split without leaks, and is read alike to predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lab.data import Batch, Table
from lab.data.own.columns import Columns
from lab.data.spec import Classes
from lab.errors import ConfigError, DataError, LabError

CPU = torch.device("cpu")
Prepared = Callable[..., Table]

COLOURS = ("red", "blue", "")
PEOPLE = [("name", "age", "colour", "sick")]
PEOPLE += [
    (f"p{i}", "" if i % 5 == 1 else str(20 + i % 7), ("red", "blue", "")[i % 3], "yes" if i % 2 else "no")
    for i in range(40)
]


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    def prepare(rows: Sequence[Sequence[object]], **settings: Any) -> Table:
        path = tmp_path / "own.csv"
        path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
        data = Table(path=str(path), **{"folds": 4, **settings})
        data.prepare()
        return data

    return prepare


def split(data: Table) -> list[list[Batch]]:
    return [list(part) for part in (data.train(CPU, 0), data.validation(CPU) or (), data.test(CPU))]


def everything(data: Table) -> tuple[Tensor, Tensor]:
    parts = [batch for part in split(data) for batch in part]
    inputs, targets = (torch.cat(one) for one in zip(*parts, strict=True))
    return inputs, targets


def reader(data: Table) -> Columns:
    assert isinstance(data.spec.reader, Columns)
    return data.spec.reader


def inputs(given: Any) -> list[list[float]]:
    return given.inputs.tolist()  # type: ignore[no-any-return]


def test_columns_become_numbers(prepared: Prepared) -> None:
    data = prepared(PEOPLE)
    assert reader(data).features == ("age", "age missing", "colour=blue", "colour=red", "colour missing")
    assert data.spec.target == Classes(2, ("no", "yes"))
    assert data.notes == [
        "columns of own.csv that are left out: name (40 different texts in 40 rows, such as 'p0')",
        "rows of own.csv with the same inputs stay in one part of the split: 16 of 40 repeat another",
        "missing values in age (8 of 40 rows), colour (13 of 40 rows): numbers are filled by the median, a missing "
        "text is none of the categories, and a column of their own says where",
    ]
    x, _ = everything(data)
    assert x.shape == (40, 5)
    assert torch.equal(x[:, 2:].sum(1), torch.ones(40)), "a row has one colour or none"
    assert data.info.path is not None
    assert data.info.name == "own.csv"


def test_medians_are_of_training_rows(prepared: Prepared) -> None:
    rows: list[tuple[object, ...]] = [("x", "z", "y")] + [(i * i if i % 5 else "NA", i / 10, i % 2) for i in range(60)]
    data = prepared(rows, val_size=0.2)
    assert reader(data).features == ("x", "x missing", "z")
    trained = torch.cat([x for x, _ in data.train(CPU, 0)])
    assert reader(data).columns[0].median == trained[trained[:, 1] == 0, 0].double().quantile(0.5)


def test_inputs_are_of_training_rows(prepared: Prepared) -> None:
    """A category, a gap or a difference that only other rows have would meet weights that were never trained."""
    rows: list[tuple[object, ...]] = [("city", "x", "z", "w", "y")]
    rows += [(f"c{i % 3}", 5, i / 10, i * i, i % 2) for i in range(40)]
    usual = prepared(rows)
    tested = [round(10 * z) for x, _ in usual.test(CPU) for z in x[:, 3].tolist()]
    for i in tested[:2]:
        rows[1 + i] = ("zzz", 7, "", i * i, i % 2)
    data = prepared(rows)
    assert reader(data).features == ("city=c0", "city=c1", "city=c2", "z", "w")
    assert data.notes == [
        "columns of own.csv that are left out, as they never vary in the rows to train on: x",
        "missing values in z (2 of 40 rows), none of them in the rows to train on: numbers are filled by the median, "
        "a missing text is none of the categories",
    ]


@pytest.mark.parametrize("name", ["", "Id", "Unnamed: 0"])
def test_numbers_of_rows_are_no_input(prepared: Prepared, name: str) -> None:
    """As in a part of a larger table, in any order."""
    rows: list[tuple[object, ...]] = [(name, "x", "y")] + [(i * 7 % 40 + 3, i / 10, i % 2) for i in range(40)]
    data = prepared(rows)
    assert reader(data).features == ("x",)
    assert data.notes == [f"columns of own.csv that are left out: {name or 'column 1'} (numbers the rows)"]


def test_numbers_are_classes_in_order(prepared: Prepared) -> None:
    rows = [("x", "y")] + [(i / 10, (10, 9, 2)[i % 3]) for i in range(30)]
    assert prepared(rows).spec.target == Classes(3, ("2", "9", "10"))


@pytest.mark.parametrize("first", [400_638_133_393_100, 1_234_567_890_123_456_789])
def test_long_numbers_are_different_classes(prepared: Prepared, first: int) -> None:
    """Such as bar codes, and ids that a float64 cannot tell apart."""
    rows = [("x", "y")] + [(i / 10, first + i % 3) for i in range(30)]
    assert prepared(rows).spec.target == Classes(3, tuple(str(first + i) for i in range(3)))


def test_target_may_stand_anywhere(prepared: Prepared) -> None:
    rows = [("y", "x", "z")] + [(i % 2, i / 10, i % 5) for i in range(30)]
    data = prepared(rows, target="y")
    assert reader(data).features == ("x", "z")
    assert reader(data).aside == ("y",)


def test_groups_stay_together(prepared: Prepared) -> None:
    rows = [("patient", "x", "y")] + [(f"p{i % 15}", i / 7, i % 15 % 2) for i in range(90)]
    data = prepared(rows, group="patient", val_size=0.25)
    patients = [{round(float(x) * 7) % 15 for batch, _ in part for x in batch[:, 0]} for part in split(data)]
    assert sum(map(len, patients)) == 15
    assert set().union(*patients) == set(range(15))
    assert all(patients)


def test_identical_rows_stay_together(prepared: Prepared) -> None:
    rows = [("n", "x", "y")] + [(i + 1, i // 3, i % 2) for i in range(60)]
    data = prepared(rows)
    parts = [{float(x) for batch, _ in part for x in batch[:, 0]} for part in split(data)]
    assert sum(map(len, parts)) == 20
    assert any("40 of 60 repeat another" in note for note in data.notes)
    assert any("n (counts the rows)" in note for note in data.notes)


def test_each_row_is_tested_in_one_fold(prepared: Prepared) -> None:
    rows = [("x", "y")] + [(i // 2, i % 2) for i in range(40)]
    tested = [x for fold in range(4) for x, _ in prepared(rows, fold=fold).test(CPU)]
    assert sorted(torch.cat(tested)[:, 0].tolist()) == sorted(float(i // 2) for i in range(40))


def test_rows_to_predict_are_read_by_name(prepared: Prepared) -> None:
    columns = reader(prepared(PEOPLE))
    given = columns.read(b"colour;extra;age\nred;1;30,5\nblue;2;\n?;3;40\ngreen;4;20\n", "new.csv")
    median = columns.columns[0].median
    assert inputs(given) == [[30.5, 0, 0, 1, 0], [median, 1, 1, 0, 0], [40, 0, 0, 0, 1], [20, 0, 0, 0, 0]]
    assert [one["row"] for one in given.labels] == [1, 2, 3, 4]
    assert given.notes == [
        "new.csv: not used: extra",
        "new.csv: colour is 'green' in row 4, which training had not: taken as none of blue, red",
    ]


def test_columns_without_names_keep_their_places(prepared: Prepared) -> None:
    rows = [(i / 10, i * i, 7, i % 2) for i in range(30)]
    last = reader(prepared(rows))
    assert last.features == ("column 1", "column 2")
    for text in ("0.5,4\n", "0.5,4,7\n", "0.5,4,7,1\n"):
        assert inputs(last.read(text.encode(), "new.csv")) == [[0.5, 4]], "those after all inputs may be missing"
    first = reader(prepared([(i % 2, i / 10, i * i) for i in range(30)], target="column 1"))
    assert inputs(first.read(b"1,0.5,4\n", "new.csv")) == [[0.5, 4]]
    with pytest.raises(
        ConfigError, match=r"new\.csv has 2 columns without names, and the table .* has 3, of which col"
    ):
        first.read(b"0.5,4\n", "new.csv")


def test_embedded_table_has_columns() -> None:
    data = Table()
    data.prepare()
    (batch, _) = next(iter(data.test(CPU)))
    names = reader(data).features
    assert names[0] == "mean radius"
    lines = [",".join(reversed(names)), ",".join(repr(float(x)) for x in reversed(batch[3])), "NA" + "," * 29]
    given = reader(data).read("\n".join(lines).encode(), "new.csv")
    assert inputs(given)[0] == batch[3].tolist()
    assert any("mean radius is missing in row 2: taken as" in note for note in given.notes)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("x", "y"), (1, "a"), (2, "a")], "the target y is 'a' in every row"),
        ([("x", "y"), (1, "a"), (2, "a"), (3, "b")], r"class 'b' of y has a single row, in line 4"),
        ([("x", "y"), (1, "a"), (2, ""), (3, "b")], "the target y is missing in line 3"),
        (
            [("x", "y"), *((i, i / 7) for i in range(300))],
            r"y has 300 different numbers .*, so it is no class",
        ),
        ([("x", "y"), *((i, f"t{i}") for i in range(200))], "y has 200 different texts, more than 100"),
        ([("x", "y"), *((5, i % 2) for i in range(20))], r"has no column to predict from: x \(always 5\)"),
        ([("y",), *((i % 2,) for i in range(20))], "has one column, 'y'; expected several, with commas"),
        ([("x", "y"), *((i / 3, i % 2) for i in range(60)), ("ten", 1)], "column x has numbers, but 'ten' in line 62"),
        ([("x", "y"), *((10**i, i % 2) for i in range(40))], "column x has '1000000+' in line 41, which is too large"),
        (
            [("x", "y"), *((i / 3, i % 7 == 0) for i in range(21))],
            "at most 3, the rows of the rarest class, True",
        ),
    ],
)
def test_useless_tables_are_one_sentence(prepared: Prepared, rows: Any, sentence: str) -> None:
    with pytest.raises(LabError, match=sentence) as caught:
        prepared(rows)
    assert "\n" not in str(caught.value)


def test_impossible_settings_are_one_sentence(prepared: Prepared) -> None:
    rows = [("g", "x", "y")] + [(f"g{i % 3}", i / 7, i % 2) for i in range(30)]
    for settings, sentence in (
        ({"target": "z"}, r"data\.target must be a column of own\.csv \(g, x, y\), received 'z'"),
        ({"group": "h"}, r"data\.group must be a column of own\.csv \(g, x, y\), received 'h'"),
        ({"group": "y"}, "data.group and data.target must be two columns, received 'y' for both"),
        ({"group": "g"}, "data.folds is 4, but only 3 of the groups"),
        ({"group": "g", "folds": 3}, "data.val_size of 0.2 cuts the rest into 5 parts, but only 2 of the groups"),
        ({"val_size": 0.01}, "data.val_size must leave a row of each class to validate"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            prepared(rows, **settings)
    with pytest.raises(ConfigError, match=r"data\.target names a column of the file data\.path, but there is no data"):
        Table(target="y")


def test_rows_that_do_not_fit_are_refused(prepared: Prepared) -> None:
    columns = reader(prepared(PEOPLE))
    with pytest.raises(ConfigError, match=r"new\.csv has no column colour; its columns are age, color; did"):
        columns.read(b"age,color\n1,red\n", "new.csv")
    with pytest.raises(DataError, match=r"new\.csv: column age has 'old' in line 3, which is no number"):
        columns.read(b"age,colour\n1,red\nold,blue\n", "new.csv")
