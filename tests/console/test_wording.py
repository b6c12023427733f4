"""Numbers, sizes, durations, paths and lists as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.cli.options import seeds
from lab.console.plain import plain
from lab.console.wording import count, duration, interval, near, ranges, shown, size, some, told, word


def test_counts_have_their_noun() -> None:
    assert [count(n, "run") for n in (0, 1, 2, 1500)] == ["0 runs", "1 run", "2 runs", "1,500 runs"]


def test_durations_and_sizes() -> None:
    assert [duration(seconds) for seconds in (0.04, 7.13, 59.9, 60, 125.9)] == [
        *("0.0 s", "7.1 s", "59.9 s", "1 min 00 s", "2 min 05 s")
    ]
    assert [size(taken) for taken in (1, 999, 7_100_000)] == ["1 byte", "999 bytes", "7.1 MB"]


@pytest.mark.parametrize("numbers", [[3], [0, 1, 2, 3, 4, 7], [9, 2, 3, 2], range(100)])
def test_ranges_are_read_back(numbers: list[int]) -> None:
    assert seeds(ranges(numbers)) == sorted(set(numbers))


def test_ranges_are_short() -> None:
    assert ranges([4, 0, 1, 2, 3, 7, 7]) == "0-4,7"
    assert ranges([]) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e6, "1,000,000"),
        (0.12345678, "0.123457"),
        (True, "True"),
        ([1, 2, 3, 4, 5], "1, 2, 3, and 2 more"),
        ({}, "none"),
        ({"class_path": "lab.encoders.MLP", "init_args": {"hidden": [3]}}, "MLP"),
        ({"a": 1, "b": [2.5]}, "a=1, b=2.5"),
        ("two\n  lines", "two lines"),
    ],
)
def test_values_are_short_text(value: Any, text: str) -> None:
    assert shown(value) == text
    assert len(shown("x" * 500)) == 60


def test_lists_say_what_is_left_out() -> None:
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some(["a", "b", "c", "d"], "; ", most=2) == "a; b; and 2 more"
    assert told({0: -71.18, 3: 5.0}) == "-71.18 on seed 0, 5 on seed 3"


def test_paths_are_given_the_short_way() -> None:
    assert near(Path.cwd() / "runs" / "a") == "runs/a"
    assert near(Path("/a")) == "/a"


def test_names_stay_one_word_of_a_command() -> None:
    assert [word(name) for name in ("ppo", "a b", "it's")] == ["ppo", "'a b'", "'it'\"'\"'s'"]


def test_intervals() -> None:
    assert interval(1.0, 2.123456) == "1 to 2.1235"
    assert interval(None, None) == "-"


def test_control_characters_are_escaped() -> None:
    assert plain("\x1b[31mred\x07") == "\\x1b[31mred\\x07"
