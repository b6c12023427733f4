"""A linear probe measures the features of a frozen encoder, and its baselines are fitted on the same labels."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from sklearn.linear_model import LogisticRegression

import lab
from lab.data import Images, Sentences
from lab.encoders import MLP, Pretrained, TextConv
from lab.encoders.files import load_encoder, plain_state, save_encoder
from lab.errors import ConfigError
from supervised.probe import LinearProbe
from supervised.representation.few import encoded

CPU = torch.device("cpu")
DIGITS = {"data.name": "digits", "data.train_size": 100, "data.batch_size": 20, "threads": 1}
SHORT = {"data.name": "digits", "trainer.max_steps": 100, "trainer.optimizer.init_args.lr": 3e-3, "threads": 1}
SHORT |= {"model.encoder.hidden": [64], "model.latent_dim": 10, "model.nll_samples": 1, "model.fid_samples": None}


def digits(**settings: int) -> Images:
    data = Images(name="digits", batch_size=50, val_size=100, **settings)  # type: ignore[arg-type]
    data.prepare()
    return data


def trained_on(data: Images) -> torch.Tensor:
    return torch.stack(sorted((x for batch, _ in data.train(CPU, 0) for x in batch), key=lambda x: x.sum().item()))


def test_probe_records_its_source() -> None:
    """Without a VAE, it names the command that makes one. With one, both record it, and the encoder is unchanged."""
    with pytest.raises(ConfigError, match=r"`lab run vae-mnist` makes it, or add --make-needed"):
        lab.run("probe-mnist", DIGITS, runs_dir="runs")
    source = lab.run("vae-mnist", SHORT, runs_dir="runs")
    run = lab.run("probe-mnist", DIGITS | {"trainer.max_epochs": 40}, runs_dir="runs")
    assert (run.metrics["test/accuracy"] or 0) > 0.5
    assert "logistic regression on random features" in run.baselines
    assert [need["run_id"] for need in run.needs] == [source.run_id]
    assert run.run_id in (source.dir / "used_by.jsonl").read_text()
    before, after = (plain_state(load_encoder(one.dir / "artifacts/encoder")) for one in (source, run))
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_probe_needs_a_frozen_encoder() -> None:
    with pytest.raises(ConfigError, match="needs an encoder that does not change, received MLP without freeze"):
        LinearProbe(digits().spec, encoder=partial(MLP, hidden=[4]))


def test_baselines_are_logistic_regressions(tmp_path: Path) -> None:
    data = digits(train_size=100)
    save_encoder(MLP(data.spec.require_one_input("this test"), hidden=[16]), tmp_path)
    found = LinearProbe(data.spec, encoder=Pretrained(str(tmp_path), freeze=True)).baselines(data)
    (x, y), (x_test, y_test) = (
        (torch.cat([images.flatten(1) for images, _ in split]), torch.cat([labels for _, labels in split]))
        for split in (list(data.train(CPU, 0)), list(data.test(CPU)))  # each iteration shuffles anew
    )
    x, x_test = ((part - x.mean()) / x.std() for part in (x, x_test))
    scores = [LogisticRegression(C=c, max_iter=1000, tol=1e-3).fit(x, y).score(x_test, y_test) for c in (1, 0.1, 0.01)]
    inputs, random = (metrics["test/accuracy"] for metrics in found.values())
    assert any(inputs == pytest.approx(score) for score in scores)
    assert 0.2 < random < inputs


def test_padding_of_texts_is_left_out(tmp_path: Path) -> None:
    data = Sentences(name="templates", batch_size=50)
    data.prepare()
    encoder = TextConv(data.spec.require_one_input("this test"), embedding=4, filters=4, pool="mean").eval()
    batches = list(data.test(CPU))
    found = encoded(batches, encoder)
    assert torch.equal(found.x, torch.cat([encoder(one.inputs, one.mask) for one in batches]))
    assert not torch.equal(found.x, torch.cat([encoder(one.inputs) for one in batches]))
    save_encoder(encoder, tmp_path)
    baselines = LinearProbe(data.spec, encoder=Pretrained(str(tmp_path), freeze=True)).baselines(data)
    assert list(baselines)[-1] == "logistic regression on random features"
    assert "naive Bayes" in baselines


def test_labels_are_balanced_and_follow_the_subset() -> None:
    data, same, other = (digits(train_size=100, subset=subset) for subset in (0, 0, 1))
    labels = torch.cat([labels for _, labels in data.train(CPU, 0)])
    assert torch.bincount(labels).tolist() == [10] * 10
    assert torch.equal(trained_on(data), trained_on(same))
    assert not torch.equal(trained_on(data), trained_on(other))
    assert len(trained_on(data)) == 100


@pytest.mark.parametrize("size", [101, 2000])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=r"data\.train_size must be a multiple of the 10 classes and at most 1,"):
        digits(train_size=size)
