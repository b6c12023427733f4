"""A run that is killed after its last optimizer step, before its figures are written, ends as it would have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab.resuming import resume
from lab.runs.summary import Summary, local_runs, runs_folder
from lab.saving.bitwise import run_differences
from lab.training.training import Training

Train = Callable[..., Summary]
WAYS: dict[str, dict[str, Any]] = {
    "at the end of an epoch": {},
    "inside an epoch": {"trainer__max_epochs": None, "trainer__max_steps": 13},
    "inside an accumulated epoch": {"trainer__max_epochs": None, "trainer__max_steps": 8, "trainer__accumulate": 4},
    "by early stopping": {
        "trainer__max_epochs": 50,
        "trainer__optimizer__lr": 0.5,
        "trainer__early_stopping__patience": 1,
    },
    "with averaged weights": {"trainer__ema__decay": 0.8, "trainer__max_epochs": None, "trainer__max_steps": 13},
    "with the best weights": {"trainer__keep_best__metric": "val/absolute", "trainer__optimizer__lr": 0.5},
    "with statistics of gradients": {"trainer__statistics_every": 7},
}


class Killed(BaseException):
    """Stands for SIGKILL."""


OFTEN = ("by early stopping", "with the best weights", "inside an accumulated epoch", "with statistics of gradients")
"""The ends of `make test`; `make faults` has all."""


@pytest.mark.parametrize(
    "settings",
    [pytest.param(one, marks=() if name in OFTEN else pytest.mark.slow, id=name) for name, one in WAYS.items()],
)
def test_killed_before_the_evaluation(train: Train, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = train(**settings)

    def kill(self: Training, context: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Training, "evaluate", kill)
        with pytest.raises(Killed):
            train(**settings)
    (killed,) = (run for run in local_runs(runs_folder("runs")) if run.dir != undisturbed.dir)
    assert list(run_differences(undisturbed.dir, resume(killed.dir).dir)) == []
