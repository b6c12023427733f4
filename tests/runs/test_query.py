"""Conditions on runs: their meaning, what is refused, and that nothing is executed."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.errors import ConfigError
from lab.runs.fields import everything, value
from lab.runs.query import DEPTH, KEYWORDS, OPERATORS, parse, where
from lab.runs.select import Run
from lab.runs.summary import Summary

RETURN = "eval/return_mean"
CONFIG = {
    "device": "auto",
    "agent": {"class_path": "agents.ppo.PPO", "init_args": {"gamma": 0.9, "hidden": [64, 64], "gsde": False}},
}


def run(seed: int = 0, metrics: dict[str, float | None] | None = None, folder: Path | None = None) -> Run:
    where = str(folder) if folder else "/nowhere"
    summary = Summary("ppo-a", "agents", f"id-{seed}", where, seed, "cpu", 1, {"name": "A-v0"}, {})
    summary.status, summary.durations, summary.metrics = "completed", {"train": 2.0}, metrics or {}
    if folder:
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return Run(summary)


@pytest.mark.parametrize(
    ("condition", "seeds"),
    [
        ("eval/return>400", [2, 3]),  # as the README has it: short for eval/return_mean
        ("eval/return_mean > 400 and seed<3", [2]),
        ("eval/return>1e2", [1, 2, 3]),
        ("seed=1 or seed==3", [1, 3]),
        ("not (seed=1 or seed=3)", [0, 2, 4]),
        ("not not seed=1", [1]),
        ("seed=0 or seed=1 and seed=2", [0]),  # `and` binds tighter
        ("(seed=0 or seed=1) and seed=1", [1]),
        ("NOT seed<=2 AND seed!=4", [3]),
        ("eval/return!=0", [1, 2, 3]),  # seed 4 has none: false, also for !=
        ("not eval/return>0", [0, 4]),
        ("eval/return>-0.5", [0, 1, 2, 3]),
        ("run~id-", [0, 1, 2, 3, 4]),
        ("run~*-3", [3]),
        ("run~-3", [3]),
        ("run~id", [0, 1, 2, 3, 4]),
        ("run~'i?-[12]'", [1, 2]),
        ("\"experiment\" = 'ppo-a'", [0, 1, 2, 3, 4]),
        ("agent.gamma=0.9", [0, 1, 2, 3, 4]),
        ("agent~PPO and agent.hidden=[64,64]", [0, 1, 2, 3, 4]),
        ("agent = agents.ppo.PPO", [0, 1, 2, 3, 4]),
        ("agent.gsde=true or fast_dev_run=true", []),
        ("agent.gsde=false and fast_dev_run = false", [0, 1, 2, 3, 4]),
        ("device=cpu and config.device=auto", [0, 1, 2, 3, 4]),
        ("durations.train=2 and train=2", [0, 1, 2, 3, 4]),
        ("disk<1MB and disk>1", [0, 1, 2, 3, 4]),
        ("error=memory", []),  # nobody has one, but everybody could
    ],
)
def test_conditions(condition: str, seeds: list[int], tmp_path: Path) -> None:
    runs = [run(seed, {RETURN: 210.0 * seed}, tmp_path / str(seed)) for seed in range(4)]
    runs.append(run(4, {}, tmp_path / "4"))
    assert [one.record.seed for one in where(condition, runs)] == seeds
    assert [one.record.seed for one in runs if parse(condition)(one)] == seeds


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("", "expected the name of a field, `not` or `(` at character 1"),
        ("seed", "expected one of < <= > >= = == != ~ at character 5"),
        ("seed 3", "expected one of < <= > >= = == != ~ at character 6"),
        ("seed <", "expected a number, a word or a text in quotes at character 7"),
        ("seed < and", "expected a number, a word or a text in quotes at character 8"),
        ("seed<3 && x=1", "expected `and`, `or` or the end at character 8 of the condition"),
        ("(seed<3", "expected `and`, `or` or `)` at character 8"),
        ("seed<3)", "expected `and`, `or` or the end at character 7"),
        ("0<seed<3", "expected the name of a field, `not` or `(` at character 1"),
        ("seed='3", "that quote is not closed"),
        ("seed ! 3", "at character 6"),
        ("(" * (DEPTH + 1) + "seed=3" + ")" * (DEPTH + 1), "at most 100 parentheses"),
        ("sed=3", "no chosen run has a field 'sed'; did you mean 'seed'?"),
        ("eval/retrun>3", "no chosen run has a field 'eval/retrun'; did you mean 'eval/return'?"),
        ("return>3", "there is eval/return_mean"),
        ("durations>3", "it is a group, with durations.train"),
        ("seed=three", "seed is a number (as 0), received 'three'"),
        ("durations.train>10min", "durations.train is in seconds (as 2.0), received '10min'"),
        ("train<2h", "train is in seconds (as 2.0), received '2h'"),
        ("seed<3,", "seed is a number (as 0), received '3,'"),
    ],
)
def test_refused(condition: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        where(condition, [run(0, {RETURN: 1.0}), run(1)])


def test_deep_conditions_are_read() -> None:
    assert where("(" * DEPTH + "seed=0" + ")" * DEPTH, [run()])
    assert where("not " * 10_000 + "seed=0", [run()])
    assert where(" or ".join(["seed=1"] * 10_000) + " or seed=0", [run()])
    assert not where("run=" + "[" * 100_000, [run()])


def test_nothing_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    touch = f"open({str(mark)!r}, 'w')"
    only = [run()]
    with pytest.raises(ConfigError):
        where(touch, only)
    for condition in (f'run="{touch}"', f'run~"{touch}"', f'run="$(touch {mark})"', f"not run='`touch {mark}`'"):
        assert where(condition, only) == ([] if condition.startswith("run") else only)
    assert not mark.exists()


FIELDS = {"seed": 2, "eval/return": 7.5, "a/b": -1.0, "missing/one": None}

Case = tuple[str, Callable[[], bool]]


def generated(source: random.Random, depth: int) -> Case:
    """A condition and its value by Python's own operators."""
    kind = source.choice(["compare", "compare", "and", "or", "not", "brackets"]) if depth else "compare"
    if kind == "compare":
        return _comparison(source)
    text, truth = generated(source, depth - 1)
    if kind == "not":
        return f"not ({text})", lambda: not truth()
    if kind == "brackets":
        return f"( {text} )", truth
    other_text, other = generated(source, depth - 1)
    if kind == "and":
        return f"({text}) and ({other_text})", lambda: truth() and other()
    return f"({text}) or ({other_text})", lambda: truth() or other()


def _comparison(source: random.Random) -> Case:
    name, found = source.choice(list(FIELDS.items()))
    sign, given = source.choice(OPERATORS[:-1]), source.choice([2, 7.5, -1.0, 0, 1e3, 3])
    pythons: dict[str, Callable[[Any, Any], bool]] = {
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
        "!=": lambda a, b: a != b,
    }
    compare: Callable[[Any, Any], bool] = pythons.get(sign, lambda a, b: a == b)
    space = " " * source.randrange(2)
    return f"{name}{space}{sign}{space}{given}", lambda: found is not None and compare(found, given)


def test_conditions_mean_what_python_means() -> None:
    one = run(2, {RETURN: 7.5, "a/b": -1.0, "missing/one": None})
    seen = set()
    for number in range(2000):
        text, truth = generated(random.Random(number), depth=4)
        assert parse(text)(one) == truth(), text
        seen.add(truth())
    assert seen == {True, False}


def test_and_binds_tighter() -> None:
    one, source = run(2, {RETURN: 7.5, "a/b": -1.0}), random.Random(0)
    for _ in range(500):
        parts = [[_comparison(source) for _ in range(source.randint(1, 3))] for _ in range(source.randint(1, 3))]
        text = " or ".join(" and ".join(text for text, _ in inner) for inner in parts)
        assert parse(text)(one) == any(all(truth() for _, truth in inner) for inner in parts), text


def test_refusals_name_a_place() -> None:
    pieces = [*KEYWORDS, *OPERATORS, *"()\"' \t!,.", "seed", "eval/return", "3", "-1e3", "é", "\x00", "\n", "ppo-*"]
    read = 0
    refused: list[tuple[str, str]] = []
    for number in range(5000):
        source = random.Random(number)
        text = "".join(source.choice([*pieces, source.choice(string.printable)]) for _ in range(source.randrange(12)))
        try:
            parse(text)(run(2, {RETURN: 7.5}))
            read += 1
        except ConfigError as error:
            refused.append((text, str(error)))
    for text, message in refused:
        place = re.search(r"at character (\d+) of the condition", message)
        assert place, message
        assert 1 <= int(place[1]) <= len(text) + 1
    assert 50 < read < 4500


def test_every_field_can_be_queried(tmp_path: Path) -> None:
    one = run(2, {RETURN: 7.5}, tmp_path / "run")
    for name, found in everything(one).items():
        assert value(one, name) == found or isinstance(found, dict), name
        if isinstance(found, int | float | str) and not isinstance(found, bool):
            assert where(f'"{name}" = "{found}"', [one]), name
