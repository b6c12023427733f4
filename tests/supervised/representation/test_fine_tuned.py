"""Two networks side by side: one from an encoder that was trained before, one from random weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from lab.data import Batch
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import MLP, Pretrained
from lab.encoders.files import save_encoder
from lab.errors import ConfigError
from supervised.representation import FineTuned

SPEC = DataSpec(InputSpec((1, 4, 4)), Classes(3))


def tuned(folder: Path, seed: int = 0, **settings: float) -> FineTuned:
    with torch.random.fork_rng():
        torch.manual_seed(99)
        save_encoder(MLP(SPEC.require_one_input("this test"), hidden=[8]), folder)
    torch.manual_seed(seed)
    return FineTuned(SPEC, encoder=Pretrained(str(folder)), **settings)


def test_seed_decides_the_other_network_alone(tmp_path: Path) -> None:
    one, other = (tuned(tmp_path, seed) for seed in (0, 1))
    x = torch.rand(5, 1, 4, 4)
    assert torch.equal(one.encoder(x), other.encoder(x))
    assert not torch.equal(one.scratch(x), other.scratch(x))
    assert [p.shape for p in one.encoder.parameters()] == [p.shape for p in one.scratch[0].parameters()]


def test_networks_do_not_touch_each_other(tmp_path: Path) -> None:
    """The encoder's rate changes one network, and leaves the other as it is, bitwise."""
    x, labels = torch.rand(12, 1, 4, 4), torch.arange(12) % 3
    after = []
    for rate in (1.0, 0.1):
        model = tuned(tmp_path, encoder_rate=rate)
        optimizers = model.configure_optimizers()
        for _ in range(5):
            model.losses(Batch(x, labels))["loss"].backward()  # type: ignore[no-untyped-call]
            optimizers["optimizer"].step()
            optimizers["optimizer"].zero_grad()
        after.append(model.state_dict())
    for name, value in after[0].items():
        if name.startswith("scratch."):
            assert torch.equal(value, after[1][name]), name
    assert not torch.equal(after[0]["encoder.layers.0.weight"], after[1]["encoder.layers.0.weight"])


def test_metrics_of_both(tmp_path: Path) -> None:
    model = tuned(tmp_path).eval()
    x = torch.rand(30, 1, 4, 4)
    with torch.no_grad():
        labels = model(x).argmax(1)
        metrics = model.metrics()
        losses = model.measure(Batch(x, labels), metrics)
    assert metrics["accuracy"].compute() == 1
    agreed = (model.scratch(x).argmax(1) == labels).float().mean()
    assert metrics["scratch_accuracy"].compute() == pytest.approx(agreed.item())
    assert losses["loss"].item() == pytest.approx((losses["tuned_loss"] + losses["scratch_loss"]).item())


def test_encoder_must_be_trained_and_free(tmp_path: Path) -> None:
    tuned(tmp_path)
    with pytest.raises(ConfigError, match="may change, received MLP that no run has trained"):
        FineTuned(SPEC, encoder=partial(MLP, hidden=[4]))
    with pytest.raises(ConfigError, match="received MLP with freeze"):
        FineTuned(SPEC, encoder=Pretrained(str(tmp_path), freeze=True))
