"""Mixed inputs have the losses of both targets in the same shares (Zhang et al. 2018)."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.data.batch import Batch
from lab.data.spec import Classes, DataSpec, InputSpec, Values
from lab.encoders import MLP, Transformer
from lab.errors import ConfigError
from lab.training.checks import require_mixing
from lab.training.settings import TrainerSettings
from supervised.classifier import Classifier
from supervised.regressor import Regressor
from tests.training.models import Regression

MIXED = TrainerSettings(mixup=0.4)
X = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))


def drawn(seed: int) -> tuple[float, Tensor]:
    torch.manual_seed(seed)
    order, alpha = torch.randperm(6), torch.tensor(0.4)
    return float(torch.distributions.Beta(alpha, alpha).sample()), order


def test_loss_is_that_of_mixed_labels() -> None:
    model, labels = (
        Classifier(DataSpec(InputSpec((4,)), Classes(3)), encoder=partial(MLP, hidden=[8])),
        torch.arange(6) % 3,
    )
    model.optimization = MIXED
    share, order = drawn(1)
    soft = F.one_hot(labels, 3).float()
    logits = model(share * X + (1 - share) * X[order])
    expected = F.cross_entropy(logits, share * soft + (1 - share) * soft[order])
    torch.manual_seed(1)
    assert model.training_step(Batch(X, labels), 0)["loss"].item() == pytest.approx(expected.item(), abs=1e-6)


def test_gradient_is_that_of_mixed_numbers() -> None:
    model, numbers = Regressor(DataSpec(InputSpec((4,)), Values(())), encoder=partial(MLP, hidden=[8])), X[:, 0]
    model.optimization = MIXED
    share, order = drawn(2)
    wanted = share * numbers + (1 - share) * numbers[order]
    loss = F.mse_loss(model(share * X + (1 - share) * X[order]), wanted)
    expected = torch.autograd.grad(loss, list(model.parameters()))
    torch.manual_seed(2)
    found = torch.autograd.grad(model.training_step(Batch(X, numbers), 0)["loss"], list(model.parameters()))
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


class Looking(Regression):
    """Keeps the inputs of its losses."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.seen: list[Tensor] = []

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, _ = batch
        self.seen.append(x)
        return super().losses(batch)


def test_shares_lie_between_both_examples() -> None:
    model = Looking(DataSpec(InputSpec((3,)), Values((1,))))
    model.optimization = TrainerSettings(mixup=1.0)
    for _ in range(200):
        model._mixed(Batch(torch.eye(3)[:2], torch.zeros(2, 1)))
    shares = torch.stack(model.seen)[::2, 0, 0]
    assert shares.min() >= 0
    assert shares[shares < 1].mean().item() == pytest.approx(0.5, abs=0.08), "Beta(1, 1) is uniform"


def test_what_cannot_be_mixed_is_refused() -> None:
    tokens = DataSpec(InputSpec((5,), "int64", vocab=4), Classes(2))
    model = Classifier(tokens, encoder=partial(Transformer, width=8, layers=1, heads=2))
    with pytest.raises(ConfigError, match="inputs of float32 and one length"):
        require_mixing(MIXED, model, Batch(torch.zeros(2, 5, dtype=torch.long), torch.zeros(2, dtype=torch.long)))
    with pytest.raises(ConfigError, match="examples that have one target each"):
        require_mixing(MIXED, model, Batch(torch.zeros(2, 5)))
    require_mixing(TrainerSettings(), model, Batch(torch.zeros(2, 5)))
