"""A shorter training than the experiment's own is not judged by the figure that the whole one has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.config.files import read, setting
from lab.config.listing import entries
from lab.config.shipped import shipped
from lab.configuration import load
from lab.data.base import DatasetInfo
from lab.report.review.review import review
from lab.runner import run
from lab.runs.reference import Reference, verdict_on
from lab.runs.select import Run

WHOLE = {"trainer.max_epochs": 3}
FIGURE = {"metric": "test/accuracy", "value": 0.1, "direction": "max", "dataset": "digits", "protocol": "ours"}
DIGITS = {
    "extends": "cnn-mnist",
    "data": {"name": "digits", "batch_size": 512, "val_size": 100},
    "model": {"encoder": {"stages": None, "hidden": []}},
    "trainer": {"max_epochs": 3},
    "reference": {**FIGURE, "source": "a paper"},
    "target": {**FIGURE, "why": "a test"},
}


@pytest.fixture
def digits() -> str:
    Path("digits-short.yaml").write_text(yaml.safe_dump(DIGITS))
    return "digits-short.yaml"


def verdicts(name: str, overrides: dict[str, Any]) -> tuple[str, str, str]:
    summary = run(name, overrides)
    return summary.verdict, summary.target_verdict, str(summary.reference["reason"])


def test_fewer_epochs_or_steps_do_not_compare(digits: str) -> None:
    assert verdicts(digits, {})[:2] == ("met", "met")
    reason = "the experiment trains for 3 epochs, this run for 1 epochs"
    assert verdicts(digits, {"trainer.max_epochs": 1}) == ("not-comparable", "not-comparable", reason)
    assert verdicts(digits, {"trainer.max_steps": 2})[:2] == ("not-comparable", "not-comparable")
    assert verdicts(digits, {"trainer.max_steps": 10_000})[:2] == ("met", "met"), "more steps than the epochs have"


def test_a_config_that_extends_and_shortens_does_not_compare(digits: str) -> None:
    Path("shorter.yaml").write_text("extends: digits-short.yaml\ntrainer: {max_epochs: 1}\n")
    summary = run("shorter.yaml")
    assert summary.verdict == "not-comparable"
    again = run(f"{summary.run_dir}/config.yaml")
    assert again.verdict == "not-comparable", "a repetition is as short"
    findings = {finding.kind: finding for finding in review([Run(summary)])}
    assert "trains for 3 epochs" in findings["not-comparable"].text, "the review asks about it"
    Path("own.yaml").write_text(yaml.safe_dump({"extends": "shorter.yaml", "reference": DIGITS["reference"]}))
    assert run("own.yaml").verdict == "met", "its own figure is for its own length"


def test_the_list_shows_only_figures_that_compare() -> None:
    for one in entries():
        if one.reference and (Path(shipped()[one.name]).is_file()):
            config = read(shipped()[one.name])
            published = Reference(**config["reference"])
            complete = all(setting(config, name) is not None for name in published.requires)
            verdict, _ = verdict_on(
                published,
                {published.metric: published.value},
                dataset=DatasetInfo(one.data or published.dataset),
                settings=config if complete else load(one.name).as_dict(),
                fast_dev_run=False,
                averaged=published.mean_over,
            )
            assert (verdict == "not-comparable") == bool(one.differs), f"{one.name}: name it in the YAML"
    assert any(one.differs for one in entries())
    assert "reference" in read(shipped()["vae-mnist"])
