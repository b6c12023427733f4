"""How well clusters are the classes: two metrics over a whole split."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

# Dimensions: B examples of a batch, N of the split.


class PartitionMetric(Metric):  # type: ignore[misc]
    """Base of metrics that compare the cluster of each example with its class."""

    full_state_update = False
    clusters: list[Tensor]
    labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("clusters", default=[], dist_reduce_fx="cat")
        self.add_state("labels", default=[], dist_reduce_fx="cat")

    def update(self, clusters: Tensor, labels: Tensor) -> None:
        """Add examples: the number of the cluster and the class of each, `(B,)`."""
        self.clusters.append(clusters)
        self.labels.append(labels)

    def compute(self) -> Tensor:
        labels = torch.cat(self.labels)
        return torch.tensor(self.of(torch.cat(self.clusters).cpu().numpy(), labels.cpu().numpy()), device=labels.device)

    @abstractmethod
    def of(self, clusters: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
        """Return the metric for clusters and classes, `(N,)` each."""


class MatchedAccuracy(PartitionMetric):
    """Share of the examples that are in the cluster of their class, where each cluster is matched with one class at
    most so that this is largest (Kuhn 1955)."""

    def of(self, clusters: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
        from scipy.optimize import linear_sum_assignment
        from sklearn.metrics.cluster import contingency_matrix

        counts = contingency_matrix(labels, clusters)
        return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / len(labels))


class MutualInformation(PartitionMetric):
    """Mutual information of clusters and classes, divided by the mean of their entropies: 0 to 1 (Strehl & Ghosh 2002,
    with the arithmetic mean)."""

    def of(self, clusters: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
        from sklearn.metrics import normalized_mutual_info_score

        return float(normalized_mutual_info_score(labels, clusters))
