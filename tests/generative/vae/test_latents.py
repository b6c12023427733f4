"""What latents tell: known answers."""

from __future__ import annotations

import math

import pytest
import torch

import lab
from generative.judges.probe import few_labelled
from generative.vae.latents import information
from lab.data.spec import Classes, DataSpec
from tests.generative.boards import Boards

DIGITS = {"data.name": "digits", "threads": 1, "model.nll_samples": 5, "model.fid_samples": None}


def test_codes_that_name_their_image_have_all_information() -> None:
    mean = 10 * torch.eye(8)
    assert information(mean, torch.full_like(mean, -10.0)) == pytest.approx(math.log(8), abs=1e-3)


def test_codes_that_are_alike_have_none() -> None:
    assert information(torch.ones(8, 3), torch.zeros(8, 3)) == pytest.approx(0, abs=1e-5)


def test_two_far_clusters_have_one_bit() -> None:
    mean = torch.tensor([[-20.0]] * 50 + [[20.0]] * 50)
    assert information(mean, torch.zeros_like(mean)) == pytest.approx(math.log(2), abs=1e-3)


def test_probe_is_of_the_classes_that_occur() -> None:
    data = Boards(count=40)
    data.unchanged = data.test  # type: ignore[method-assign]
    data.prepare()
    data.spec = DataSpec(data.spec.input, Classes(3))
    known = few_labelled(data, torch.device("cpu"), 5)
    assert known
    assert known.labels.bincount().tolist() == [5, 5]
    data.labels = torch.zeros_like(data.labels)
    assert few_labelled(data, torch.device("cpu"), 5) is None


def test_vae_has_a_probe_beside_principal_components() -> None:
    run = lab.run("vae-mnist", DIGITS | {"trainer.max_epochs": 3, "model.latent_dim": 8}, runs_dir="runs")
    assert 0.3 < (run.metrics["test/probe_accuracy"] or 0) <= 1
    assert 0.3 < run.baselines["8 principal components"]["test/probe_accuracy"] <= 1
    assert 0 < (run.metrics["test/information"] or 0) <= math.log(1000)
