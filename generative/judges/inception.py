"""The published FID: the Fréchet distance in the features of Inception, with weights that the user has."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn

from generative.judges.frechet import frechet_distance
from lab.console.progress import Progress
from lab.console.wording import install
from lab.errors import ConfigError

LEAST = 2_048  # Inception's features: fewer images do not span them
CHUNK = 50  # images at a time: they are enlarged to 299x299


def inception_distance(generate: Callable[[int], Tensor], real: Tensor, samples: int, weights: str) -> float:
    """Return the FID (Heusel et al. 2017) of so many samples beside real images.

    Args:
        generate: from a number to as many images `(B, C, H, W)` in [0, 1], C of 1 or 3.
        real: images of the same form.
        samples: generated images.
        weights: file of torch-fidelity's FeatureExtractorInceptionV3.

    Raises ConfigError where the file is none, and without torch-fidelity.
    """
    network = inception(weights).to(real.device)
    parts = [min(CHUNK, samples - start) for start in range(0, samples, CHUNK)]
    known = torch.split(real, CHUNK)
    features = []
    with torch.no_grad(), Progress("comparing", len(parts) + len(known), "batches") as progress:
        for i, images in enumerate(chain(map(generate, parts), known), start=1):
            features.append(network((images.expand(-1, 3, -1, -1) * 255).round().byte()))
            progress.update(i)
    return frechet_distance(torch.cat(features[: len(parts)]), torch.cat(features[len(parts) :]))


def inception(weights: str) -> nn.Module:
    """Return the network that gives `(B, 2048)` for bytes `(B, 3, H, W)`."""
    from torchmetrics.image.fid import NoTrainInceptionV3  # with what it imports, a second

    if not Path(weights).is_file():
        raise ConfigError(f"there is no file {weights}")
    try:
        network: nn.Module = NoTrainInceptionV3("inception-v3-compat", ["2048"], weights).eval()
    except ImportError as error:
        raise ConfigError(f"the published FID needs the extra inception: {install('inception')}") from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError, TypeError) as error:
        raise ConfigError(f"{weights} does not hold the weights of torch-fidelity's Inception") from error
    return network
