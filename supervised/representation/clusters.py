"""Clusters among the features of a frozen encoder, by k-means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.config.types import PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import plain_batches, testing_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.system.randomness import kept_randomness
from lab.training import Model
from lab.training.captions import named_rows
from lab.training.optimization import ParameterGroup
from supervised.representation.few import Features, encoded, untrained
from supervised.representation.partitions import MatchedAccuracy, MutualInformation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torchmetrics import Metric

# Dimensions: B images, R restarts, K clusters, F features.

SHOWN = 16  # images of each cluster


class Clusters(Model):
    """k-means on features (Lloyd 1982). No label is used; labels measure the clusters in the end.

    Batches move several sets of centres at once, by gradient descent on the squared distance to the nearest centre
    (Bottou & Bengio 1995). Each set begins as k-means++ has it (Arthur & Vassilvitskii 2007). After training, the best
    set on the training images goes through the iterations of scikit-learn's k-means until nothing changes.

    Args:
        encoder: `Pretrained` with `freeze`.
        clusters: their number, K.
        restarts: sets of centres, R.
        unit: whether features are scaled to length 1 first, so that only their direction counts.
    """

    family = "supervised"
    descriptions = {
        "test/nmi": "mutual information of clusters and classes, divided by the mean of their entropies: 0 to 1",
        "test/accuracy": "share of the test images that are in the cluster of their class, where each cluster is "
        "matched with one class so that this is largest",
        "val/loss": "squared distance to the nearest centre, summed over the sets of centres",
        "pictures/clusters": "the test images of one batch that are nearest to the centre of each cluster, in its row",
    }
    begun: Tensor
    """Whether the centres have their first places."""
    best: Tensor
    """Which set of centres counts."""

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        clusters: PositiveInt = 10,
        restarts: PositiveInt = 5,
        unit: bool = True,
    ) -> None:
        super().__init__(spec)
        self.encoder = build_encoder(encoder, spec.require_one_input("Clusters"))
        if not self.encoder.frozen:
            raise ConfigError(
                f"Clusters needs an encoder that does not change, received {type(self.encoder).__name__} without "
                "freeze: set model.encoder to lab.encoders.Pretrained with freeze: true"
            )
        self.classes = spec.require_classes("Clusters")
        self.restarts, self.unit = restarts, unit
        with kept_randomness():  # the first places in training are chosen among examples
            self.centres = nn.Parameter(torch.randn(restarts, clusters, self.encoder.features_dim))
        self.register_buffer("begun", torch.tensor(False))
        self.register_buffer("best", torch.tensor(0))

    def code(self, x: Tensor) -> Tensor:
        """Return what is clustered, `(B, F)`."""
        with torch.no_grad():
            h = self.encoder(x)
        return F.normalize(h, dim=1) if self.unit else h

    def forward(self, x: Tensor) -> Tensor:
        """Return the squared distances to the centres that count, `(B, K)`."""
        return squared_distances(self.code(x), self.centres[self.best][None])[0]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        nearest = squared_distances(self.code(batch.inputs), self.centres).amin(2)  # type: ignore[arg-type]  # (R, B)
        return {"loss": nearest.mean(1).sum()}

    def training_step(self, batch: Batch, batch_index: int) -> Any:
        if not self.begun:
            self._begin(batch)
        return super().training_step(batch, batch_index)

    def metrics(self) -> dict[str, Metric]:
        return {"nmi": MutualInformation(), "accuracy": MatchedAccuracy()}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        x, labels = batch
        found = self(x).argmin(1)
        for metric in metrics.values():
            metric.update(found, labels)
        return self.losses(batch)

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup([self.centres])]

    @torch.no_grad()
    def settle(self, data: DataModule) -> None:
        """Choose the best set of centres, and move it until nothing changes."""
        from sklearn.cluster import KMeans

        codes, _ = encoded(plain_batches(data, self.device, seed=0), self.code)
        far = squared_distances(codes, self.centres.cpu()).amin(2).mean(1)
        best = int(far.argmin())
        method = KMeans(self.centres.shape[1], init=self.centres[best].cpu().numpy(), n_init=1).fit(codes.numpy())
        self.centres[best] = torch.from_numpy(method.cluster_centers_).to(self.centres)
        self.best.fill_(best)

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """k-means by scikit-learn, from as many beginnings, on less."""
        return {
            "k-means on inputs": self._k_means(data, lambda x: x.flatten(1)),
            "k-means on random features": self._k_means(data, untrained(self.encoder, self.device)),
        }

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Images near the centre of each cluster."""
        x = batch.inputs
        assert isinstance(x, Tensor)
        nearest = self(x).topk(min(SHOWN, len(x)), dim=0, largest=False).indices.T  # (K, SHOWN)
        names = [f"{number}" for number in range(1, len(nearest) + 1)]
        return {"clusters": named_rows(x[nearest.flatten()], names, nearest.shape[1])}

    def _begin(self, batch: Batch) -> None:
        from sklearn.cluster import kmeans_plusplus

        codes, count = self.code(batch.inputs).cpu().numpy(), self.centres.shape[1]  # type: ignore[arg-type]
        if len(codes) < count:
            raise ConfigError(
                f"data.batch_size must be at least model.clusters, which is {count}, received {len(codes)}"
            )
        seeds = torch.randint(2**31, (self.restarts,)).tolist()
        first = [torch.from_numpy(kmeans_plusplus(codes, count, random_state=seed)[0]) for seed in seeds]
        self.centres.data.copy_(torch.stack(first))
        self.begun.fill_(True)

    def _k_means(self, data: DataModule, features: Features) -> dict[str, float]:
        from sklearn.cluster import KMeans

        train, _ = encoded(plain_batches(data, self.device, seed=0), features)
        method = KMeans(self.centres.shape[1], n_init=self.restarts, random_state=0).fit(train.numpy())
        test = encoded(testing_batches(data, self.device), features)
        found = torch.from_numpy(method.predict(test.x.numpy())).long()
        measured = self.metrics()
        for metric in measured.values():
            metric.update(found, test.y)
        return {f"test/{name}": float(metric.compute()) for name, metric in measured.items()}


def squared_distances(codes: Tensor, centres: Tensor) -> Tensor:
    """Return the squared distances of codes `(B, F)` to sets of centres `(R, K, F)`, `(R, B, K)`."""
    # By products: the gradient of a distance has no value at 0, that of its square has.
    products = codes @ centres.transpose(1, 2)
    return codes.square().sum(1)[:, None] - 2 * products + centres.square().sum(2)[:, None]
