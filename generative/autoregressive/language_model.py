"""The language model: an encoder that sees no later token, and a linear layer (Bengio et al. 2003; Radford 2018)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric

from generative.autoregressive.causality import require_causal
from generative.autoregressive.generation import generate
from generative.autoregressive.ngrams import ngram_baselines
from lab.capabilities import Prediction
from lab.config.roles import Roles
from lab.config.types import Fraction, NonNegativeFloat, PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.data.tokenizers.base import Tokenizer
from lab.encoders.base import Encoder, EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.training.exportable import Exportable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torchmetrics import Metric

# Dimensions: B sequences, T tokens, V token ids.

SHOWN = 3  # samples that are drawn while a model trains
LINE = "\n" + "-" * 60 + "\n"


class LanguageModel(Exportable):
    """Predicts each token from the tokens before it, by cross-entropy.

    Args:
        encoder: with features at each step that depend on no later one: a causal Transformer, or a Recurrent.
        tie_weights: use the encoder's token vectors as the last layer too (Press & Wolf 2017; Inan et al. 2017); they
            must be as wide as its features.
        sample_length: tokens of a sample, after the prompt.
        temperature: of samples: the logits are divided by it. Less than 1 makes probable tokens more probable; 0 takes
            the most probable one.
        top_k: draw samples from so many most probable tokens; null for all.
        top_p: draw samples from the fewest most probable tokens that have this probability together (Holtzman et al.
            2020); 1 for all.
    """

    family = "generative"
    results = ("logits",)
    roles = Roles(indifferent=("sample_length", "temperature", "top_k", "top_p"), added={"top_k": None, "top_p": 1.0})

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        tie_weights: bool = True,
        sample_length: PositiveInt = 500,
        temperature: NonNegativeFloat = 0.8,
        top_k: PositiveInt | None = None,
        top_p: Fraction = 1.0,
    ) -> None:
        super().__init__(spec)
        tokens = spec.require_tokens("LanguageModel")
        self.pad, self.tokenizer = tokens.pad, tokens.tokenizer
        sequence = spec.require_one_input("LanguageModel")
        if sequence.vocab != tokens.vocab:
            raise ConfigError(
                "LanguageModel predicts tokens of the kind that it is given, but its inputs have "
                f"{sequence.vocab or 'no'} token ids and its targets {tokens.vocab}"
            )
        self.encoder = build_encoder(encoder, sequence)
        first = torch.zeros(1, *sequence.shape, dtype=torch.int64)
        other = torch.cat([first[:, :-1], torch.full((1, 1), tokens.vocab - 1)], 1)
        require_causal(self.encoder, first, other, "LanguageModel")
        self.head: nn.Linear | None = None
        if tie_weights:
            _require_embedding(self.encoder, tokens.vocab)
        else:
            self.head = nn.Linear(self.encoder.features_dim, tokens.vocab)
        self.sample_length, self.temperature = sample_length, temperature
        self.top_k, self.top_p = top_k, top_p
        self.descriptions = {
            "test/loss": f"nats per token over the whole test split, in sequences of at most {tokens.length} tokens",
            "test/bits_per_token": "the same in bits",
            "test/perplexity": "exponential of the nats per token",
        }

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits of each next token, `(B, T, V)`, for `x` `(B, T)` and a mask `(B, T)`."""
        return self.logits(self.encoder.features(x, mask) if mask is not None else self.encoder.features(x))

    def logits(self, features: Tensor) -> Tensor:
        """Return logits `(..., V)` for features `(..., F)`."""
        if self.head is not None:
            return self.head(features)  # type: ignore[no-any-return]
        return F.linear(features, self.encoder.embedding.weight)  # type: ignore[union-attr, arg-type]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self._cross_entropy(self(batch.inputs, batch.mask), batch)}

    def metrics(self) -> dict[str, Metric]:
        return {"bits_per_token": MeanOf(lambda nats: nats / math.log(2)), "perplexity": MeanOf(torch.exp)}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        loss = self._cross_entropy(self(batch.inputs, batch.mask), batch)
        for metric in metrics.values():
            metric.update(loss, batch.weight)
        return {"loss": loss}

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return ngram_baselines(data)

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        tokenizer = {"tokenizer": self.tokenizer.save} if self.tokenizer else {}
        return {**super().artifacts(), **tokenizer}

    def sample(
        self,
        count: int,
        *,
        prompt: str | None = None,
        seed: int = 0,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
    ) -> list[str]:
        """Return `count` texts that begin with `prompt`; without one, they follow the first token of the vocabulary,
        which among characters is the end of a line.

        They have `max_tokens` tokens after the prompt. What is None is as in the settings.

        Raises ConfigError if the vocabulary lacks a character of the prompt, if tokens stand for no text, or as
        `lab.nn.sequences.sampling.draw` does.
        """
        tokenizer = self._tokenizer()
        start = tokenizer.encode(prompt) if prompt else [0]
        with self.at_rest(seed):
            first = torch.tensor(start, device=self.device).expand(count, -1)
            new = generate(
                self.encoder,
                self.logits,
                first,
                self.sample_length if max_tokens is None else max_tokens,
                temperature=self.temperature if temperature is None else temperature,
                top_k=self.top_k if top_k is None else top_k,
                top_p=self.top_p if top_p is None else top_p,
            )
        return [(prompt or "") + tokenizer.decode(one) for one in new.tolist()]

    def predict(self, inputs: Tensor) -> list[Prediction]:
        """Return the most probable token after each of `(B, T)` token ids and its probability, T at most that of the
        spec. Raises ConfigError where tokens stand for no text."""
        tokenizer = self._tokenizer()
        with self.at_rest(seed=0):
            probability, token = self(inputs.to(self.device))[:, -1].softmax(1).max(1)
        return [Prediction(tokenizer.decode([i]), p) for i, p in zip(token.tolist(), probability.tolist(), strict=True)]

    def texts(self, batch: Batch) -> dict[str, str]:
        """A few samples; the same seed each time, so that one sees them change."""
        return {"samples": LINE.join(self.sample(SHOWN))} if self.tokenizer else {}

    def _cross_entropy(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the mean over all real tokens of the batch, in nats."""
        assert isinstance(batch.targets, Tensor)
        return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=self.pad)

    def _tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise ConfigError("the tokens of this data set stand for no text, but a sample or a prediction is one")
        return self.tokenizer


class MeanOf(MeanMetric):  # type: ignore[misc]
    """The mean over all tokens, said in another unit. `said` turns nats into it."""

    def __init__(self, said: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.said = said

    def compute(self) -> Tensor:
        return self.said(super().compute())


def _require_embedding(encoder: Encoder, vocab: int) -> None:
    """Raise ConfigError where the encoder's token vectors cannot be used as the last layer."""
    embedding, wanted = getattr(encoder, "embedding", None), (vocab, encoder.features_dim)
    if not isinstance(embedding, nn.Embedding) or embedding.weight.shape != wanted:
        found = f"{tuple(embedding.weight.shape)}" if isinstance(embedding, nn.Embedding) else "none"
        raise ConfigError(
            f"tie_weights needs an encoder with token vectors of shape {wanted} as its embedding, but "
            f"{type(encoder).__name__} has {found}; give them the width of its features, or set tie_weights to false"
        )
