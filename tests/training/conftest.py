from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import lab
from lab.runs.summary import Summary

CONFIG = """
experiment: lab.training.Training
model: {class_path: tests.training.models.Regression}
data: {class_path: tests.training.models.Line}
trainer: {max_epochs: 4, optimizer: {class_path: torch.optim.Adam, init_args: {lr: 0.05}}}
threads: 1
device: cpu
"""


@pytest.fixture
def train(tmp_path: Any) -> Callable[..., Summary]:
    """Trains the small regression with settings by dotted name; returns the summary."""
    (tmp_path / "line.yaml").write_text(CONFIG)

    def run(**overrides: Any) -> Summary:
        settings = {name.replace("__", "."): value for name, value in overrides.items()}
        return lab.run(str(tmp_path / "line.yaml"), settings, runs_dir="runs")

    return run
