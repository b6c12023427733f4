"""What a judge says of one generator: figures beside real images, and which training images its samples resemble."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from generative.judges.classifier import FEATURES, Judge
from generative.judges.frechet import frechet_distance
from generative.judges.neighbours import coverage, nearest, precision_and_recall
from lab.console.progress import Progress
from lab.data.base import DataModule
from lab.data.batches import TensorBatches
from lab.data.loader import testing_batches
from lab.errors import ConfigError

CLASS_SAMPLES = 1_000  # samples whose classes are counted
RARE = 0.3  # of an equal share of the samples: a class with less does not count as found
CHUNK = 500  # images at a time


def require_enough(samples: int) -> None:
    """Raise ConfigError where a covariance of the features cannot be estimated by so many samples."""
    if samples < 2 * FEATURES:
        raise ConfigError(f"model.fid_samples must be at least {2 * FEATURES}, received {samples}")


class Judgement:
    """A trained judge beside the images of a data set.

    Args:
        judge: trained, on the device of the generator, in eval mode.
        data: prepared.
        samples: generated images, at most as many as there are test images, all of which they are compared with.
    """

    def __init__(self, judge: Judge, data: DataModule, samples: int, device: torch.device) -> None:
        self.judge, self.data, self.samples, self.device = judge.to(device).eval(), data, samples, device
        self.known = torch.cat([judge(x)[0] for x, _ in data.unchanged(device)])
        """Features of all training images."""
        numbers = torch.arange(len(self.known), device=device)
        order = TensorBatches(numbers, batch_size=min(CHUNK, len(numbers)), seed=1)  # as version 0.1.0 chose them
        found = [(*judge(x), labels) for x, labels in testing_batches(data, device)]
        self.real = torch.cat([features for features, _, _ in found])
        self.chosen = torch.cat([chosen for chosen, _ in order])[: min(samples, len(self.real))]
        self.training = self.known[self.chosen]
        self.accuracy = torch.cat([logits.argmax(1) == labels for _, logits, labels in found]).float().mean()

    def figures(self, generate: Callable[[int], Tensor]) -> dict[str, Tensor | float]:
        """Return the figures of a generator of `(count, C, H, W)` in [0, 1]."""
        real, count = self.real, min(self.samples, len(self.real))
        chunks, judged = -(-max(count, CLASS_SAMPLES) // CHUNK), []
        with Progress("judging samples", chunks * CHUNK, "images") as progress:
            for chunk in range(chunks):
                judged.append(self.judge(generate(CHUNK)))
                progress.update((chunk + 1) * CHUNK)
        features, logits = (torch.cat(parts) for parts in zip(*judged, strict=True))
        counts = logits[:CLASS_SAMPLES].argmax(1).bincount(minlength=logits.shape[1])
        shares = counts.float() / CLASS_SAMPLES
        features = features[:count]
        precision, recall = precision_and_recall(real, features)
        return {
            "classifier_fid": frechet_distance(features, real),
            "classifier_fid_real": frechet_distance(self.training, real),
            "precision": precision,
            "recall": recall,
            "coverage": coverage(real, features),
            "nearness": self._nearness(features),
            "classes_found": (shares >= RARE / self.judge.classes).sum().float(),
            "rarest_class": shares.min(),
            "judge_accuracy": self.accuracy,
        }

    def agreement(self, generate: Callable[[Tensor], Tensor]) -> float:
        """Return how often the judge sees the class that was asked for, where `generate` draws one image for each of
        `(B,)` classes."""
        asked = torch.arange(CLASS_SAMPLES, device=self.device) % self.judge.classes
        seen = [self.judge(generate(part))[1].argmax(1) for part in torch.split(asked, CHUNK)]
        return (torch.cat(seen) == asked).float().mean().item()

    def closest(self, images: Tensor) -> Tensor:
        """Return for each of `(B, C, H, W)` the training image whose features are nearest, of the same shape."""
        distance = torch.full((len(images),), torch.inf, device=self.device)
        found, features = torch.zeros_like(images), self.judge(images)[0]
        for x, _ in self.data.unchanged(self.device):
            nearer, place = nearest(features, self.judge(x)[0])
            better = nearer < distance
            distance, found[better] = torch.minimum(nearer, distance), x[place[better]]
        return found

    def baselines(self) -> Mapping[str, Mapping[str, float]]:
        """Return the distances of two simple generators: the mean training image, and images whose pixels are each
        taken from another training image."""
        images = torch.cat([x for x, _ in self.data.unchanged(self.device)])[self.chosen]
        noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        shuffled = images.gather(0, noise.argsort(0))
        mean = images.mean(0, keepdim=True).expand_as(images)
        made = {"mean image": mean, "pixels of different images": shuffled}
        distances = {name: frechet_distance(self._features(images), self.real) for name, images in made.items()}
        return {name: {"test/classifier_fid": distance} for name, distance in distances.items()}

    def bounds(self) -> Mapping[str, Mapping[str, float]]:
        """Return the figures of real training images: what a perfect generator gets."""
        precision, recall = precision_and_recall(self.real, self.training)
        figures = {
            "classifier_fid": frechet_distance(self.training, self.real),
            "precision": precision,
            "recall": recall,
            "coverage": coverage(self.real, self.training),
        }
        return {"real training images": {f"test/{name}": value for name, value in figures.items()}}

    def _nearness(self, features: Tensor) -> float:
        """Distance to the nearest training image, median over the samples, divided by that of test images."""
        return (nearest(features, self.known)[0].median() / nearest(self.real, self.known)[0].median()).item()

    def _features(self, images: Tensor) -> Tensor:
        return torch.cat([self.judge(part)[0] for part in torch.split(images, CHUNK)])


def descriptions(samples: int, classes: int) -> dict[str, str]:
    """Return what the figures mean."""
    return {
        "test/classifier_fid": f"Fréchet distance between at most {samples:,} samples and all test images, in the "
        "features of the lab's own small classifier, its judge: lower is better; not the published Inception FID",
        "test/classifier_fid_real": "the same between real training and test images: what a perfect generator gets",
        "test/precision": "share of the samples that lie among the test images, in the features of the judge: low "
        "where samples are malformed",
        "test/recall": "share of the test images that lie among the samples: low where the samples vary too little",
        "test/coverage": "share of the test images that have a sample among their five nearest neighbours",
        "test/nearness": "median distance of the samples to their nearest training images, divided by that of test "
        "images: near 1 for a good generator, near 0 for one that has memorised",
        "test/classes_found": f"classes whose share of {CLASS_SAMPLES:,} samples is at least {RARE / classes:.2g}, by "
        "the judge",
        "test/rarest_class": "share of the rarest class among these samples",
        "test/judge_accuracy": "accuracy of the judge on the test images",
        "test/class_agreement": f"share of {CLASS_SAMPLES:,} samples in which the judge sees the class that was asked "
        "for",
    }
