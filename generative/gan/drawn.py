"""How good images are that were drawn from what is given of real ones: how near these, how much like any, and whether
their class is still seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from generative.autoencoders.figures import peak_signal
from generative.judges.classifier import Judge
from generative.judges.frechet import frechet_distance
from lab.data.batch import Batch

Draw = Callable[[Tensor], Tensor]
"""From what is given of images, `(B, G, h, w)`, to images `(B, C, H, W)` in [0, 1]."""


@torch.no_grad()
def figures(draw: Draw, batches: Iterable[Batch], given: Draw, judge: Judge | None) -> dict[str, float]:
    """Return the figures of a way to draw images `(B, C, H, W)` from what is `given` of them; those of a judge where
    there is one."""
    errors, kept, seen, features, real = [], [], [], [], []
    for x, labels in batches:
        made = draw(given(x))
        errors.append((made - x).square().mean((1, 2, 3)))
        if judge:
            (found, logits), (of_real, real_logits) = judge(made), judge(x)
            features.append(found)
            kept.append(logits.argmax(1) == labels)
            seen.append(real_logits.argmax(1) == labels)
            real.append(of_real)
    told = {"psnr": peak_signal(torch.cat(errors).mean().item())}
    if judge:
        told["class_kept"] = torch.cat(kept).float().mean().item()
        told["class_share"] = told["class_kept"] / max(torch.cat(seen).float().mean().item(), 1e-6)
        told["classifier_fid"] = frechet_distance(torch.cat(features), torch.cat(real))
    return told


def descriptions(alone: str, *, judged: bool) -> dict[str, str]:
    """Return what these figures mean, beside those of the network that was trained by `alone`."""
    psnr = "peak signal-to-noise ratio in dB of the drawn test images, by the squared error over all of them"
    told = {
        "test/class_kept": "share of the drawn test images in which the lab's own small classifier, its judge, sees "
        "the class that they have",
        "test/class_share": "the same, divided by that share of the test images themselves",
        "test/class_gained": f"how many more keep their class than by the network that was trained by the {alone}",
        "test/classifier_fid": "Fréchet distance between the drawn test images and the test images themselves, in the "
        "features of the judge: lower is better; not the published Inception FID",
    }
    return {"test/psnr": psnr, **(told if judged else {})}
