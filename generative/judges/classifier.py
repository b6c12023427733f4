"""A small classifier that judges generators: which classes they draw, and how far their images are from real ones.

It is trained by one fixed recipe that no setting of the generator changes, so its figures compare between runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative.judges.frechet import frechet_distance
from lab.console.notices import notice
from lab.console.progress import Progress
from lab.data.base import Batches, DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches, training_batches
from lab.data.spec import DataSpec
from lab.encoders import Conv, ConvStage
from lab.errors import ConfigError
from lab.system.randomness import own_randomness

STEPS, BATCH, LEARNING_RATE, FEATURES = 1_404, 128, 2e-3, 64  # three epochs of MNIST
CLASS_SAMPLES = 1_000  # samples whose classes are counted
RARE = 0.3  # of an equal share of the samples: a class with less does not count as found
CHUNK = 500  # images at a time


class Judge(nn.Module):
    """A convolutional classifier whose penultimate layer, `(B, 64)`, is the feature space of `classifier_fid`.

    `learn` first, whose weights are saved with the generator's; for each test `prepare`, then `see` every batch, then
    `figures`.

    Args:
        spec: of the images; they have classes.
        samples: generated images behind `classifier_fid`, at most as many as there are test images.
    """

    trained: Tensor

    def __init__(self, spec: DataSpec, samples: int = 10_000) -> None:
        super().__init__()
        if samples < 2 * FEATURES:
            raise ConfigError(f"model.fid_samples must be at least {2 * FEATURES}, received {samples}")
        self.spec, self.samples = spec, samples
        classes = spec.require_classes("the judge of a generator")
        self.rare = RARE / classes
        stages = (ConvStage(16, kernel=5, stride=2), ConvStage(32, stride=2))
        self.encoder = Conv(spec.require_one_input("the judge of a generator"), stages=stages, hidden=(FEATURES,))
        self.head = nn.Linear(FEATURES, classes)
        self.register_buffer("trained", torch.tensor(False))
        self.learned: dict[str, Tensor] | None = None
        """What it has learned, where other weights may be loaded after that."""
        self.requires_grad_(False)
        self.training_features = torch.empty(0)
        self.real_features: list[Tensor] = []
        self.real_correct: list[Tensor] = []

    @property
    def descriptions(self) -> dict[str, str]:
        """What the figures mean."""
        return {
            "test/classifier_fid": f"Fréchet distance between samples and test images, at most {self.samples:,} of "
            "each, in the features of the lab's own small classifier: lower is better; not the published Inception FID",
            "test/classifier_fid_real": "the same between real training and test images: what a perfect generator gets",
            "test/classes_found": f"classes whose share of {CLASS_SAMPLES:,} samples is at least {self.rare:.2g}, by "
            "that classifier",
            "test/rarest_class": "share of the rarest class among these samples",
            "test/judge_accuracy": "accuracy of that classifier on the test images",
        }

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features `(B, 64)` and logits `(B, classes)` of images in [0, 1]."""
        features = self.encoder(x)
        return features, self.head(features)

    def learn(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        """Train the classifier, unless it is trained. It does not depend on the run's seed."""
        if self.trained:
            return
        if self.learned is None:
            with own_randomness(device, seed=0):
                fresh = Judge(self.spec).to(device)
                fresh.fit(data, device, limit=2 if fast_dev_run else None)
            self.learned = fresh.state_dict()
        self.load_state_dict(self.learned)

    def fit(self, data: DataModule, device: torch.device, *, limit: int | None = None) -> None:
        """Train on the training images by Adam with a linearly falling learning rate, for `limit` steps at most."""
        self.requires_grad_(True)
        batches = _batches(data, device, seed=0, size=BATCH)
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
        self.requires_grad_(False)

    def prepare(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        """Start a new test. A classifier that was not kept with the generator is trained first, and this is said."""
        if not self.trained:
            notice(
                "the judge of these samples was not kept with them, so it is trained anew: on another kind of "
                "processor the figures may differ a little"
            )
            self.learn(data, device, fast_dev_run=fast_dev_run)
        self.to(device).eval()
        self.training_features = self._features(self._training_images(data, device))
        self.real_features, self.real_correct = [], []

    def see(self, batch: Batch) -> None:
        """Take in real test images."""
        x, labels = batch
        features, logits = self(x)
        self.real_features.append(features)
        self.real_correct.append(logits.argmax(1) == labels)

    def figures(self, generate: Callable[[int], Tensor]) -> dict[str, Tensor | float]:
        """Return the figures of a generator of `(count, C, H, W)` in [0, 1], after all test images were seen."""
        real = torch.cat(self.real_features)[: self.samples]
        judged = [self(generate(CHUNK)) for _ in range(-(-max(len(real), CLASS_SAMPLES) // CHUNK))]
        features, logits = (torch.cat(parts) for parts in zip(*judged, strict=True))
        counts = logits[:CLASS_SAMPLES].argmax(1).bincount(minlength=logits.shape[1])
        shares = counts.float() / CLASS_SAMPLES
        return {
            "classifier_fid": frechet_distance(features[: len(real)], real),
            "classifier_fid_real": frechet_distance(self.training_features, real),
            "classes_found": (shares >= self.rare).sum().float(),
            "rarest_class": shares.min(),
            "judge_accuracy": torch.cat(self.real_correct).float().mean(),
        }

    def baselines(self, data: DataModule, device: torch.device) -> Mapping[str, Mapping[str, float]]:
        """Return the distances of two simple generators: the mean training image, and images whose pixels are each
        taken from another training image.
        """
        if not self.trained:
            self.prepare(data, device)
        with torch.no_grad():
            real = self._features([x for x, _ in testing_batches(data, device)])
            images = torch.cat(self._training_images(data, device))[: self.samples]
            noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)).to(device)
            shuffled = images.gather(0, noise.argsort(0))
            mean = images.mean(0, keepdim=True).expand_as(images)
            made = {"mean image": mean, "pixels of different images": shuffled}
            distances = {name: frechet_distance(self._features([images]), real) for name, images in made.items()}
            return {name: {"test/classifier_fid": distance} for name, distance in distances.items()}

    @torch.no_grad()
    def bounds(self, data: DataModule, device: torch.device) -> Mapping[str, Mapping[str, float]]:
        """Return the distance of real training images from the test images: what a perfect generator gets."""
        if not self.trained:
            self.prepare(data, device)
        real = self._features([x for x, _ in testing_batches(data, device)])
        distance = frechet_distance(self._features(self._training_images(data, device)), real)
        return {"real training images": {"test/classifier_fid": distance}}

    def _training_images(self, data: DataModule, device: torch.device) -> list[Tensor]:
        batches = _batches(data, device, seed=1, size=CHUNK)
        return [x for x, _ in itertools.islice(batches, -(-self.samples // CHUNK))]

    @torch.no_grad()
    def _features(self, images: list[Tensor]) -> Tensor:
        """Features `(N, 64)` of at most `samples` images."""
        return torch.cat([self(part)[0] for x in images for part in torch.split(x, CHUNK)])[: self.samples]


def _batches(data: DataModule, device: torch.device, *, seed: int, size: int) -> Batches:
    """Return training batches of `size`, or of all training images where there are fewer."""
    count = len(training_batches(data, device, seed, batch_size=1))
    return training_batches(data, device, seed, batch_size=min(size, count))
