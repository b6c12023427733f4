"""Clusters of features: as good as scikit-learn's, and measured by what two partitions have in common."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from sklearn.cluster import KMeans

from lab.data import Batch, Images
from lab.encoders import MLP, Pretrained
from lab.encoders.files import save_encoder
from lab.errors import ConfigError
from supervised.representation import Clusters
from supervised.representation.clusters import squared_distances
from supervised.representation.few import encoded
from supervised.representation.partitions import MatchedAccuracy, MutualInformation

CPU = torch.device("cpu")


def digits() -> Images:
    data = Images(name="digits", batch_size=400, val_size=0)
    data.prepare()
    return data


def clusters(data: Images, folder: Path, *, clusters: int, restarts: int) -> Clusters:
    torch.manual_seed(0)
    save_encoder(MLP(data.spec.require_one_input("this test"), hidden=[16]), folder)
    return Clusters(data.spec, encoder=Pretrained(str(folder), freeze=True), clusters=clusters, restarts=restarts)


def test_distances_are_those_of_torch() -> None:
    codes, centres = torch.randn(7, 3), torch.randn(2, 4, 3)
    expected = torch.cdist(codes.expand(2, 7, 3), centres).square()
    assert torch.allclose(squared_distances(codes, centres), expected, atol=1e-5)


def test_matching_of_known_partitions() -> None:
    metric = MatchedAccuracy()
    metric.update(torch.tensor([2, 2, 2, 0]), torch.tensor([0, 0, 1, 1]))
    metric.update(torch.tensor([0, 1]), torch.tensor([1, 1]))
    assert metric.compute().item() == pytest.approx(4 / 6)


def test_mutual_information_by_hand() -> None:
    """Of two classes, one is cut in two: all of its entropy is known, and half a bit more than needed is said."""
    metric = MutualInformation()
    metric.update(torch.tensor([5, 5, 0, 1]), torch.tensor([0, 0, 1, 1]))
    assert metric.compute().item() == pytest.approx(1 / ((1 + 1.5) / 2))
    metric.reset()
    metric.update(torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1]))
    assert metric.compute().item() == pytest.approx(0, abs=1e-6)


def test_clusters_are_as_tight_as_k_means(tmp_path: Path) -> None:
    data = digits()
    model = clusters(data, tmp_path, clusters=5, restarts=3)
    optimizer = torch.optim.SGD([model.centres], lr=1.0)
    batches = data.train(CPU, 0)
    model._begin(next(iter(batches)))
    for batch in batches:
        optimizer.zero_grad()
        model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.settle(data)
    codes, _ = encoded(data.train(CPU, seed=0), model.code)
    far = squared_distances(codes, model.centres[model.best][None]).amin(2).sum().item()
    expected = KMeans(5, n_init=5, random_state=0).fit(codes.numpy())
    assert far < 1.02 * expected.inertia_
    assert torch.equal(model(next(iter(data.test(CPU))).inputs).argmin(1).unique(), torch.arange(5))


def test_centres_begin_at_examples(tmp_path: Path) -> None:
    data = digits()
    model = clusters(data, tmp_path, clusters=4, restarts=2)
    batch = next(iter(data.train(CPU, 0)))
    x, _ = batch
    model._begin(batch)
    assert torch.cdist(model.centres.detach(), model.code(x)[None]).amin(2).max() < 1e-3
    assert not torch.equal(model.centres[0], model.centres[1])
    with pytest.raises(ConfigError, match=r"data\.batch_size must be at least model\.clusters, which is 4, received 3"):
        model._begin(Batch(x[:3]))


def test_encoder_must_be_frozen() -> None:
    with pytest.raises(ConfigError, match="needs an encoder that does not change, received MLP without freeze"):
        Clusters(digits().spec, encoder=partial(MLP, hidden=[4]))
