"""Error rates of a word in noise: at which threshold, in which noise, and of what."""

from __future__ import annotations

import pytest
import torch

import lab
from lab.data.spoken.mixed import KINDS, Condition
from supervised.screening.in_noise import equal_error, error_rates
from supervised.screening.noise_figures import rates_by_kind, table

SMALL = {
    "data.name": "tones",
    "data.train_size": 64,
    "data.val_size": 30,
    "data.test_size": 90,
    "data.batch_size": 16,
    "model.encoder.encoder.channels": [8, 8],
    "trainer.max_epochs": 1,
    "threads": 1,
}


def test_equal_error_of_normal_scores() -> None:
    """Of two normal distributions at a distance of 2 it is the share beyond 1."""
    generator = torch.Generator().manual_seed(0)
    truth = (torch.rand(40_000, generator=generator) < 0.2).long()
    scores = torch.sigmoid(torch.randn(40_000, generator=generator) + 2 * truth)
    assert equal_error(scores, truth) == pytest.approx(0.1587, abs=0.006)
    assert equal_error(truth.float(), truth) == 0
    assert equal_error(scores[:5], torch.ones(5).long()) is None
    assert equal_error(scores[:0], truth[:0]) is None


def test_rates_are_of_their_noise() -> None:
    """Scores are right in white noise and wrong in the others, at 20 decibels and not at 0."""
    conditions = [Condition(kind, ratio) for ratio in (0.0, 20.0) for kind in KINDS] * 10
    truth = torch.arange(10).repeat_interleave(6) % 2
    easy = torch.tensor([one.kind == "white" or one.ratio == 20 for one in conditions])
    scores = torch.where(easy, truth, 1 - truth).float()
    rates = rates_by_kind(scores, truth, conditions)
    assert rates["white"] == {0.0: 0.0, 20.0: 0.0}
    assert rates["babble"] == {0.0: 1.0, 20.0: 0.0}
    assert error_rates(scores, truth, conditions)["eer_20db"] == 0.0
    assert error_rates(scores, truth, conditions)["eer_0db"] == pytest.approx(2 / 3, abs=0.2)
    assert set(error_rates(scores[:6], truth[:6], conditions)) == set()  # one recording alone
    lines = table(rates).splitlines()
    assert lines[1].split() == ["noise", "0", "dB", "20", "dB"]
    assert lines[2].split() == ["white", "0.00", "0.00"]


def test_run_tells_the_rates_by_noise() -> None:
    run = lab.run("wake-word", SMALL, runs_dir="runs")
    names = {"test/eer", *(f"test/eer_{ratio}db" for ratio in (0, 5, 10, 15, 20))}
    assert names <= set(run.metrics)
    assert set(run.baselines) == {"mean energy", "logistic regression on mel bands"}
    assert all(set(one) == names for one in run.baselines.values())
    media = sorted(path.name for path in (run.dir / "media").iterdir())
    for name in ("detection", "error_rates", "roc", "spectrograms", "sounds-7-in-babble-at-0-dB"):
        assert any(one.startswith(name) for one in media), media
