"""Transcription by connectionist temporal classification (Graves et al. 2006): an encoder, and at each of its steps a
distribution over the labels and a blank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.capabilities import Prediction
from lab.config.roles import Roles
from lab.config.types import PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.sequences.ctc import Transcript, greedy, prefix_beam_search
from lab.training.exportable import Exportable
from supervised.transcription.baselines import by_silence
from supervised.transcription.errors import ErrorRate, SequenceAccuracy
from supervised.transcription.shown import Heard, drawn, played

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from PIL.Image import Image
    from torchmetrics import Metric

    from lab.data.base import Batches
    from lab.data.sound import Sound

# Dimensions: B sounds, T samples, T' steps of the encoder, V labels, L labels of the longest transcript.

SHOWN = 4


class Transcriber(Exportable):
    """Transcribes sounds. The loss is -log p(labels) over all paths of labels and blanks that stand for them.

    Args:
        encoder: whose `features` are a sequence of at least as many steps as a sound has labels.
        beam: beginnings of a transcript that are kept by the beam search, for the test and for predictions. Validation
            takes the most probable path, which is faster.
    """

    family = "supervised"
    results = ("logits",)
    roles = Roles(protocol=("beam",))
    descriptions = {
        "test/loss": "nats of the true labels, per label",
        "test/error_rate": "substitutions, deletions and insertions divided by the number of true labels, for the most "
        "probable path",
        "test/beam_error_rate": "the same for the most probable labels of a beam search",
        "test/sequence_accuracy": "share of the sequences whose labels are all right, for the most probable path",
        "test/no_silence_error_rate": "error rate of the beam search where the same recordings are joined without "
        "silence",
        "test/long_silence_error_rate": "error rate of the beam search where the same recordings are joined with "
        "longer silences than in training",
        "pictures/transcripts": "test examples with their true and predicted labels; below each, the probability of "
        "each label over time",
    }

    def __init__(self, spec: DataSpec, *, encoder: EncoderFactory, beam: PositiveInt = 8) -> None:
        super().__init__(spec)
        tokens = spec.require_tokens("Transcriber")
        if tokens.tokenizer is None:
            raise ConfigError("Transcriber writes labels as text, but the tokens of this data set stand for no text")
        self.pad, self.tokenizer, self.beam = tokens.pad, tokens.tokenizer, beam
        self.encoder = build_encoder(encoder, spec.require_one_input("Transcriber"))
        self.blank = tokens.vocab
        self.head = nn.Linear(self.encoder.features_dim, tokens.vocab + 1)
        self.rate = getattr(spec.input, "sample_rate", None)
        """Samples per second, where the inputs are sounds."""
        self.others: Mapping[str, Batches] = {}
        """The test sequences joined otherwise, by name."""
        self.mistakes: list[Heard] = []

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits of the labels and, last, the blank at each step, `(B, T', V + 1)`, for inputs `(B, T)` and a
        mask `(B, T)`."""
        return self.head(self.encoder.features(x, mask) if mask is not None else self.encoder.features(x))  # type: ignore[no-any-return]

    def told(self) -> Mapping[str, Any]:
        return {"labels": [self.tokenizer.decode([label]) for label in range(self.blank)], "blank": self.blank}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self._loss(*self._logits(batch), batch)}

    def metrics(self) -> dict[str, Metric]:
        return {"error_rate": ErrorRate(), "sequence_accuracy": SequenceAccuracy()}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        logits, real = self._logits(batch)
        true, predicted = self._labels(batch), [one.labels for one in greedy(logits, real, blank=self.blank)]
        for name in ("error_rate", "sequence_accuracy"):
            metrics[name].update(predicted, true)
        if "beam_error_rate" in metrics:
            searched = [best.labels for best, *_ in self._searched(logits, real)]
            metrics["beam_error_rate"].update(searched, true)
            wrong = [i for i, one in enumerate(searched) if one != true[i]]
            self.mistakes += self._heard(batch, logits, real, wrong[: SHOWN - len(self.mistakes)])
        return {"loss": self._loss(logits, real, batch)}

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        others: Callable[[torch.device], Mapping[str, Batches]] | None = getattr(data, "other_tests", None)
        self.others = others(device) if others and not fast_dev_run else {}

    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self.running["beam_error_rate"] = ErrorRate().to(self.device)
        self.mistakes = []

    def on_test_epoch_end(self) -> None:
        for name, batches in self.others.items():
            metric = self.running[f"{name}_error_rate"] = ErrorRate().to(self.device)
            for batch in batches:
                metric.update([best.labels for best, *_ in self._searched(*self._logits(batch))], self._labels(batch))
        super().on_test_epoch_end()

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return by_silence(data, {"test/error_rate": ErrorRate, "test/sequence_accuracy": SequenceAccuracy})

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        return {**super().artifacts(), "tokenizer": self.tokenizer.save}

    def predict(self, inputs: Tensor, mask: Tensor | None = None) -> list[Prediction]:
        """Return the transcript of each input `(B, T)` by beam search, and its probability, for inputs on any device;
        sequences may have a mask, `(B, T)`."""
        with self.at_rest(seed=0):
            real = None if mask is None else mask.to(self.device)
            logits = self(inputs.to(self.device), real)
            found = self._searched(logits, real if real is None else self.encoder.features_mask(real))
        return [
            Prediction(
                text=self.tokenizer.decode(best.labels),
                probability=min(1.0, float(torch.tensor(best.log_probability).exp())),
            )
            for best, *_ in found
        ]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Some examples, and the first mistakes of the test, each with the probabilities of the labels over time."""
        if self.rate is None:
            return {}
        known = self.told()["labels"]
        shown = {"transcripts": drawn(self._examples(batch), self.rate, known)}
        return shown | ({"mistakes": drawn(self.mistakes, self.rate, known)} if self.mistakes else {})

    def texts(self, batch: Batch) -> dict[str, str]:
        """True and predicted labels of some examples, a line each."""
        told = [
            f"true {self.tokenizer.decode(one.true)}: {self.tokenizer.decode(one.predicted)}"
            for one in self._examples(batch)
        ]
        return {"transcripts": "\n".join(told)}

    def sounds(self, batch: Batch) -> dict[str, Sound]:
        """The examples of the picture, and the first mistakes of the test."""
        if self.rate is None:
            return {}
        named = {"example": self._examples(batch), "mistake": self.mistakes}
        return {
            name: sound for what, ones in named.items() for name, sound in played(what, ones, self.rate, self.tokenizer)
        }

    def _examples(self, batch: Batch) -> list[Heard]:
        return self._heard(batch, *self._logits(batch), range(min(SHOWN, len(batch))))

    def _logits(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the logits of a batch, and which of its steps are real, `(B, T')`."""
        inputs, mask = batch.inputs, batch.mask
        assert isinstance(inputs, Tensor)
        assert not isinstance(mask, dict)
        return self(inputs, mask), mask if mask is None else self.encoder.features_mask(mask)

    def _loss(self, logits: Tensor, real: Tensor | None, batch: Batch) -> Tensor:
        """Return the mean of the nats per label of each sequence, `-log p(labels) / L`."""
        targets = batch.targets
        assert isinstance(targets, Tensor)
        steps = torch.full((len(logits),), logits.shape[1]) if real is None else real.sum(1)
        return F.ctc_loss(
            logits.log_softmax(2).transpose(0, 1),
            targets.clamp(min=0),
            steps,
            (targets != self.pad).sum(1),
            blank=self.blank,
            zero_infinity=True,  # a sound that was made too fast for its labels
        )

    def _labels(self, batch: Batch) -> list[list[int]]:
        targets = batch.targets
        assert isinstance(targets, Tensor)
        return [row[row != self.pad].tolist() for row in targets]

    def _searched(self, logits: Tensor, real: Tensor | None) -> list[list[Transcript]]:
        return prefix_beam_search(logits, real, width=self.beam, blank=self.blank)

    def _heard(self, batch: Batch, logits: Tensor, real: Tensor | None, chosen: Iterable[int]) -> list[Heard]:
        """Return examples of a batch, without padding."""
        found, true = self._searched(logits, real), self._labels(batch)
        inputs, mask = batch.inputs, batch.mask
        assert isinstance(inputs, Tensor)
        assert not isinstance(mask, dict)
        heard = []
        for i in chosen:
            sound = inputs[i] if mask is None else inputs[i, mask[i]]
            steps = logits[i] if real is None else logits[i, real[i]]
            heard.append(Heard(sound.cpu(), steps.softmax(1).cpu(), true[i], found[i][0].labels))
        return heard
