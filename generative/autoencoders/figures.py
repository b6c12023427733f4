"""What all autoencoders are measured by, and principal components beside them: the same images, noise and labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor

from generative.autoencoders.penalties import exact_jacobian
from generative.judges.probe import Examples, few_labelled, probe_accuracy
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches
from lab.data.spec import Classes

ACTIVE = 0.1  # of the largest absolute value of any unit
SENSED = 1_000  # images whose Jacobians are taken
LABELS = 100  # of each class

Map = Callable[[Tensor], Tensor]


def peak_signal(squared_error: float) -> float:
    """Return the peak signal-to-noise ratio in dB for a mean squared error of pixels in [0, 1]."""
    return -10 * math.log10(max(squared_error, 1e-10))


def noisy(x: Tensor, deviation: float, generator: torch.Generator | None = None) -> Tensor:
    """Add Gaussian noise to images in [0, 1]; what leaves this range is cut off."""
    noise = torch.randn(x.shape, generator=generator, device=x.device)
    return (x + deviation * noise).clamp_(0, 1)


class CodeFigures:
    """The test images of a data set, and labels for a linear probe, by which any code is measured.

    Args:
        data: prepared; the probe is left out where its images have no classes.
        noise: standard deviation of what is added to the pixels of noisy images.
        limit: test batches to use; None for all.
    """

    def __init__(self, data: DataModule, device: torch.device, *, noise: float, limit: int | None = None) -> None:
        self.device, self.noise = device, noise
        self.test: list[Batch] = list(islice(testing_batches(data, device), limit))
        classified = isinstance(data.spec.target, Classes) and data.spec.target.n > 1
        self.labelled: Examples | None = few_labelled(data, device, LABELS) if classified else None

    @torch.no_grad()
    def of(self, encode: Map, decode: Map) -> dict[str, float]:
        """Return the figures of a code.

        Args:
            encode: from images `(B, C, H, W)` in [0, 1] to codes `(B, Z)`, each image for itself.
            decode: from codes to images in [0, 1].
        """
        generator = torch.Generator(self.device).manual_seed(0)
        codes, plain, cleaned, left = [], [], [], []
        for x, _ in self.test:
            worse = noisy(x, self.noise, generator)
            codes.append(encode(x))
            plain.append((decode(codes[-1]) - x).square().mean((1, 2, 3)))
            cleaned.append((decode(encode(worse)) - x).square().mean((1, 2, 3)))
            left.append((worse - x).square().mean((1, 2, 3)))
        code, errors = torch.cat(codes), [torch.cat(one).mean().item() for one in (plain, cleaned, left)]
        sensed = torch.cat([x for x, _ in self.test])[:SENSED]
        jacobian = torch.cat([exact_jacobian(encode, x) for x in torch.split(sensed, 500)]).sqrt().mean().item()
        size = code.abs()
        figures = {
            "squared_error": errors[0],
            "psnr": peak_signal(errors[0]),
            "psnr_from_noisy": peak_signal(errors[1]),
            "psnr_gained": peak_signal(errors[1]) - peak_signal(errors[2]),
            "active_share": (size > ACTIVE * size.max()).float().mean().item(),
            "jacobian": jacobian,
            "sensitivity": jacobian / max(code.var(0).sum().sqrt().item(), 1e-12),
        }
        if self.labelled:
            known = Examples(torch.cat([encode(x) for x in torch.split(self.labelled.x, 500)]), self.labelled.labels)
            asked = Examples(code, torch.cat([y for _, y in self.test]))
            figures["probe_accuracy"] = probe_accuracy(known, asked)
        return figures


def descriptions(noise: float) -> dict[str, str]:
    """Return what the figures mean."""
    return {
        "test/squared_error": "mean squared error of the pixels, which are in [0, 1]",
        "test/psnr": "peak signal-to-noise ratio of reconstructions, in dB, by the squared error over all test images",
        "test/psnr_from_noisy": "the same for the reconstruction of an image by its noisy version: Gaussian noise of "
        f"standard deviation {noise:g} on each pixel, cut off below 0 and above 1",
        "test/psnr_gained": "how much better that is, in dB, than the noisy image as it is",
        "test/active_share": f"share of the numbers of a code that are larger than {ACTIVE} of the largest one that "
        "occurs: low for a sparse code",
        "test/jacobian": "Frobenius norm of the Jacobian of the code, mean over 1,000 test images: how far the code "
        "moves when the image moves by 1",
        "test/sensitivity": "the same, divided by the standard deviation of the code over the test images, so that "
        "codes on different scales compare",
        "test/probe_accuracy": f"accuracy of logistic regression on the code with {LABELS} labels of each class",
    }
