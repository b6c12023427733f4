"""A csv file is read as what it is, and what is wrong with one is said in a sentence that names the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.data.files.csv import parse_sheet
from lab.data.files.text import decoded
from lab.data.own.sheets import read_sheet
from lab.errors import ConfigError, DataError


def test_delimiters_are_recognised() -> None:
    expected = [["1.5", "x, y"], ["2", "z"]]
    for text in (
        'a,b\n1.5,"x, y"\n2,z\n',
        "a;b\n1.5;x, y\n2;z\n",
        "a\tb\n1.5\tx, y\n2\tz\n",
        'a, b\n1.5, "x, y"\n2, z\n',
    ):
        sheet = parse_sheet(text.encode(), "t.csv")
        assert (sheet.names, sheet.rows) == (("a", "b"), expected), text


def test_quotes_in_two_files_side_by_side_stay() -> None:
    sheet = parse_sheet(b'source\ttarget\n"Guten Tag\t"Good day\nein "Hund"\ta "dog"\n', "t.tsv")
    assert sheet.rows == [['"Guten Tag', '"Good day'], ['ein "Hund"', 'a "dog"']]
    assert "quotes in t.tsv are part of its cells" in sheet.notes[0]
    closed = parse_sheet(b'a\tb\n"x\ty"\t2\n', "t.tsv")
    assert (closed.rows, closed.notes) == ([["x\ty", "2"]], ())


def test_decimal_commas_are_numbers() -> None:
    sheet = parse_sheet(b"a;b\n1,5;2\n-0,25;3,0\n", "t.csv")
    assert [sheet.number(cell) for row in sheet.rows for cell in row] == [1.5, 2, -0.25, 3]
    assert parse_sheet(b'a,b\n"1,5",2\n', "t.csv").number("1,5") is None


def test_doubtful_commas_are_told() -> None:
    sheet = parse_sheet(b"sales;rate\n1,234;0,125\n12,500;1,5\n", "t.csv")
    assert "1,234 is 1.234. Look whether that is right in sales" in sheet.notes[0]
    for text in (b"a;b\n1,5;2\n1,234;3\n", b"a;b\n0,234;2\n", b'a,b\n"1,234",2\n'):
        assert parse_sheet(text, "t.csv").notes == ()


def test_lines_are_those_of_the_file() -> None:
    sheet = parse_sheet(b'\xef\xbb\xbfa,b\r\n\r\n1,"two\r\nlines"\r\n3,4\r\n', "t.csv")
    assert (sheet.names, sheet.lines) == (("a", "b"), [3, 5])
    assert sheet.rows[0][1] == "two\r\nlines"


def test_headless_files_have_numbered_columns() -> None:
    sheet = parse_sheet(b"5.1,3.5,setosa\n4.9,3.0,setosa\n", "iris.data")
    assert sheet.names == ("column 1", "column 2", "column 3")
    assert len(sheet.rows) == 2
    assert "is read as data" in sheet.notes[0]
    assert parse_sheet(b"size,2020\n3,4\n", "t.csv").names == ("size", "2020")
    years = parse_sheet(b"day,2019,2020\n2026-01-01,3,4\n2026-01-02,5,6\n", "t.csv")
    assert years.names == ("day", "2019", "2020"), "a text above dates"
    assert parse_sheet(b"2026-01-01,3\n2026-01-02,5\n", "t.csv").headless
    assert parse_sheet(b"0,1\n3,4\n", "t.csv").names == ("0", "1"), "pandas numbers columns without names"
    assert parse_sheet(b",a\n0,x\n", "t.csv").names == ("column 1", "a"), "pandas leaves the index without a name"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "t.csv is empty"),
        (b" \n\n", "t.csv is empty"),
        (b"a,b\n", "t.csv has a header and no rows"),
        (b",,\n,,\n", "t.csv has no cell with anything in it"),
        (b"a,b\n1,2\n3\n", "t.csv: line 3 has 1 cell, but the first line has 2"),
        (b'a,b\n"1\n",2\n3,4,5\n', "t.csv: line 4 has 3 cells, but the first line has 2"),
        (b"a,b,a\n1,2,3\n", "t.csv has two columns named 'a'; give each a name of its own"),
        (b'a,b\n1,2\n"3,4\n', "t.csv cannot be read as a csv from line 3 on: a quote is not closed"),
        (b"a,b\n1,\xe4\n", "t.csv is not UTF-8: line 2 has the byte 0xE4; save it as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "t.csv is not UTF-8: line 1 has the byte 0xFF; save it as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), "t.csv is not text: line 1 has a byte 0; expected a csv as UTF-8"),
        (b"PK\x03\x04rest", "t.csv is a spreadsheet or a zip archive; expected a csv as UTF-8"),
    ],
)
def test_damage_is_one_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_sheet(content, "t.csv")
    assert str(caught.value) == sentence


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age,size\n1,2\n")
    sheet = read_sheet(tmp_path / "t.csv")
    assert sheet.place("data.target", "size") == 1
    with pytest.raises(ConfigError, match=r"a column of t\.csv \(age, size\), received 'sise'; did you mean 'size'"):
        sheet.place("data.target", "sise")
    with pytest.raises(ConfigError, match=r"no column age; its columns are column 1, column 2; its first line has num"):
        parse_sheet(b"1,2\n3,4\n", "t.csv").require(["age"])
    with pytest.raises(ConfigError, match=r"expected a csv file, but .* is a folder of csv files"):
        read_sheet(tmp_path)


def test_byte_order_mark_is_no_text() -> None:
    assert decoded("\ufeffé".encode(), "a.txt") == "é"
    with pytest.raises(DataError, match=r"a\.txt is not UTF-8: line 2 has the byte 0xE9"):
        decoded(b"\xef\xbb\xbfa\n\xe9", "a.txt")


def test_rows_without_values_keep_their_number() -> None:
    sheet = parse_sheet(b"a,b\n1,2\n,\n\n5,6\n,\n", "t.csv")
    assert (sheet.rows, sheet.empty) == ([["1", "2"], ["5", "6"]], (3,))
    assert sheet.labels() == [{"row": 1}, {"row": 3}]
    assert sheet.notes == ("empty rows of t.csv are left out: line 3",)
    for gap in ('""', ""):
        assert parse_sheet(f"a\n1\n{gap}\n3\n4\n\n".encode(), "t.csv").empty == (3,), "a missing value of one column"
    assert parse_sheet(b"a\n\n1\n\n2\n\n3\n\n", "t.csv").empty == (), "lines that end twice"
