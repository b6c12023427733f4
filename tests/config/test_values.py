"""Values keep their type from YAML, Python and the command line to the settings, and back through `config.yaml`."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from lab.config.values import Dumper, Loader, Words, dump, read_word, word
from lab.configuration import load
from lab.encoders import MLP
from lab.errors import ConfigError
from lab.saving import checkpoint
from lab.training.optimization import Schedule

TEXTS = ["off", "10", "007", "1e3", "1e6", ".5", "None", "null", "~", "", "a: b", "[x]", "{a}", "2024-01-01", "12:30"]
TEXTS += ["=", "<<", "0x1f", "1_000", "y", "inf", ".nan", "-", "- a", "#", "'q'", '"q"', "True", "a:", " a ", "1e-05"]
NUMBERS = [1e6, 1e-5, 1e22, math.inf, -math.inf, 0.1, 3, True, None, {0: -1.0, 1: 5.0}, [1, [2]], {}, []]
GIVEN: dict[str, Any] = {"texts": TEXTS, "numbers": NUMBERS, **{f"t{i}": text for i, text in enumerate(TEXTS)}}


def kwargs(config: Any) -> Any:
    """The settings that the environment gets."""
    return config.build().env.kwargs


def exact(value: Any) -> Any:
    """The value with the types in it: 1 is neither 1.0 nor True, nor a text a kind of text."""
    if isinstance(value, dict):
        return {(type(key), key): exact(one) for key, one in value.items()}
    return [exact(one) for one in value] if isinstance(value, list) else (type(value), value)


def test_from_yaml_and_back() -> None:
    Path("mine.yaml").write_text(dump({"extends": "ppo-cartpole", "env": {"kwargs": GIVEN}}))
    config = load("mine.yaml")
    assert exact(kwargs(config)) == exact(GIVEN)
    Path("config.yaml").write_text(dump(config.as_dict()))
    assert exact(kwargs(load("config.yaml"))) == exact(GIVEN)
    assert exact(yaml.safe_load(Path("config.yaml").read_text())["env"]["kwargs"]) == exact(GIVEN)


def test_from_python() -> None:
    assert exact(kwargs(load("ppo-cartpole", {"env.kwargs": GIVEN}))) == exact(GIVEN)
    single = {f"env.kwargs.{name}": value for name, value in GIVEN.items()}
    assert exact(kwargs(load("ppo-cartpole", single))) == exact(GIVEN)


def test_from_the_command_line() -> None:
    words = [f"--env.kwargs.{name}={word(value)}" for name, value in GIVEN.items()]
    assert exact(kwargs(load("ppo-cartpole", words))) == exact(GIVEN)
    typed = ["--env.kwargs.a=10", '--env.kwargs.b="10"', "--env.kwargs.c='off'", "--env.kwargs.d=fast"]
    assert kwargs(load("ppo-cartpole", typed)) == {"a": 10, "b": "10", "c": "off", "d": "fast"}


def test_words_of_sweeps() -> None:
    """W&B's agents write Python's None."""
    words = ["--env.kwargs.a=None", "--env.kwargs.b=[None, 'None', True]"]
    assert kwargs(load("ppo-cartpole", words)) == {"a": None, "b": [None, "None", True]}


@pytest.mark.parametrize("text", ["1e6", "1.0e6", "1000000"])
def test_whole_numbers(text: str) -> None:
    assert load("ppo-cartpole", [f"--total_timesteps={text}"]).as_dict()["total_timesteps"] == 1_000_000
    with pytest.raises(ConfigError, match="total_timesteps must be a"):
        load("ppo-cartpole", [f"--total_timesteps={text}.5"])


@pytest.mark.parametrize("kind", [Loader, Words, yaml.SafeLoader])
def test_every_reader_reads_the_same(kind: Any) -> None:
    for value in (*TEXTS, *NUMBERS):
        assert exact(yaml.load(dump({"k": value}), Loader=kind)["k"]) == exact(value)  # noqa: S506
    assert issubclass(Dumper, yaml.Dumper) or hasattr(Dumper, "yaml_implicit_resolvers")


def test_numbers_as_people_write_them() -> None:
    Path("mine.yaml").write_text(
        "extends: ppo-cartpole\nenv: {kwargs: {a: 1e6, b: 2024-01-01}}\ntotal_timesteps: 1e6\n"
    )
    config = load("mine.yaml")
    assert kwargs(config) == {"a": 1e6, "b": "2024-01-01"}
    assert config.as_dict()["total_timesteps"] == 1_000_000


def test_a_checkpoint_keeps_settings(tmp_path: Path) -> None:
    checkpoint.publish(tmp_path / "step", {}, {"config": GIVEN})
    assert exact(checkpoint.load(tmp_path / "step").meta["config"]) == exact(GIVEN)


@pytest.mark.parametrize(
    ("overrides", "key", "expected"),
    [
        ({"agent.encoder": MLP}, "agent.encoder.class_path", "lab.encoders.MLP"),
        ({"agent.encoder": partial(MLP, hidden=[7])}, "agent.encoder.init_args.hidden", [7]),
        ({"agent.net_arch": np.array([32, 32])}, "agent.net_arch", [32, 32]),
        ({"agent.net_arch": range(2, 4)}, "agent.net_arch", [2, 3]),
        ({"agent.gamma": np.float32(0.5)}, "agent.gamma", 0.5),
        ({"device": torch.device("cpu")}, "device", "cpu"),
        ({"agent.learning_rate_schedule": Schedule(kind="linear")}, "agent.learning_rate_schedule.kind", "linear"),
        ({"env.kwargs": {"table": np.arange(3)}}, "env.kwargs.table", [0, 1, 2]),
        ({"env.kwargs.level": "10"}, "env.kwargs.level", "10"),
    ],
)
def test_python_objects(overrides: dict[str, Any], key: str, expected: Any) -> None:
    value: Any = load("ppo-cartpole", overrides).as_dict()
    for part in key.split("."):
        value = value[part] if part in value else value["init_args"][part]
    assert value == expected


def test_impossible_objects_are_named() -> None:
    with pytest.raises(ConfigError, match=r"env\.kwargs\.seen must be made of numbers, texts, .* received a set"):
        load("ppo-cartpole", {"env.kwargs": {"seen": {1}}})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seed: 1\nagent: {}\nseed: 2\n", "not valid YAML at line 4: 'seed' stands there a second time"),
        ("env: {kwargs: {a: !!binary aGk=}}\n", "env.kwargs.a in .* is bytes"),
        ("env: {kwargs: {? [1, 2] : 3}}\n", "keys in env.kwargs|valid YAML"),
    ],
)
def test_what_no_config_holds(text: str, sentence: str) -> None:
    Path("mine.yaml").write_text(f"extends: ppo-cartpole\n{text}")
    with pytest.raises(ConfigError, match=sentence):
        load("mine.yaml")


def test_what_is_merged_may_merge_and_change_other_keys() -> None:
    Path("mine.yaml").write_text(
        "extends: ppo-cartpole\nenv: {kwargs: {a: &a {size: 1}, b: {c: &c {<<: *a, size: 2}}, d: {<<: *c, more: 3}}}\n"
    )
    kwargs = load("mine.yaml").as_dict()["env"]["kwargs"]
    assert kwargs == {"a": {"size": 1}, "b": {"c": {"size": 2}}, "d": {"size": 2, "more": 3}}


def test_words_come_back() -> None:
    for value in (*TEXTS, *NUMBERS):
        assert read_word(word(value)) == value


@pytest.mark.parametrize("text", ["#ff0000", "see #4", "&a", "---", "*b", "!x"])
def test_words_have_no_comments_or_anchors(text: str) -> None:
    assert kwargs(load("ppo-cartpole", [f"--env.kwargs.note={text}"]))["note"] == text
    assert kwargs(load("ppo-cartpole", {"env.kwargs.note": text}))["note"] == text
