"""Settings are completed and checked once, and with the same results as where jsonargparse does so at each depth."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from jsonargparse import ArgumentParser

from lab.config import parser
from lab.configuration import load
from lab.errors import ConfigError

CASES = [
    ("ppo-cartpole", ["--agent.encoder=MLP", "--agent.encoder.hidden=[8, 8]", "--gamma=0.9"]),
    ("vae-mnist", ["--trainer.optimizer=torch.optim.AdamW"]),
    ("vae-mnist", ["--reference=null", "--trainer.ema.decay=0.5"]),
    ("vae-mnist", {"description": "10", "data.path": "here"}),
    ("cnn-mnist", ["--model.encoder.channels=[8, 0]"]),
    ("cnn-mnist", ["--model.encoder=lab.encoders.MLP", "--model.encoder.kernel=3"]),
    ("cnn-mnist", ["--trainer=null"]),
    ("hvae-mnist", ["--model=null"]),
    ("hvae-mnist", []),
    ("dqn-cartpole-pixels", []),
]


def result(name: str, overrides: Any) -> Any:
    try:
        config = load(name, overrides)
    except ConfigError as error:
        return str(error)
    return repr((config.as_dict(), config.notes, config.values))


@pytest.mark.parametrize(("name", "overrides"), CASES)
def test_reading_once_changes_nothing(name: str, overrides: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    once = result(name, overrides)
    monkeypatch.setattr(parser, "READS_ONCE", False)
    assert result(name, overrides) == once


def test_nested_settings_are_read_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a version of jsonargparse that was not tried, this fails: see that `Parser` suits it, then name it there."""
    calls: Counter[bool] = Counter()
    read = ArgumentParser.parse_object

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[parser.READS_ONCE] += 1
        return read(*args, **kwargs)

    monkeypatch.setattr(ArgumentParser, "parse_object", counted)
    load("hvae-mnist")
    monkeypatch.setattr(parser, "READS_ONCE", False)
    load("hvae-mnist")
    assert 0 < 2 * calls[True] < calls[False]


def test_what_is_read_is_nobody_elses() -> None:
    first, second = load("vae-mnist"), load("vae-mnist")
    first.values["model.init_args.encoder.init_args.hidden"].append(3)
    assert second.as_dict() == load("vae-mnist").as_dict() != first.as_dict()
