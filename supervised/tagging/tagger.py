"""Tagging: an encoder of the words of a sentence, and a conditional random field (Lample et al. 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from lab.capabilities import Prediction
from lab.config.types import Probability
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec, Tags
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.sequences.crf import CRF
from lab.training.exportable import Exportable
from supervised.tagging.baselines import simple_taggers
from supervised.tagging.drawn import Told, drawn, written
from supervised.tagging.spans import PREFIXES, Span, SpanScore, rows_of, spans

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from PIL.Image import Image
    from torchmetrics import Metric

    from lab.data.tokenizers.base import Tokenizer

# Dimensions: B sentences, T words, K tags.


class Tagger(Exportable):
    """Gives each word of a sentence a tag, such as where a date begins and goes on.

    Args:
        encoder: with features at each word, such as a bidirectional Recurrent.
        crf: whether tags depend on their neighbours, by a conditional random field; without it, each word has a softmax
            of its own.
        dropout: probability of dropping a feature of the encoder.
    """

    family = "supervised"
    results = ("logits",)
    descriptions = {
        "test/f1": "of the spans that tags make, all labels together: harmonic mean of precision and recall, where a "
        "span is right if its label and both of its ends are",
        "test/precision": "share of the predicted spans that are right",
        "test/recall": "share of the true spans that are found",
        "test/accuracy": "share of the words whose tag is right",
        "pictures/spans": "test sentences, mistakes first: true spans above the words, predicted ones below",
        "texts/spans": "test sentences with a mistake, their true and their predicted spans",
    }

    def __init__(
        self, spec: DataSpec, *, encoder: EncoderFactory, crf: bool = True, dropout: Probability = 0.0
    ) -> None:
        super().__init__(spec)
        target = spec.target
        if not isinstance(target, Tags):
            raise ConfigError("Tagger needs a class for each word, as lab.data.Tagged has")
        form = spec.require_one_input("Tagger")
        if not form.time:
            raise ConfigError(f"Tagger needs sequences, received inputs of shape {form.shape}")
        self.names: Sequence[str] = target.names or tuple(map(str, range(target.n)))
        self.encoder = build_encoder(encoder, form)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.features_dim, target.n)
        self.crf = CRF(target.n) if crf else None
        self.tokenizer: Tokenizer | None = getattr(spec.reader, "tokenizer", None)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits of tags, `(B, T, K)`, for inputs `(B, T, ...)` and a mask `(B, T)`. Those of a conditional
        random field have no softmax of their own: the scores of transitions belong to them."""
        features = self.encoder.features(x, mask) if mask is not None else self.encoder.features(x)
        return self.head(self.dropout(features))  # type: ignore[no-any-return]

    def told(self) -> dict[str, Any]:
        if self.crf is None:
            return {}
        return {name: value.tolist() for name, value in self.crf.named_parameters()}

    def decode(self, logits: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the most probable tags, `(B, T)`."""
        return logits.argmax(2) if self.crf is None else self.crf.decode(logits, mask)[0]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        logits, mask, tags = self._logits(batch)
        return {"loss": self._nats(logits, mask, tags)}

    def metrics(self) -> dict[str, Metric]:
        labels = sorted({name[2:] for name in self.names if name.startswith(PREFIXES)})
        found: dict[str, Metric] = {what: SpanScore(self.names, what) for what in ("f1", "precision", "recall")}
        found |= {f"f1_{label}": SpanScore(self.names, "f1", label) for label in labels}
        return found | {"accuracy": MulticlassAccuracy(len(self.names), average="micro", ignore_index=Tags.NONE)}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        logits, mask, tags = self._logits(batch)
        predicted = self.decode(logits, mask)
        for metric in metrics.values():
            metric.update(predicted, tags)
        return {"loss": self._nats(logits, mask, tags)}

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return simple_taggers(data, self.metrics)

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        return {**super().artifacts(), **({"tokenizer": self.tokenizer.save} if self.tokenizer else {})}

    def predict(self, inputs: Tensor, mask: Tensor | None = None) -> list[Prediction]:
        """Return the spans in each input `(B, T)`, with a mask `(B, T)`: label, words, and the number of the first and
        the last one, counted from 1. `?` is a word that the training sentences lack."""
        with self.at_rest(seed=0):
            real = torch.ones_like(inputs, dtype=torch.bool) if mask is None else mask
            found = self.decode(self(inputs.to(self.device), real.to(self.device)), real.to(self.device)).cpu()
        rows = rows_of(found.masked_fill(~real, Tags.NONE), self.names)
        return [
            Prediction(things=[_thing(span, words) for span in spans(tags)])
            for tags, words in zip(rows, map(self._words, inputs, real), strict=True)
        ]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        return {"spans": drawn(self._told(batch))} if self.tokenizer else {}

    def texts(self, batch: Batch) -> dict[str, str]:
        wrong = [one for one in self._told(batch) if one.wrong] if self.tokenizer else []
        return {"spans": "\n\n".join(map(written, wrong))} if wrong else {}

    def _told(self, batch: Batch) -> list[Told]:
        """Return sentences with their spans, those with a mistake first."""
        assert isinstance(batch.inputs, Tensor)
        logits, mask, tags = self._logits(batch)
        predicted = self.decode(logits, mask).masked_fill(tags == Tags.NONE, Tags.NONE)
        true, found = (rows_of(one, self.names) for one in (tags, predicted))
        every = [
            Told(words, list(spans(one)), list(spans(other)))
            for words, one, other in zip(map(self._words, batch.inputs, mask), true, found, strict=True)
        ]
        return sorted(every, key=lambda one: not one.wrong)

    def _words(self, ids: Tensor, real: Tensor) -> list[str]:
        """Return the words of one sentence, `(T,)`."""
        kept = ids[real].tolist()
        return [self.tokenizer.decode([one]) if self.tokenizer else str(one) for one in kept]

    def _logits(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, `(B, T, K)`, which words are real, and their tags, `(B, T)`."""
        x, tags = batch
        mask = torch.ones_like(tags, dtype=torch.bool) if batch.mask is None else batch.mask
        assert isinstance(mask, Tensor)
        return self(x, mask), mask, tags

    def _nats(self, logits: Tensor, mask: Tensor, tags: Tensor) -> Tensor:
        """Return the mean negative log-likelihood of a word's tag, in nats."""
        if self.crf is None:
            return F.cross_entropy(logits.transpose(1, 2), tags, ignore_index=Tags.NONE)
        return -self.crf.log_likelihood(logits, tags.clamp(min=0), mask).sum() / mask.sum()


def _thing(span: Span, words: Sequence[str]) -> dict[str, str | float]:
    inside = " ".join(words[span.first : span.end])
    return {"label": span.label, "words": inside, "from": span.first + 1, "to": span.end}
