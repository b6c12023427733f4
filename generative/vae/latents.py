"""What the latents of a VAE tell about the test images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress

import torch
from torch import Tensor

from generative.judges.disentanglement import mutual_information_gap, principal_components
from generative.judges.probe import Examples, few_labelled, probe_accuracy
from generative.vae.gaussians import log_normal
from lab.console.notices import notice
from lab.data.base import DataModule
from lab.data.loader import plain_batches, testing_batches
from lab.data.spec import Classes, DataSpec, Values
from lab.errors import ConfigError

ACTIVE = 0.01  # variance of the posterior's mean over the test images
LABELS = 100  # of each class, for the linear probe
COMPARED = 1_000  # images behind the mutual information

# Dimensions: N images, Z latents.

Posterior = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From binarised images and their labels to mean and log-variance, `(N, Z)` each."""


class Latents:
    """Collects the posteriors of the test images, and measures them.

    Args:
        spec: of the data.
        data: prepared.
        told: whether the model is given the class, of which its codes would then tell nothing by themselves.
    """

    def __init__(self, spec: DataSpec, data: DataModule, device: torch.device, *, told: bool = False) -> None:
        self.known = None if told else labelled(spec, data, device)
        self.has_factors = isinstance(spec.target, Values)
        self.found: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, mean: Tensor, log_variance: Tensor, labels: Tensor) -> None:
        """Take in the posteriors of a batch, and its classes or factors."""
        self.found.append((mean, log_variance, labels))

    def figures(self, posterior: Posterior) -> dict[str, float]:
        """Return the figures, and say if most of the latents are unused."""
        mean, log_variance, labels = (torch.cat(parts) for parts in zip(*self.found, strict=True))
        active, width = int((mean.var(0) > ACTIVE).sum()), mean.shape[1]
        if active < width / 2:
            notice(f"{active} of {width} latents say something about the image: the decoder does without the others")
        figures = {"active_units": float(active)}
        figures["information"] = information(mean[:COMPARED], log_variance[:COMPARED])
        if self.has_factors:
            figures["mig"] = mutual_information_gap(mean, labels)
        if self.known:
            # Numbers of its own: the samples that are judged afterwards do not depend on this.
            generator = torch.Generator(mean.device).manual_seed(0)
            x = torch.bernoulli(self.known.x, generator=generator)
            parts = zip(torch.split(x, 500), torch.split(self.known.labels, 500), strict=True)
            codes = torch.cat([posterior(*part)[0] for part in parts])
            figures["probe_accuracy"] = probe_accuracy(self.known._replace(x=codes), Examples(mean, labels))
        return figures


def labelled(spec: DataSpec, data: DataModule, device: torch.device) -> Examples | None:
    """Return images for a linear probe; None where they have no classes, or data of a user's own class do not give them
    unchanged."""
    if isinstance(spec.target, Classes) and spec.target.n > 1:
        with suppress(ConfigError):
            return few_labelled(data, device, LABELS)
    return None


@torch.no_grad()
def information(mean: Tensor, log_variance: Tensor) -> float:
    """Estimate the mutual information in nats between an image and its code, from the posteriors `(N, Z)` of N images.

    It is the mean of log q(z|x) - log q(z), where q(z) is the mixture of these posteriors (Hoffman & Johnson 2016).
    With N images it is log N at most: then a code tells which of them it came from.
    """
    noise = torch.randn(mean.shape, generator=torch.Generator(mean.device).manual_seed(0), device=mean.device)
    z = mean + (0.5 * log_variance).exp() * noise
    mixture = torch.stack([log_normal(one, mean, log_variance).logsumexp(0) for one in z]) - math.log(len(z))
    return float((log_normal(z, mean, log_variance) - mixture).mean())


def component_figures(data: DataModule, device: torch.device, width: int) -> Mapping[str, float]:
    """Return the same figures of as many principal components of the grey images."""
    train = torch.cat([x for x, _ in plain_batches(data, device, seed=0)])
    tested, labels = (torch.cat(parts) for parts in zip(*testing_batches(data, device), strict=True))
    codes = principal_components(train, tested, width)
    if isinstance(data.spec.target, Values):
        return {"test/mig": mutual_information_gap(codes, labels)}
    known = labelled(data.spec, data, device)
    if known is None:
        return {}
    known = known._replace(x=principal_components(train, known.x, width))
    return {"test/probe_accuracy": probe_accuracy(known, Examples(codes, labels))}


def descriptions(width: int) -> dict[str, str]:
    """Return what the figures mean, for so many latents."""
    return {
        "test/active_units": f"latents, of {width}, whose posterior mean has a variance above {ACTIVE} over the test "
        "images (Burda et al. 2016, section 5)",
        "test/information": f"mutual information in nats between an image and its code, estimated on {COMPARED:,} test "
        f"images: at most {math.log(COMPARED):.2f}, where each code tells which of them it came from",
        "test/probe_accuracy": "accuracy of logistic regression on the means of the posteriors, with "
        f"{LABELS} labels of each class",
        "test/mig": "mutual information gap of the means of the posteriors and the factors behind the images: 1 "
        "where each factor has a latent of its own (Chen et al. 2018, equation 6)",
    }
