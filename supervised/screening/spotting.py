"""One word against all others, in noise: error rates by the kind of the noise and by how loud it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics.classification import BinaryEER

from lab.config.types import NonNegativeFloat, PositiveFloat, Probability
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.sound import Sound
from lab.data.spec import DataSpec
from lab.data.spoken.mixed import Condition
from lab.encoders.base import EncoderFactory
from supervised.screening.in_noise import error_rates, simple_spotters
from supervised.screening.noise_figures import by_ratio, detection, in_noise, rates_by_kind, table
from supervised.screening.scores import Scored
from supervised.screening.screening import Screening

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torchmetrics import Metric

SHOWN = (0.0, 10.0, 20.0)
"""Decibels of the examples that are drawn and heard."""


class Spotting(Screening):
    """A screening of sounds for one word. Its figure is the equal error rate: misses and false alarms at the threshold
    where both have the same share. It is told for all test examples; where the data say in which noise they are, for
    each ratio of word and noise and each kind of noise too.

    Args:
        positive, recall, miss_cost, encoder, label_smoothing, encoder_rate, scale, focal: see `Screening`.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        positive: str,
        recall: Probability = 0.95,
        miss_cost: PositiveFloat = 10.0,
        label_smoothing: Probability = 0.0,
        encoder_rate: PositiveFloat = 1.0,
        scale: bool = False,
        focal: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(
            spec,
            encoder=encoder,
            positive=positive,
            recall=recall,
            miss_cost=miss_cost,
            label_smoothing=label_smoothing,
            encoder_rate=encoder_rate,
            scale=scale,
            focal=focal,
        )
        self.conditions: Sequence[Condition] = ()
        """The noise of each test example, in order."""
        self.descriptions = {
            **self.descriptions,
            "test/eer": "equal error rate over all test examples: mean of the shares of misses and of false alarms at "
            "the threshold where they are closest",
            "test/eer_10db": "the same where the noise is 10 decibels weaker than the word",
            "pictures/detection": "misses over false alarms at every threshold, for each ratio of word and noise (DET "
            "curve)",
            "pictures/error_rates": "equal error rate by the ratio of word and noise, for each kind of noise",
        }

    def metrics(self) -> dict[str, Metric]:
        return {**super().metrics(), "eer": BinaryEER()}

    def count(self, scored: Scored, metrics: Mapping[str, Metric]) -> None:
        super().count(scored, metrics)
        metrics["eer"].update(scored.scores, scored.truth)

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        super().prepare_test(data, device, fast_dev_run=fast_dev_run)
        self.conditions = getattr(data, "conditions", ())

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        rates = error_rates(*self._scored(), self.conditions)
        self.log_dict({f"test/{name}": rate for name, rate in rates.items()})

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return simple_spotters(data, self.positive)

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Those of a screening; after the test, error rates and curves by the noise, and examples with it."""
        drawn = super().pictures(batch)
        for name in ("reliability", "cost", "precision_recall"):
            drawn.pop(name, None)
        if self.tested and self.conditions:
            word, (scores, truth) = self.names[self.positive], self._scored()
            drawn["detection"] = detection(scores, truth, self.conditions, word)
            drawn["error_rates"] = by_ratio(rates_by_kind(scores, truth, self.conditions), word)
            shown = self._examples(batch)
            if self.rate and shown:
                sounds, titles, wrong = zip(*shown, strict=True)
                drawn["spectrograms"] = in_noise(sounds, titles, wrong, self.rate)
        return drawn

    def texts(self, batch: Batch) -> dict[str, str]:
        """The error rates as a table, after the test."""
        if not (self.tested and self.conditions):
            return {}
        return {"error_rates": table(rates_by_kind(*self._scored(), self.conditions))}

    def sounds(self, batch: Batch) -> dict[str, Sound]:
        """After the test, its first recordings in all kinds of noise; and misclassified sounds."""
        shown = self._examples(batch) if self.tested and self.conditions and self.rate else []
        examples = {_as_name(title): Sound(sound, self.rate or 0) for sound, title, _ in shown}
        return examples | super().sounds(batch)

    def _scored(self) -> tuple[Tensor, Tensor]:
        """Return the scores of all test examples, and whether they are of the word, `(N,)` each."""
        scores, truth = ([getattr(one, name) for one in self.tested] for name in ("scores", "truth"))
        return torch.cat(scores).cpu(), torch.cat(truth).cpu()

    def _examples(self, batch: Batch) -> list[tuple[Tensor, str, bool]]:
        """Return the first of the word and the first other ones of the first test batch in each kind of noise, at three
        ratios: each sound without padding, what it is, and whether it is a mistake at the threshold."""
        inputs, labels = batch
        mask = batch.mask
        assert isinstance(mask, Tensor)
        scores = self(inputs, mask).softmax(1)[:, self.positive]
        shown: dict[tuple[bool, Condition], tuple[Tensor, str, bool]] = {}
        for i, condition in enumerate(self.conditions[: len(batch)]):
            truth = bool(labels[i] == self.positive)
            name = self.names[self.positive] if truth else f"not {self.names[self.positive]}"
            told = f"{name} in {condition.kind} at {condition.ratio:g} dB, score {float(scores[i]):.2f}"
            wrong = bool(scores[i] >= self.threshold) != truth
            if condition.ratio in SHOWN:
                shown.setdefault((truth, condition), (inputs[i, mask[i]].cpu(), told, wrong))
        return list(shown.values())


def _as_name(title: str) -> str:
    return title.replace(", ", "-").replace(" ", "-")
