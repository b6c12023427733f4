"""A VAE that never saw a class finds its images."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

import lab
from generative.autoencoders import AnomalyVAE
from generative.autoencoders.anomaly import auroc
from lab.data.batch import Batch
from lab.data.batches import TensorBatches
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import MLP
from lab.errors import ConfigError

SPEC = DataSpec(InputSpec((1, 4, 4)), Classes(3))


def model(**settings: Any) -> AnomalyVAE:
    torch.manual_seed(0)
    return AnomalyVAE(SPEC, encoder=partial(MLP, hidden=[8]), latent_dim=2, **settings)


def test_auroc_by_hand() -> None:
    anomalous = torch.tensor([True, False, True, False, False])
    assert auroc(anomalous, torch.tensor([5.0, 4.0, 2.0, 2.0, 1.0])) == pytest.approx(4.5 / 6)
    assert auroc(anomalous, torch.tensor([500.0, 100.0, 101.0, 99.0, 98.0])) == 1, "large scores do not saturate"


def test_loss_never_sees_the_class() -> None:
    vae = model(held_out=1)
    x = torch.bernoulli(torch.full((6, 1, 4, 4), 0.5))
    labels = torch.tensor([0, 1, 2, 1, 0, 2])
    other = x.clone()
    other[labels == 1] = 1 - other[labels == 1]
    torch.manual_seed(1)
    first = vae.losses(Batch(x, labels))["loss"]
    torch.manual_seed(1)
    assert torch.equal(first, vae.losses(Batch(other, labels))["loss"])


def test_batch_of_anomalies_alone_teaches_nothing() -> None:
    vae = model(held_out=1)
    vae.losses(Batch(torch.rand(3, 1, 4, 4), torch.ones(3, dtype=torch.int64)))["loss"].backward()  # type: ignore[no-untyped-call]
    assert all(part.grad is None or not part.grad.any() for part in vae.parameters())


def test_unknown_class_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="must be the number of a class, from 0 to 2, received 3"):
        model(held_out=3)


def test_anomalies_are_found_on_digits() -> None:
    settings = {
        "data.name": "digits",
        "data.batch_size": 32,
        "threads": 1,
        "model.encoder.hidden": [64],
        "model.latent_dim": 8,
    }
    run = lab.run("anomaly-mnist", settings | {"trainer.max_epochs": 8, "model.nll_samples": 20}, runs_dir="runs")
    assert (run.metrics["test/auroc_nll"] or 0) > 0.8
    assert (run.metrics["test/auroc_error"] or 0) > 0.8
    assert (run.metrics["test/nll_anomalies"] or 0) > (run.metrics["test/nll"] or 1e9)
    assert {"4 principal components", "32 principal components"} <= run.baselines.keys()


def test_held_out_classes_are_repeats() -> None:
    settings = {"data.name": "digits", "data.batch_size": 32, "threads": 1}
    runs = [
        lab.run("anomaly-mnist", settings | {"model.held_out": digit}, runs_dir="runs", fast_dev_run=True)
        for digit in (2, 5)
    ]
    assert all("model.held_out" in run.roles["repeats"] for run in runs)


class FewImages:
    """Data whose test images are of these classes."""

    def __init__(self, *classes: int) -> None:
        self.classes = torch.tensor(classes)

    def test(self, device: torch.device) -> TensorBatches:
        return TensorBatches(torch.rand(len(self.classes), 1, 4, 4), self.classes, batch_size=2, seed=None)


def test_both_kinds_must_be_tested() -> None:
    model(held_out=1).adapt(FewImages(0, 1, 2))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="there is no image of class 1 among them"):
        model(held_out=1).adapt(FewImages(0, 2))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="there is no class but 1 among them"):
        model(held_out=1).adapt(FewImages(1, 1, 1))  # type: ignore[arg-type]
