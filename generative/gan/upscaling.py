"""How good enlarged images are: how near the originals, how much like any, and whether their class is still seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from generative.autoencoders.figures import peak_signal
from generative.judges.classifier import Judge
from generative.judges.frechet import frechet_distance
from lab.data.batch import Batch
from lab.nn.superresolution import enlarged, shrunk

Upscale = Callable[[Tensor], Tensor]
"""From small images `(B, C, h, w)` to large ones `(B, C, H, W)`, both in [0, 1]."""


def bicubic(factor: int) -> Upscale:
    """Return what enlarges images by piecewise cubic curves; what leaves [0, 1] is cut off."""
    return lambda small: enlarged(small, factor, "bicubic").clamp(0, 1)


def nearest_pixel(factor: int) -> Upscale:
    """Return what repeats each pixel."""
    return lambda small: enlarged(small, factor, "nearest")


@torch.no_grad()
def figures(upscale: Upscale, batches: Iterable[Batch], factor: int, judge: Judge | None) -> dict[str, float]:
    """Return the figures of a way to enlarge what is left of images `(B, C, H, W)`; those of a judge where there is
    one."""
    errors, kept, features, real = [], [], [], []
    for x, labels in batches:
        made = upscale(shrunk(x, factor))
        errors.append((made - x).square().mean((1, 2, 3)))
        if judge:
            found, logits = judge(made)
            features.append(found)
            kept.append(logits.argmax(1) == labels)
            real.append(judge(x)[0])
    told = {"psnr": peak_signal(torch.cat(errors).mean().item())}
    if judge:
        told["class_kept"] = torch.cat(kept).float().mean().item()
        told["classifier_fid"] = frechet_distance(torch.cat(features), torch.cat(real))
    return told


DESCRIPTIONS = {
    "test/psnr": "peak signal-to-noise ratio in dB of the enlarged test images, by the squared error over all of them",
    "test/class_kept": "share of the enlarged test images in which the lab's own small classifier, its judge, sees the "
    "class that they have",
    "test/class_gained": "how much more that is than by the network that was trained by the squared error alone",
    "test/classifier_fid": "Fréchet distance between the enlarged test images and the test images themselves, in the "
    "features of the judge: lower is better; not the published Inception FID",
}
