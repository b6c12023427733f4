"""WaveNet: raw sound, sample by sample (van den Oord et al. 2016, 'WaveNet: a generative model for raw audio')."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics import MeanMetric

from generative.autoregressive.dilated import DilatedNetwork
from generative.autoregressive.language_model import MeanOf
from generative.autoregressive.linear_prediction import linear_baselines
from generative.autoregressive.mu_law import LEVELS, SILENCE, decode, encode
from generative.autoregressive.queues import draw
from generative.autoregressive.waveforms import waveforms
from generative.judges.recogniser import Recogniser
from lab.config.roles import Roles
from lab.config.types import PositiveFloat, PositiveInt
from lab.console.notices import notice
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import testing_batches, training_batches
from lab.data.sound import Sound
from lab.data.spec import Classes, DataSpec
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.nn.conditions import Course
from lab.system.randomness import kept_randomness, own_randomness
from lab.training.model import Model
from lab.training.optimization import ParameterGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torchmetrics import Metric

# Dimensions: B sounds, T samples, C numbers of a condition, Y classes.

LENGTHS = 100  # of training sounds that are kept for each class
TOGETHER = 250  # sounds that are drawn at a time
BRIEF, LONGEST = 50, 100_000  # samples of a drawn sound at most, in a fast-dev run and in others


class WaveNet(Model):
    """Predicts each sample of a sound, as one of 256 levels, from the samples before it.

    It is told the class of the sound, and how much of it is over (local conditioning, section 2.5). So the length of a
    sound is given: a new one has that of some training sound of its class.

    Args:
        filters: of the residual connections.
        skip: of the skip connections.
        dilations: of the layers of one stack.
        stacks: of such layers, one after the other.
        condition: numbers that each step is told.
        points: of a sound, spread evenly over its length, at which each class has such numbers of its own.
        temperature: of what is drawn: the logits are divided by it. Less than 1 makes probable levels more probable.
        recogniser: the encoder of a classifier of these sounds, `Pretrained` with `freeze`, which says what it hears in
            what is drawn; null for none.
        heard: sounds that it hears in the test.
    """

    family = "generative"
    averaged = ("network", "course")
    roles = Roles(protocol=("temperature", "heard"))
    lengths: Tensor
    """`(Y, 100)`: lengths of training sounds of each class, in samples."""

    def __init__(
        self,
        spec: DataSpec,
        *,
        filters: PositiveInt = 32,
        skip: PositiveInt = 64,
        dilations: Sequence[PositiveInt] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
        stacks: PositiveInt = 2,
        condition: PositiveInt = 16,
        points: PositiveInt = 16,
        temperature: PositiveFloat = 1.0,
        recogniser: EncoderFactory | None = None,
        heard: PositiveInt = 500,
    ) -> None:
        super().__init__(spec)
        sound, self.classes = spec.require_one_input("WaveNet"), spec.require_classes("WaveNet")
        if sound.sample_rate is None:
            raise ConfigError(f"WaveNet needs sounds with a sample rate, but the input has shape {sound.shape}")
        self.rate = sound.sample_rate
        assert isinstance(spec.target, Classes)
        self.names = spec.target.called
        self.course = Course(self.classes, points, condition)
        self.network = DilatedNetwork(
            vocab=LEVELS,
            start=SILENCE,
            condition=condition,
            filters=filters,
            skip=skip,
            dilations=dilations,
            stacks=stacks,
        )
        with kept_randomness():  # the first weights do not depend on whether somebody listens
            self.recogniser = Recogniser(spec, recogniser) if recogniser else None
        self.temperature, self.heard = temperature, heard
        self.register_buffer("lengths", torch.full((self.classes, LENGTHS), sound.shape[0]))
        self.real: dict[int, Tensor] = {}
        """A test sound of each class, once they are known."""
        self.loudness = torch.ones(())
        """Of test sounds: the median of their root mean squares, once they are known."""
        self.descriptions = {
            "test/loss": "nats per sample of the test sounds at 256 mu-law levels, given their classes and lengths",
            "test/bits_per_sample": "the same in bits",
            "test/recognised": f"share of {heard:,} drawn sounds, equally many of each class, in which the recogniser "
            "hears the class that was asked for; it is the encoder of another run with a linear layer fitted to the "
            "training sounds",
            "test/classes_heard": "classes that the recogniser hears at least once in them",
            "test/loudness": "median over them of the root mean square, divided by that of the test sounds",
            "pictures/samples": "one drawn sound of each class, as a waveform and as a spectrogram; at the end of a "
            "training also a test sound of each class above it",
        }

    def conditions(self, labels: Tensor, lengths: Tensor, steps: int) -> Tensor:
        """Return what each step is told, `(B, C, steps)`, for sounds of classes and lengths `(B,)`."""
        return self.course(labels, lengths, steps)  # type: ignore[no-any-return]

    def nats(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return -log p of all real samples of a batch together, and their number."""
        x, labels = batch
        mask = _real(batch)
        y = self.conditions(labels, mask.sum(1), x.shape[1])
        return (self.network.nats(encode(x), y) * mask).sum(), mask.sum()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        nats, samples = self.nats(batch)
        return {"loss": nats / samples}

    def metrics(self) -> dict[str, Metric]:
        return {"loss": MeanMetric(), "bits_per_sample": MeanOf(lambda nats: nats / math.log(2))}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        """Update means over all real samples: batches have different numbers of them."""
        nats, samples = self.nats(batch)
        for metric in metrics.values():
            metric.update(nats / samples, samples)
        return {}

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup([*self.network.parameters(), *self.course.parameters()])]

    def adapt(self, data: DataModule) -> None:
        parts = [(y, _real(batch).sum(1)) for batch in training_batches(data, self.device, seed=0) for _, y in [batch]]
        labels, lengths = (torch.cat(part) for part in zip(*parts, strict=True))
        at = (torch.arange(LENGTHS, device=self.device) + 0.5) / LENGTHS
        for label in set(labels.tolist()):
            self.lengths[label] = lengths[labels == label].float().quantile(at).round().long()

    def settle(self, data: DataModule) -> None:
        if self.recogniser:
            self.recogniser.learn(data)

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        """Keep a test sound of each class, to be drawn beside what the model says, and how loud they are."""
        loudness = []
        for batch in testing_batches(data, device):
            x, labels = batch
            for sound, mask, label in zip(x, _real(batch), labels.tolist(), strict=True):
                self.real.setdefault(label, sound[mask])
                loudness.append(_loudness(sound[mask]))
        self.loudness = torch.stack(loudness).median()

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        if self.recogniser:
            asked = torch.arange(self.heard, device=self.device) % self.classes
            drawn = self.speak(asked)
            found = self.recogniser.hear(drawn)
            classes = len(set(found.tolist()))
            if classes < self.classes:
                notice(f"the recogniser hears only {classes} of {self.classes} classes in what the model says")
            loudness = torch.stack([_loudness(one) for one in drawn]).median() / self.loudness
            figures = {"recognised": (found == asked).float().mean(), "classes_heard": float(classes)}
            self.log_dict({f"test/{name}": value for name, value in {**figures, "loudness": loudness}.items()})

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return linear_baselines(data)

    def bounds(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return {"test sounds": {"test/recognised": self.recogniser.accuracy(data)}} if self.recogniser else {}

    @torch.no_grad()
    def speak(self, labels: Tensor) -> list[Tensor]:
        """Return a new sound `(T_i,)` in [-1, 1] for each of the classes `(N,)`, drawn by torch's global generator."""
        sounds: list[Tensor] = []
        for part in labels.split(TOGETHER):  # type: ignore[no-untyped-call]
            chosen = torch.randint(LENGTHS, (len(part),), device=part.device)
            lengths = self.lengths[part, chosen].clamp(max=BRIEF if self.fast_dev_run else LONGEST)
            y = self.conditions(part, lengths, int(lengths.max()))
            levels = draw(self.network, y, lengths, temperature=self.temperature)
            sounds += [decode(one[:length]) for one, length in zip(levels, lengths.tolist(), strict=True)]
        return sounds

    def sample(self, count: int, *, prompt: str | None = None, seed: int = 0) -> list[Sound]:
        """Return `count` sounds that follow from `seed`: of the class that `prompt` names, else of all in turn. Raises
        ConfigError if there is no such class."""
        asked = torch.arange(count, device=self.device) % self.classes
        if prompt is not None:
            asked[:] = self.spec.class_named(prompt, "WaveNet")
        with self.at_rest(seed):
            return [Sound(one, self.rate) for one in self.speak(asked)]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """A drawn sound of each class, under a test sound of it where these are known."""
        rows = {"test sound": self.real} if self.real else {}
        return {"samples": waveforms({**rows, "drawn": dict(enumerate(self._examples()))}, self.rate, self.names)}

    def sounds(self, batch: Batch) -> dict[str, Sound]:
        """The sounds of the picture, by their classes."""
        return {f"drawn-{name}": Sound(one, self.rate) for name, one in zip(self.names, self._examples(), strict=True)}

    def _examples(self) -> list[Tensor]:
        """Return a sound of each class, always with the same random numbers."""
        with own_randomness(self.device, seed=0):
            return self.speak(torch.arange(self.classes, device=self.device))


def _real(batch: Batch) -> Tensor:
    """Return which samples of a batch are real, `(B, T)`."""
    if batch.mask is None:
        return torch.ones_like(batch.inputs, dtype=torch.bool)  # type: ignore[arg-type]
    return batch.mask  # type: ignore[return-value]


def _loudness(sound: Tensor) -> Tensor:
    return sound.square().mean().sqrt()
