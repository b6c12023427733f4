"""A small classifier that judges generators: which classes they draw, and how far their images are from real ones.

It is trained by one fixed recipe that no setting of a generator changes, so its figures compare between runs.
"""

from __future__ import annotations

import hashlib
import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generative.judges.kept import digest, keep, kept
from lab.console.notices import notice
from lab.console.progress import Progress
from lab.data.base import DataModule
from lab.data.batches import TensorBatches
from lab.data.spec import DataSpec
from lab.encoders import Conv, ConvStage
from lab.experiment.threads import thread_count
from lab.system.randomness import own_randomness

STEPS, BATCH, LEARNING_RATE, FEATURES = 1_404, 128, 2e-3, 64  # three epochs of MNIST
CPU = torch.device("cpu")


class Judge(nn.Module):
    """A convolutional classifier whose penultimate layer, `(B, 64)`, is the feature space of `classifier_fid`.

    `learn` trains it once for a data set, and its weights are saved with the generator's.

    Args:
        spec: of the images; they have classes.
    """

    trained: Tensor

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec
        self.classes = spec.require_classes("the judge of a generator")
        stages = (ConvStage(16, kernel=5, stride=2), ConvStage(32, stride=2))
        self.encoder = Conv(spec.require_one_input("the judge of a generator"), stages=stages, hidden=(FEATURES,))
        self.head = nn.Linear(FEATURES, self.classes)
        self.register_buffer("trained", torch.tensor(False))
        self.learned: dict[str, Tensor] | None = None
        """What it has learned, where other weights may be loaded after that."""
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features `(B, 64)` and logits `(B, classes)` of images in [0, 1]."""
        features = self.encoder(x)
        return features, self.head(features)

    @property
    def hash(self) -> str:
        """The first eight hexadecimal digits of the SHA-256 of its weights: figures of one judge compare exactly."""
        return digest(self.state_dict())[:8]

    def learn(self, data: DataModule, *, fast_dev_run: bool = False) -> None:
        """Take the judge of these data that this user has trained before, or train it, unless it is trained.

        It is trained on all training images, on the CPU by one thread: it depends neither on the run's device and seed
        nor on what the run holds out.
        """
        if self.trained:
            return
        if self.learned is None:
            recipe: dict[str, object] = {"steps": STEPS, "batch": BATCH, "rate": LEARNING_RATE, **_form(self)}
            if shared := not fast_dev_run and data.info.sha256 is not None:
                recipe["data"] = _examples(data)
            known = kept(recipe, self.state_dict()) if shared else None
            if known is None:
                with own_randomness(CPU, seed=0), thread_count(1):
                    fresh = Judge(self.spec)
                    fresh.fit(data, limit=2 if fast_dev_run else None)
                known = fresh.state_dict()
                if shared:
                    keep(recipe, known)
            self.learned = known
        self.load_state_dict(self.learned)

    def require_trained(self, data: DataModule, *, fast_dev_run: bool = False) -> None:
        """Learn, unless it has, and say that the judge was not kept with the generator."""
        if not self.trained:
            notice(
                "the judge of these samples was not kept with them, and one that is trained alike takes its place: on "
                "another kind of processor the figures may differ a little"
            )
            self.learn(data, fast_dev_run=fast_dev_run)

    def fit(self, data: DataModule, *, limit: int | None = None) -> None:
        """Train on the training images by Adam with a linearly falling learning rate, for `limit` steps at most."""
        self.requires_grad_(True)
        images, labels = (torch.cat(parts) for parts in zip(*data.unchanged(CPU), strict=True))
        batches = TensorBatches(images, labels, batch_size=min(BATCH, len(images)), seed=0)
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


def _examples(data: DataModule) -> list[object]:
    """Return the form and the hashes of what a judge is trained on. The hash of the data set alone would not tell one
    fold from another, whose test images must not have been trained on, nor one size of images from another."""
    images, labels = hashlib.sha256(), hashlib.sha256()
    for x, y in data.unchanged(CPU):
        images.update(x.numpy().tobytes())
        labels.update(y.numpy().tobytes())
    return [str(data.spec.input), images.hexdigest(), labels.hexdigest()]


def _form(judge: Judge) -> dict[str, object]:
    return {name: list(value.shape) for name, value in judge.state_dict().items()}
