"""How long a training is: epochs, optimizer steps, accumulation, and going on for longer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lab.cli.main import main
from lab.errors import ConfigError
from lab.resuming import resume
from lab.runs.summary import Summary
from lab.saving.bitwise import run_differences
from lab.saving.checkpoint import load
from lab.saving.saver import rolling
from lab.tracking import read_journal
from lab.training.settings import Length, TrainerSettings

Train = Callable[..., Summary]
CONSTANT = {"trainer__log_every": 1}


def rows(run: Summary, axis: str) -> list[dict[str, Any]]:
    return [row for row in read_journal(run.dir / "metrics.jsonl") if row["axis"] == axis]


def weights(run: Summary, title: str = "final") -> torch.Tensor:
    state = load(run.dir / "checkpoints" / title).state
    return torch.cat([value.flatten().float() for value in state.values()])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (TrainerSettings(), Length(70, 10, 7)),
        (TrainerSettings(max_epochs=3), Length(21, 3, 7)),
        (TrainerSettings(max_steps=15), Length(15, 3, 7)),
        (TrainerSettings(max_steps=100), Length(100, 15, 7)),
        (TrainerSettings(max_steps=100, max_epochs=2), Length(14, 2, 7)),
        (TrainerSettings(max_epochs=3, accumulate=3), Length(9, 3, 3)),
        (TrainerSettings(max_steps=3, accumulate=7), Length(3, 3, 1)),
    ],
)
def test_length_in_steps_and_epochs(settings: TrainerSettings, expected: Length) -> None:
    assert settings.length(7) == expected


def test_training_ends_inside_an_epoch(train: Train) -> None:
    run = train(trainer__max_epochs=None, trainer__max_steps=13, trainer__schedule__kind="linear", **CONSTANT)
    assert [row["global_step"] for row in rows(run, "global_step")] == list(range(1, 14))
    assert [row["epoch"] for row in rows(run, "epoch")] == [1, 2], "it is validated where it ends"
    rates = [row["train/learning_rate"] for row in rows(run, "global_step")]
    assert rates[-1] == pytest.approx(0, abs=1e-9), "the schedule ends with the training"
    assert rates[0] == pytest.approx(0.05 * 12 / 13)


def test_accumulated_gradients_are_those_of_a_larger_batch(train: Train) -> None:
    """By plain SGD, whose step is the mean gradient; the order of the examples is the same."""
    sgd = {"trainer__optimizer": "SGD", "trainer__optimizer__lr": 0.1}
    large = train(data__batch_size=20, **sgd)
    small = train(data__batch_size=5, trainer__accumulate=4, **sgd)
    assert torch.allclose(weights(large), weights(small), atol=1e-5)
    other = train(data__batch_size=5, **sgd)
    assert not torch.allclose(weights(large), weights(other), atol=1e-2)


@pytest.mark.parametrize("every", [3, 4])
def test_accumulation_leaves_the_logged_loss(train: Train, every: int) -> None:
    """It is that of the last batch of each step, as of each batch in a training that changes next to nothing."""
    still = {"trainer__optimizer__lr": 1e-12, "trainer__max_epochs": 1, **CONSTANT}
    each = [row["train/loss"] for row in rows(train(**still), "global_step")]
    accumulated = [row["train/loss"] for row in rows(train(trainer__accumulate=every, **still), "global_step")]
    assert accumulated == pytest.approx([*each[every - 1 :: every], each[-1]], rel=1e-4)


def test_steps_count_accumulations(train: Train) -> None:
    run = train(data__batch_size=10, trainer__accumulate=4, trainer__max_epochs=2, checkpoint__steps=1, **CONSTANT)
    assert [row["global_step"] for row in rows(run, "global_step")] == [1, 2, 3, 4, 5, 6], "10 batches are 3 steps"
    assert [path.name for path in rolling(run.dir / "checkpoints")] == ["step-0000000006", "step-0000000005"]


@pytest.mark.parametrize("more", [7, 10, 17])
def test_more_steps_continue_inside_the_epoch(train: Train, more: int) -> None:
    """Under a constant rate a run of 13 steps that goes on is the longer run, except for the validation at its end."""
    short = train(trainer__max_epochs=None, trainer__max_steps=13, **CONSTANT)
    longer = resume(short.dir, {"trainer.max_steps": 13 + more})
    whole = train(trainer__max_epochs=None, trainer__max_steps=13 + more, **CONSTANT)
    assert torch.equal(weights(longer), weights(whole))
    assert longer.metrics == whole.metrics
    assert rows_without_time(longer, "global_step") == rows_without_time(whole, "global_step")


def rows_without_time(run: Summary, axis: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "time"} for row in rows(run, axis)]


def test_fewer_steps_are_refused(train: Train) -> None:
    run = train(trainer__max_epochs=None, trainer__max_steps=13)
    with pytest.raises(
        ConfigError, match="max_steps can only grow when a run is resumed: it must be at least 13, received 12"
    ):
        resume(run.dir, {"trainer.max_steps": 12})


def test_a_new_limit_below_the_checkpoint_is_refused(train: Train) -> None:
    run = train(trainer__max_epochs=2)
    with pytest.raises(ConfigError, match=r"training would end at step 7, .* is at step 20 already"):
        resume(run.dir, {"trainer.max_steps": 7})


def test_a_complete_run_names_the_limit_that_it_has(train: Train) -> None:
    run = train(trainer__max_epochs=None, trainer__max_steps=3)
    with pytest.raises(ConfigError, match=r"to train it longer, give a larger --trainer\.max_steps=N"):
        resume(run.dir)


def test_early_stopping_takes_more_patience_than_length(train: Train) -> None:
    stopped = train(trainer__early_stopping__patience=1, trainer__optimizer__lr=0.5, trainer__max_epochs=50)
    sentence = r"early stopping ended this run: .* a larger --trainer\.early_stopping\.patience=N and --force"
    with pytest.raises(ConfigError, match=f"is complete; {sentence}"):
        resume(stopped.dir)
    with pytest.raises(ConfigError, match=sentence):
        resume(stopped.dir, {"trainer.max_epochs": 60})
    assert list(stopped.dir.parent.iterdir()) == [stopped.dir]
    longer = resume(stopped.dir, {"trainer.max_epochs": 60, "trainer.early_stopping.patience": 3}, force=True)
    assert len(rows(longer, "epoch")) >= len(rows(stopped, "epoch")) + 2


def test_steps_and_epochs_are_the_same_length(train: Train) -> None:
    epochs = train(trainer__max_epochs=3, trainer__schedule__kind="cosine")
    steps = train(trainer__max_epochs=None, trainer__max_steps=30, trainer__schedule__kind="cosine")
    assert list(run_differences(epochs.dir, steps.dir)) == []


def test_gans_refuse_to_accumulate(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "gan-mnist", "--data.name=digits", "--trainer.accumulate=2", "--runs-dir", "runs"]
    assert main(words) == 2
    assert (
        "trainer.accumulate must be 1 for GAN, which calls its optimizers itself; received 2" in capsys.readouterr().err
    )
