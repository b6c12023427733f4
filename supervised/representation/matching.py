"""How well clusters are the classes: the accuracy once each cluster is matched with a class."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class MatchedAccuracy(Metric):  # type: ignore[misc]
    """Share of the examples that are in the cluster of their class, where each cluster is matched with one class at
    most so that this is largest (Kuhn 1955)."""

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
        from scipy.optimize import linear_sum_assignment

        clusters, labels = torch.cat(self.clusters), torch.cat(self.labels)
        size = int(max(clusters.max(), labels.max())) + 1
        counts = torch.bincount(clusters * size + labels, minlength=size * size).view(size, size)
        matched = linear_sum_assignment(counts.cpu().numpy(), maximize=True)
        return torch.tensor(float(counts.cpu().numpy()[matched].sum()) / len(labels), device=labels.device)
