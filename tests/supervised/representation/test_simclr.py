"""Two views of an image are told to be alike, by the loss of the paper, and features learn from that alone."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from lab.data import Batch, Images
from lab.data.augment import Augment
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.encoders import MLP
from lab.errors import ConfigError
from supervised.representation import SimCLR
from supervised.representation.contrast import nt_xent, partners, similarities
from supervised.representation.few import few_label_accuracy

CPU = torch.device("cpu")
SPEC = DataSpec(InputSpec((1, 8, 8)), Classes(2))


def test_loss_is_that_of_the_paper() -> None:
    """Equation 1, written out for each view."""
    torch.manual_seed(0)
    first, second = torch.randn(2, 5, 3)
    z = torch.cat([first, second])
    losses = []
    for i in range(10):
        cosine = F.cosine_similarity(z[i][None], z) / 0.3
        others = [k for k in range(10) if k != i]
        losses.append(-cosine[(i + 5) % 10] + torch.logsumexp(cosine[others], 0))
    assert nt_xent(first, second, 0.3).item() == pytest.approx(torch.stack(losses).mean().item(), abs=1e-6)


def test_equal_views_are_found() -> None:
    z = torch.eye(4)
    assert torch.equal(similarities(z, z).argmax(1), partners(4, CPU))
    worst = nt_xent(torch.ones(4, 2), torch.ones(4, 2), 1.0)
    assert worst.item() == pytest.approx(math.log(7)), "views that are all alike are told apart"
    assert nt_xent(z, z, 0.05) < 0.01


def test_labels_change_nothing() -> None:
    torch.manual_seed(0)
    model, x = SimCLR(SPEC, encoder=partial(MLP, hidden=[8]), views=Augment(shift=1)), torch.rand(6, 1, 8, 8)
    losses = []
    for labels in (torch.zeros(6), torch.ones(6)):
        torch.manual_seed(1)
        losses.append(model.losses(Batch(x, labels))["loss"].item())
    assert losses[0] == losses[1]


def test_views_must_differ() -> None:
    with pytest.raises(ConfigError, match=r"model\.views must change images.*received no change: set rotate, shift"):
        SimCLR(SPEC, encoder=partial(MLP, hidden=[8]), views=Augment())


def test_learns_to_find_other_views() -> None:
    """Of images that it has not seen, more views than before are most like the other view of their image."""
    data = Images(name="digits", batch_size=100, val_size=0)
    data.prepare()
    torch.manual_seed(0)
    model = SimCLR(data.spec, encoder=partial(MLP, hidden=[64]), views=Augment(shift=2), temperature=0.1)
    unseen = Batch(next(iter(data.test(CPU))).inputs[:200])  # type: ignore[index]

    def found() -> float:
        torch.manual_seed(1)
        with torch.no_grad():
            return model.losses(unseen)["found"].item()

    before, optimizer = found(), torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(3):
        for batch in data.train(CPU, 0):
            optimizer.zero_grad()
            model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    assert found() > before + 0.15


def test_few_labels_tell_digits() -> None:
    """Ten labels of each class tell more than two, and a pixel that never varies tells nothing."""
    data = Images(name="digits", batch_size=100, val_size=0)
    data.prepare()
    few, many = (few_label_accuracy(data, CPU, lambda x: x.flatten(1), each) for each in (2, 10))
    assert 0.5 < few < many
    assert few_label_accuracy(data, CPU, lambda x: x.flatten(1)[:, :1], 2) < 0.3, "a corner tells nothing"
