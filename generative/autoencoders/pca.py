"""Principal components of images: the best linear code of a given width, and what autoencoders are measured beside."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor


class PCA:
    """Principal component analysis (Pearson 1901), from the eigenvectors of the covariance.

    Args:
        images: batches `(B, C, H, W)` of them.
        width: numbers of a code, Z.
    """

    def __init__(self, images: Iterable[Tensor], width: int) -> None:
        count, total, products, device = 0, torch.zeros(()), torch.zeros(()), torch.device("cpu")
        for batch in images:
            self.shape, device = batch.shape[1:], batch.device
            x = batch.flatten(1).cpu().double()  # MPS has no float64
            count, total, products = count + len(x), total + x.sum(0), products + x.T @ x
        mean = total / count
        values, vectors = torch.linalg.eigh(products / count - mean.outer(mean))  # rising
        self.variances = values.flip(0)[:width].float().to(device)
        """Of each number of a code over the images, falling."""
        self.components = vectors.flip(1)[:, :width].float().to(device)  # (D, Z)
        self.mean = mean.float().to(device)  # (D,)

    def narrowed(self, width: int) -> PCA:
        """Return the first components alone."""
        made = copy.copy(self)
        made.variances, made.components = self.variances[:width], self.components[:, :width]
        return made

    def encode(self, x: Tensor) -> Tensor:
        """Return codes `(B, Z)`."""
        code: Tensor = (x.flatten(1) - self.mean) @ self.components
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Return images `(B, C, H, W)` in [0, 1]; what lies outside is cut off, which only lessens the error."""
        x: Tensor = self.mean + code @ self.components.T
        return x.clamp(0, 1).view(-1, *self.shape)
