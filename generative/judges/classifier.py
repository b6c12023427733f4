"""A small classifier that judges generators: which classes they draw, and how far their images are from real ones.

It is trained by one fixed recipe that no setting of the generator touches, so that its figures compare between runs.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.console.progress import Progress
from lab.data.base import DataModule
from lab.data.loader import as_batches
from lab.data.spec import DataSpec
from lab.encoders import Conv, ConvStage

STEPS, BATCH, LEARNING_RATE, FEATURES = 1_404, 128, 2e-3, 64  # three epochs of MNIST


class Judge(nn.Module):
    """A convolutional classifier whose penultimate layer, `(B, 64)`, is the feature space of `classifier_fid`."""

    trained: Tensor

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        classes = spec.require_classes("the judge of a generator")
        stages = (ConvStage(16, kernel=5, stride=2), ConvStage(32, stride=2))
        self.encoder = Conv(spec.require_one_input("the judge of a generator"), stages=stages, hidden=(FEATURES,))
        self.head = nn.Linear(FEATURES, classes)
        self.register_buffer("trained", torch.tensor(False))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features `(B, 64)` and logits `(B, classes)` of images in [0, 1]."""
        features = self.encoder(x)
        return features, self.head(features)

    def learn(self, data: DataModule, device: torch.device, *, limit: int | None = None) -> None:
        """Train on the training images by Adam with a linearly falling learning rate, for `limit` steps at most."""
        batches = as_batches(data.train(device, seed=0, batch_size=BATCH), device)
        steps = limit or STEPS
        optimizer = torch.optim.Adam(self.parameters(), LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        examples = itertools.chain.from_iterable(itertools.repeat(batches))
        with torch.enable_grad(), Progress("training the judge", steps, "batches") as progress:
            for step, (x, labels) in enumerate(itertools.islice(examples, steps), start=1):
                loss = F.cross_entropy(self(x)[1], labels)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                progress.update(step)
        self.trained.fill_(True)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Fréchet distance between Gaussians fitted to two sets of features, `(N, F)` and `(M, F)`.

    |mean_a - mean_b|^2 + trace(C_a + C_b - 2 (C_a C_b)^(1/2)) (Dowson & Landau 1982; Heusel et al. 2017). With
    Inception features this is the published FID; with any other it is another quantity and needs another name.
    """
    a, b = a.cpu().double(), b.cpu().double()  # in this order: MPS has no float64
    difference = a.mean(0) - b.mean(0)
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    # The product's eigenvalues are real and not negative, as those of two covariances; rounding may say otherwise.
    root_trace = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt().sum()
    return float(difference.square().sum() + cov_a.trace() + cov_b.trace() - 2 * root_trace)
