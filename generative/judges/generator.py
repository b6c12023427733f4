"""The base of models that generate images: all are judged alike."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from generative.judges.classifier import Judge
from generative.judges.judgement import Judgement, descriptions, require_enough
from lab.capabilities import refuse_prompt
from lab.config.roles import Roles
from lab.console.notices import notice
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.loader import plain_batches
from lab.data.spec import DataSpec
from lab.errors import ConfigError
from lab.system.randomness import kept_randomness
from lab.training import Model
from lab.training.captions import named_rows
from lab.training.pictures import grid, pictures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

SHOWN = 16  # samples beside which the nearest training image stands


class ImageGenerator(Model):
    """A model that draws images. A subclass has `generate`, and its losses.

    The judge of its samples is trained once for a data set, and saved with the model.

    Args:
        spec: of the images, which have classes if they are judged.
        fid_samples: generated images behind `test/classifier_fid`, at most as many as there are test images; null to
            leave the judge out.
    """

    family = "generative"
    films = ("samples",)
    roles = Roles(protocol=("fid_samples",))
    conditional = False
    """Whether `generate` takes the classes that it is to draw."""
    shares: Tensor
    """`(Y,)`: how frequent each class is among the training images, where the model is conditional."""

    def __init__(self, spec: DataSpec, fid_samples: int | None) -> None:
        super().__init__(spec)
        if fid_samples:
            require_enough(fid_samples)
        with kept_randomness():  # the model's first weights do not depend on whether it is judged
            self.judge = Judge(spec) if fid_samples else None
        self.fid_samples = fid_samples or 0
        self.judgement: Judgement | None = None

    @abstractmethod
    def generate(self, count: int, labels: Tensor | None = None) -> Tensor:
        """Return `count` new images `(count, C, H, W)` in [0, 1].

        `labels` `(count,)` are the classes to draw, for a conditional model; None for classes as in the training data.
        """

    @property
    def judged(self) -> dict[str, str]:
        """What the judge's figures mean, for `descriptions`; empty where there is no judge."""
        return descriptions(self.fid_samples, self.judge.classes) if self.judge else {}

    def count_classes(self, classes: int) -> None:
        """Learn in `adapt` how frequent each class is. Models that are conditional call it when they are built."""
        self.register_buffer("shares", torch.full((classes,), 1 / classes))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        if self.conditional:  # runs from before this buffer drew all classes equally often
            state_dict.setdefault(f"{prefix}shares", torch.full_like(self.shares, 1 / len(self.shares)))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def usual_classes(self, count: int) -> Tensor:
        """Return so many classes, `(count,)`, as frequent as in the training data."""
        return self.shares.multinomial(count, replacement=True)

    def adapt(self, data: DataModule) -> None:
        """Raise ConfigError where the judge cannot be trained on these data: before the generator is, not after it."""
        super().adapt(data)
        if self.conditional:
            counts = sum(y.bincount(minlength=len(self.shares)) for _, y in plain_batches(data, self.device, seed=0))
            self.shares.copy_(counts / counts.sum())
        if self.judge:
            try:
                data.unchanged(self.device)
            except ConfigError as error:
                raise ConfigError(
                    f"{error}, which the judge of samples needs; model.fid_samples=null is without"
                ) from error

    def settle(self, data: DataModule) -> None:
        if self.judge:
            self.judge.learn(data, fast_dev_run=self.fast_dev_run)

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        if self.judge:
            self.judge.require_trained(data, fast_dev_run=fast_dev_run)
            with torch.no_grad():
                self.judgement = Judgement(self.judge, data, self.fid_samples, device)

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        if self.judgement:
            figures = self.judgement.figures(self.generate)
            found, classes = int(figures["classes_found"]), self.judgement.judge.classes
            if found < classes:
                notice(
                    f"the judge finds {found} of {classes} classes among the samples: the others are rare or missing"
                )
            if self.conditional:
                figures["class_agreement"] = self.judgement.agreement(lambda asked: self.generate(len(asked), asked))
            self.log_dict({f"test/{name}": value for name, value in figures.items()})

    @torch.no_grad()
    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        judgement = self._judging(data)
        return judgement.baselines() if judgement else {}

    @torch.no_grad()
    def bounds(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        judgement = self._judging(data)
        return judgement.bounds() if judgement else {}

    def sample(self, count: int, *, prompt: str | None = None, seed: int = 0) -> list[Image]:
        """Return `count` images that follow from `seed`. A prompt is the name or number of a class, for a conditional
        model; else ConfigError is raised."""
        with self.at_rest(seed):
            return pictures(self.generate(count, self._asked(prompt, count)))

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """A grid of samples, one class a row where the model is conditional; once the training images are known, also
        samples above their nearest training images."""
        labels = None
        if self.conditional:
            classes = self.spec.require_classes(type(self).__name__)
            labels = torch.arange(100, device=self.device) // 10 % classes
        samples = self.generate(100, labels)
        drawn = {"samples": grid(samples, columns=10)}
        if self.judgement:
            shown = samples[:: max(1, len(samples) // SHOWN)][:SHOWN]
            pairs = torch.cat([shown, self.judgement.closest(shown)])
            drawn["nearest"] = named_rows(pairs, ("sample", "nearest training image"), SHOWN)
        return drawn

    def _judging(self, data: DataModule) -> Judgement | None:
        if self.judge and not self.judgement:
            self.prepare_test(data, self.device)
        return self.judgement

    def _asked(self, prompt: str | None, count: int) -> Tensor | None:
        if not self.conditional:
            refuse_prompt(prompt, type(self).__name__)
        if prompt is None:
            return None
        number = self.spec.class_named(prompt, type(self).__name__)
        return torch.full((count,), number, device=self.device)
