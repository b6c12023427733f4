"""Hidden words of a sentence, to be guessed from those around them (Devlin et al. 2019, 'BERT', section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric

from lab.capabilities import Prediction
from lab.config.types import Fraction
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.data.tokenizers.words import Words
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.training.exportable import Exportable
from supervised.language.masked_baselines import masked_baselines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torchmetrics import Metric

# Dimensions: B sentences, T words, V token ids, F features, M hidden words.

MASKED, CHANGED = 0.8, 0.9
"""Of the chosen words so many are hidden, and up to here replaced by a random word; the rest stays (section 3.1)."""
GUESSES = 5
SHOWN = 8  # sentences
BLANK = "____"


class Hidden(NamedTuple):
    """Sentences with hidden words, `(B, T)`, and which were chosen, `(B, T)`."""

    inputs: Tensor
    chosen: Tensor


class MaskedLanguageModel(Exportable):
    """Guesses words of a sentence that were hidden, from the words on both sides, by cross-entropy.

    A share of the words is chosen. Of these, 80 % become the token of unknown words, 10 % a random word, and 10 % stay.
    In training they are drawn anew each time; in validation and test they are always the same. Unknown words are never
    chosen. The encoder's token vectors are the last layer too.

    What is used elsewhere is the encoder: a classifier of such texts can begin with it.

    Args:
        encoder: with features for each word and token vectors as wide, such as `Transformer` with causal: false.
        share: of the words that are chosen.
    """

    family = "supervised"
    results = ("logits",)
    descriptions = {
        "test/accuracy": "share of the hidden words that are guessed right",
        "test/perplexity": "exponential of the mean nats per hidden word",
        "texts/guesses": "sentences of the test with hidden words, and the model's most probable guesses",
    }

    def __init__(self, spec: DataSpec, *, encoder: EncoderFactory, share: Fraction = 0.15) -> None:
        super().__init__(spec)
        form = spec.require_one_input("MaskedLanguageModel")
        tokenizer = getattr(spec.reader, "tokenizer", None)
        if form.dtype != "int64" or len(form.shape) != 1 or not isinstance(tokenizer, Words):
            raise ConfigError(
                "MaskedLanguageModel needs texts as words, as lab.data.Sentences gives them; the inputs are "
                f"{form.dtype} of shape {form.shape}"
            )
        self.tokenizer, self.share = tokenizer, share
        self.encoder = build_encoder(encoder, form)
        width, embedding = self.encoder.features_dim, getattr(self.encoder, "embedding", None)
        if not isinstance(embedding, nn.Embedding) or embedding.weight.shape != (len(tokenizer), width):
            raise ConfigError(
                f"MaskedLanguageModel needs an encoder with token vectors of shape {(len(tokenizer), width)} as its "
                f"`embedding`, which {type(self.encoder).__name__} does not have"
            )
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(len(tokenizer)))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits of the word at each place, `(B, T, V)`, for token ids and a mask `(B, T)`."""
        return self.logits(self.encoder.features(x, mask) if mask is not None else self.encoder.features(x))

    def logits(self, features: Tensor) -> Tensor:
        """Return logits `(..., V)` for features `(..., F)`."""
        return F.linear(self.transform(features), self.encoder.embedding.weight, self.bias)  # type: ignore[union-attr, arg-type]

    def hide(self, x: Tensor, mask: Tensor, generator: torch.Generator | None = None) -> Hidden:
        """Return sentences `(B, T)` in which words are hidden; at least one in a batch of more than unknown words."""
        real = mask & (x != Words.UNKNOWN) & (x != Words.PAD)
        drawn, how = torch.rand(2, *x.shape, generator=generator, device=x.device)
        chosen = real & ((drawn < self.share) | (drawn == drawn.masked_fill(~real, 2).min()))
        others = torch.randint(Words.UNKNOWN + 1, len(self.tokenizer), x.shape, generator=generator, device=x.device)
        hidden = torch.where(chosen & (how < CHANGED), others, x)
        return Hidden(hidden.masked_fill(chosen & (how < MASKED), Words.UNKNOWN), chosen)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        nats, right = self._guessed(batch)
        return {"loss": nats.mean(), "accuracy": right.float().mean()}

    def metrics(self) -> dict[str, Metric]:
        return {"accuracy": MeanMetric(), "perplexity": Perplexity()}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        nats, right = self._guessed(batch)
        metrics["accuracy"].update(right.float())
        metrics["perplexity"].update(nats)
        return {"loss": nats.mean()}

    def fixed(self, batch: Batch) -> Hidden:
        """Return what is hidden of a batch in validation and test: all chosen words, the same on each device. In
        training some are left or replaced; these would be known in part."""
        x, mask = batch.inputs, batch.mask
        assert isinstance(x, Tensor)
        assert isinstance(mask, Tensor)
        chosen = self.hide(x.cpu(), mask.cpu(), torch.Generator().manual_seed(0)).chosen.to(x.device)
        return Hidden(x.masked_fill(chosen, Words.UNKNOWN), chosen)

    def _guessed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the nats of each chosen word and whether it is guessed, `(M,)` each."""
        x, mask = batch.inputs, batch.mask
        assert isinstance(x, Tensor)
        assert isinstance(mask, Tensor)
        hidden = self.hide(x, mask) if self.training else self.fixed(batch)
        logits = self.logits(self.encoder.features(hidden.inputs, mask)[hidden.chosen])  # (M, V)
        words = x[hidden.chosen]
        return F.cross_entropy(logits, words, reduction="none"), logits.detach().argmax(1) == words

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return masked_baselines(data, self.fixed, len(self.tokenizer))

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        return {**super().artifacts(), "tokenizer": self.tokenizer.save}

    def predict(self, inputs: Tensor, mask: Tensor | None = None) -> list[Prediction]:
        """Return the most probable words for each unknown word of the token ids `(B, T)`. Raises ConfigError for a
        sentence without one."""
        mask = torch.ones_like(inputs, dtype=torch.bool) if mask is None else mask
        with self.at_rest(seed=0):
            probabilities = self(inputs.to(self.device), mask.to(self.device)).softmax(2).cpu()
        found = []
        for x, real, row in zip(inputs.cpu(), mask, probabilities, strict=True):
            blanks = (real & (x == Words.UNKNOWN)).nonzero()[:, 0].tolist()
            if not blanks:
                raise ConfigError(f"there is no word to guess in {self.tokenizer.decode(x.tolist())!r}: write {BLANK}")
            things: list[dict[str, str | float]] = [
                {**({"blank": f"{i}"} if len(blanks) > 1 else {}), "label": word, "probability": round(p, 4)}
                for i, place in enumerate(blanks, 1)
                for word, p in self._most_probable(row[place])
            ]
            found.append(Prediction(things=things))
        return found

    def texts(self, batch: Batch) -> dict[str, str]:
        """Some sentences with hidden words, and what the model guesses."""
        x, mask, hidden = batch.inputs, batch.mask, self.fixed(batch)
        assert isinstance(x, Tensor)
        assert isinstance(mask, Tensor)
        probabilities = self(hidden.inputs[:SHOWN], mask[:SHOWN]).softmax(2)
        told = []
        for row in range(len(probabilities)):
            blanks = (hidden.chosen[row] & (hidden.inputs[row] == Words.UNKNOWN)).nonzero()[:, 0].tolist()
            words = [self.tokenizer.decode([i]) for i in x[row][mask[row]].tolist()]
            numbers = {place: number for number, place in enumerate(blanks, 1)}
            sentence = " ".join(f"{BLANK}{numbers[i]}" if i in numbers else word for i, word in enumerate(words))
            guesses = [
                f"  {number} {words[place]}: "
                + ", ".join(f"{word} {p:.2f}" for word, p in self._most_probable(probabilities[row, place]))
                for place, number in numbers.items()
            ]
            told.append("\n".join([sentence, *guesses]))
        return {"guesses": "\n\n".join(told)}

    def _most_probable(self, probabilities: Tensor) -> list[tuple[str, float]]:
        """Return the most probable known words among `(V,)`, with their probabilities."""
        known = probabilities[Words.UNKNOWN + 1 :]
        values, ids = known.topk(min(GUESSES, len(known)))
        return [(self.tokenizer.known[i], p) for i, p in zip(ids.tolist(), values.tolist(), strict=True)]


class Perplexity(MeanMetric):  # type: ignore[misc]
    """The exponential of the mean nats."""

    def compute(self) -> Tensor:
        return super().compute().exp()  # type: ignore[no-any-return]
