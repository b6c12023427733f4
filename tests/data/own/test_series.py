"""A csv of steps becomes a series; gaps and steps out of order are refused with their line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lab.data import Series
from lab.data.files.csv import parse_sheet
from lab.data.own.steps import History, Steps, steps_of
from lab.errors import ConfigError, DataError

MONTHS = [f"{2010 + t // 12}-{t % 12 + 1:02d}" for t in range(60)]
SALES = "month,shop,units,price\n" + "".join(f"{month},north,{t + 1},{t / 2}\n" for t, month in enumerate(MONTHS))


def steps(text: str, columns: list[str] | None = None) -> Steps:
    return steps_of(parse_sheet(text.encode(), "own.csv"), columns)


def test_columns_of_numbers_are_taken() -> None:
    found = steps(SALES)
    assert found.columns == ("units", "price")
    assert (found.times[0], found.period) == ("2010-01", 12)
    assert found.values[2].tolist() == [3, 1]
    assert found.notes == ("columns of own.csv that are left out: shop (texts)",)
    assert steps(SALES, ["price"]).values[:3].tolist() == [[0], [0.5], [1]]


def test_times_are_optional() -> None:
    assert steps("x\n3\n1\n2\n").times == ("step 1", "step 2", "step 3")
    years = steps("year,x\n2001,3\n2002,1\n2003,2\n")
    assert (years.columns, years.times) == (("x",), ("2001", "2002", "2003"))
    assert steps("a,b\n5,3\n1,1\n2,2\n").columns == ("a", "b")


def test_days_may_be_numbers() -> None:
    days = "".join(f"2026{1 + t // 28:02d}{1 + t % 28:02d},{t % 5}\n" for t in range(60))
    found = steps(f"day,x\n{days}")
    assert (found.columns, found.times[0], found.period) == (("x",), "20260101", 7)
    assert steps(f"n,x\n{days.replace('2026', '2999')}").columns == ("x",)
    assert steps("sold,x\n20261301,5\n20269901,6\n20260101,7\n").columns == ("sold", "x"), "no days"


def test_a_column_that_always_grows_is_told() -> None:
    """It may be a time at unequal steps."""
    text = "time,x\n" + "".join(f"{1_700_000_000 + 3_600 * t + 200 * (t % 3)},{t % 5}\n" for t in range(9))
    assert "own.csv: time grows in every row, and is forecast" in steps(text).notes[0]
    assert not steps(text, ["time", "x"]).notes, "it was chosen"
    assert not steps(text.replace("time,x", "x").replace(",", ".")).notes, "there is no other"


def test_seasons_follow_from_dates() -> None:
    days = "".join(f"2020-01-{t + 1:02d},{t}\n" for t in range(20))
    hours = "".join(f"2020-01-01T{t:02d}:00,{t}\n" for t in range(20))
    assert [steps(f"t,x\n{one}").period for one in (days, hours, "mon,1\ntue,2\n")] == [7, 24, 1]
    weekdays = days.replace("2020-01-04,3\n2020-01-05,4\n", "")
    (note,) = steps(f"t,x\n{weekdays}").notes
    assert "'02/01/2020' are no dates in the form 2026-11-29" in steps("t,x\n02/01/2020,1\n02/02/2020,2\n").notes[0]
    assert note.startswith("own.csv: line 5 is 3 days, 0:00:00 after the row before, where most are 1 day")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            SALES.replace("north,7,3.0", "north,,3.0"),
            "units is missing in line 8; a series needs a number",
        ),
        (SALES.replace("north,7,3.0", "north,seven,3.0"), "units is 'seven' in line 8"),
        ("t,x\n2020-02-01,1\n2020-01-01,2\n", "line 3 is 2020-01-01, which is not after 2020-02-01"),
        ("t,x\n2020-02-01,1\n2020-02-01,2\n", "line 3 is 2020-02-01, which is not after 2020-02-01"),
        ("t,x\na,b\nc,d\n", r"has no column of numbers that change: x \(texts\)"),
        ("t,x\na,5\nc,5\n", r"has no column of numbers that change: x \(always 5\)"),
        ("x,y\n1,1e39\n3,4\n", "y in line 2 is too large for float32"),
        ('x\n1\n""\n3\n4\n', "line 3 is empty; a series needs a number at each step"),
        ("year,x\n2020,1\n2019,2\n2018,5\n", "year falls from row to row, as a time that runs backwards"),
        ("second,x\n1700000900,1\n1700000500,2\n1700000400,5\n", "second falls from row to row"),
    ],
)
def test_gaps_are_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        steps(text)


def test_own_series_is_prepared(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(SALES)
    data = Series(path=str(tmp_path / "own.csv"), columns=["units"], past=14, test_size=12, val_size=0)
    data.prepare()
    assert data.values[:, 0].tolist() == list(range(1, 61))
    assert (data.info.name, data.period) == ("own.csv", 12)
    with pytest.raises(ConfigError, match=r"data\.columns must be a column of own\.csv .*'unit'; did you mean 'units'"):
        Series(path=str(tmp_path / "own.csv"), columns=["unit"]).prepare()
    with pytest.raises(ConfigError, match=r"of 60 steps 0 are left by data\.test_size and data\.val_size, 70 and 0"):
        Series(path=str(tmp_path / "own.csv"), test_size=70, val_size=0).prepare()


def test_history_is_the_last_steps() -> None:
    given = History(3, ("price", "units")).read(SALES.encode(), "own.csv")
    assert isinstance(given.inputs, torch.Tensor)
    assert given.inputs.tolist() == [[[28.5, 58], [29, 59], [29.5, 60]]]
    assert given.labels == [{"after": "2014-12"}]
    assert given.notes == [
        "own.csv: the forecast follows its last 3 steps; the 57 before are not used",
        "own.csv: not used: shop",
    ]
    with pytest.raises(ConfigError, match=r"own\.csv has 60 steps, but the model looks back on 61"):
        History(61, ("units",)).read(SALES.encode(), "own.csv")
    with pytest.raises(ConfigError, match=r"no column unit; its columns are .*; did you mean 'units'"):
        History(3, ("unit",)).read(SALES.encode(), "own.csv")
    reversed_ = "year,units\n2020,1\n2019,2\n2018,5\n"
    assert "year falls from row to row" in History(2, ("units",)).read(reversed_.encode(), "own.csv").notes[0]
    weeks = "".join(f"2020-{month:02}-01,{month}\n" for month in (1, 2, 3, 6))
    notes = History(2, ("units",)).read(f"day,units\n{weeks}".encode(), "own.csv").notes
    assert notes[0].startswith("own.csv: line 5 is 92 days, 0:00:00 after the row before")


def test_a_column_that_falls_may_be_asked_for() -> None:
    falling = steps("left,units\n9,1\n7,2\n2,5\n", ["left", "units"])
    assert falling.values[:, 0].tolist() == [9, 7, 2]
    assert falling.notes == ()
    assert "left falls from row to row" in steps("left,units\n9,1\n7,2\n2,5\n", ["units"]).notes[0]
