"""A text that is written for another one: an encoder, and a decoder that attends to it (Sutskever et al. 2014; Bahdanau
et al. 2015; Vaswani et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric

from lab.capabilities import Prediction
from lab.config.roles import Roles
from lab.config.types import NonNegativeFloat, PositiveInt, Probability
from lab.data.batch import Batch
from lab.data.spec import DataSpec, InputSpec
from lab.data.tokenizers.base import END, MARKS, PAD, START, Tokenizer
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.sequences.beam_search import beam_search, repeated
from lab.nn.sequences.decoders import SequenceDecoderFactory
from lab.training.exportable import Exportable
from supervised.translation.maps import attention_maps

if TYPE_CHECKING:
    from PIL.Image import Image
    from torchmetrics import Metric

# Dimensions: B pairs, S tokens of a source, T of what is written, V token ids.

DRAWN, WRITTEN = 4, 8  # pairs whose attention is drawn, and that are written, while a model trains


class EncoderDecoder(Exportable):
    """Writes a text token by token: each from the source and from the tokens before it. It is trained with the true
    tokens before each (teacher forcing), by cross-entropy.

    Args:
        encoder: of the source, with features at each token, such as a Recurrent or a Transformer, not causal.
        decoder: what attends to them, `lab.nn.sequences.attentive_gru.AttentiveGRU` or
            `lab.nn.sequences.decoders.CausalTransformer`.
        tie_weights: whether the encoder's token vectors are also those of what is written, and the last layer
            (Vaswani et al. 2017, section 3.4). They must be as wide as the features of the decoder.
        label_smoothing: probability mass spread evenly over all tokens (Szegedy et al. 2016, section 7).
        beam_width: texts of a beam search that are followed at once, in the test and for predictions.
        length_penalty: of the beam search (Wu et al. 2016, section 7); 0 favours short texts.
    """

    family = "supervised"
    results = ("logits",)
    roles = Roles(protocol=("beam_width", "length_penalty"))

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        decoder: SequenceDecoderFactory,
        tie_weights: bool = True,
        label_smoothing: Probability = 0.0,
        beam_width: PositiveInt = 4,
        length_penalty: NonNegativeFloat = 0.6,
    ) -> None:
        super().__init__(spec)
        who = type(self).__name__
        source, tokens = _source(spec, who), spec.require_tokens(who)
        self.length, self.tokenizer = tokens.length, _tokenizer(tokens.tokenizer, who)
        self.encoder = build_encoder(encoder, source)
        own = getattr(self.encoder, "embedding", None)
        if tie_weights and not (isinstance(own, nn.Embedding) and own.num_embeddings == tokens.vocab):
            raise ConfigError(
                f"tie_weights needs an encoder with vectors of all {tokens.vocab} tokens, its embedding; "
                f"{type(self.encoder).__name__} has none; set tie_weights to false"
            )
        width = own.embedding_dim if isinstance(own, nn.Embedding) else self.encoder.features_dim
        self.decoder = decoder(width, self.encoder.features_dim, self.length)
        self.embedding: nn.Embedding | None = None
        self.head: nn.Linear | None = None
        if tie_weights and self.decoder.features_dim != width:
            raise ConfigError(
                f"tie_weights needs a decoder with as many features as a token's vector has numbers, {width}, "
                f"received {self.decoder.features_dim}"
            )
        if not tie_weights:
            self.embedding = nn.Embedding(tokens.vocab, width)
            nn.init.normal_(self.embedding.weight, std=width**-0.5)
            self.head = nn.Linear(self.decoder.features_dim, tokens.vocab)
        self.label_smoothing = label_smoothing
        self.beam_width, self.length_penalty = beam_width, length_penalty
        self.testing = False

    @property
    def arguments(self) -> Mapping[str, InputSpec]:
        assert isinstance(self.spec.input, dict)
        return {name: self.spec.input[name] for name in ("source", "written")}  # in the order of forward

    def told(self) -> Mapping[str, Any]:
        return {"start": START, "end": END}

    def forward(self, source: Tensor, written: Tensor) -> Tensor:
        """Return logits of each next token, `(B, T, V)`, for sources `(B, S)` without padding, which end with `END`,
        and what is written so far, `(B, T)`, which begins with `START`."""
        return self._logits(self.decoder(self._vectors(written), self.remembered(source, None)))

    def remembered(self, source: Tensor, mask: Tensor | None) -> Any:
        """Return what the decoder keeps of encoded sources, `(B, S)` with a mask `(B, S)`."""
        return self.decoder.remember(self.encoder.features(source, mask), mask)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        logits, targets = self._predicted(batch, self.kept_of(batch))
        smoothing = self.label_smoothing if self.training else 0.0
        loss = F.cross_entropy(logits, targets, label_smoothing=smoothing)
        return {"loss": loss, "accuracy": (logits.detach().argmax(1) == targets).float().mean()}

    def metrics(self) -> dict[str, Metric]:
        return {"perplexity": Perplexity()}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        remembered = self.kept_of(batch)
        logits, targets = self._predicted(batch, remembered)
        loss = F.cross_entropy(logits, targets)
        metrics["perplexity"].update(loss, batch.weight)
        assert isinstance(batch.inputs, dict)
        assert isinstance(batch.targets, Tensor)
        self.judge(self.texts_of(batch.inputs["source"]), remembered, self.texts_of(batch.targets), metrics)
        return {"loss": loss}

    def judge(
        self, sources: Sequence[str], remembered: Any, references: Sequence[str], metrics: Mapping[str, Metric]
    ) -> None:
        """Update metrics of what the model writes for sources, given what the decoder keeps of these."""

    def write(self, remembered: Any, batch: int, *, width: int, penalty: float) -> list[list[int]]:
        """Return the tokens that a beam search finds for each of `batch` sources, without `END`. With a width of 1 each
        token is the most probable one."""
        first = torch.full((batch,), START, device=self.device)
        common = repeated(remembered, width)

        def step(last: Tensor, state: Any) -> tuple[Tensor, Any]:
            features, state = self.decoder.extend(self._vectors(last[:, None]), state, common)
            logits = self._logits(features[:, -1])
            logits[:, [PAD, START]] = -torch.inf
            return logits, state

        found = beam_search(step, None, first, end=END, width=width, length=self.length, penalty=penalty)
        return [[token for token in best.tokens if token != END] for best, *_ in found]

    def predict(self, inputs: Tensor, mask: Tensor | None = None) -> list[Prediction]:
        """Return what the beam search writes for token ids `(B, S)`, which end with `END`, and a mask `(B, S)`."""
        with self.at_rest(seed=0):
            given = self.remembered(inputs.to(self.device), mask if mask is None else mask.to(self.device))
            found = self.write(given, len(inputs), width=self.beam_width, penalty=self.length_penalty)
        return [Prediction(text=self.tokenizer.decode(tokens)) for tokens in found]

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        return {**super().artifacts(), "tokenizer": self.tokenizer.save}

    def texts(self, batch: Batch) -> dict[str, str]:
        """What is written for the first sources of a batch; they are the same each time."""
        sources, references, found = self._first(batch, WRITTEN)
        written = [self.tokenizer.decode(tokens) for tokens in found]
        parts = zip(self.texts_of(sources), written, references, strict=True)
        told = [f"source    {source}\nwritten   {ours}\nexpected  {true}" for source, ours, true in parts]
        return {"written": "\n\n".join(told)}

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Where the decoder looks while it writes, for the first sources of a batch."""
        sources, _, found = self._first(batch, DRAWN)
        maps = []
        for source, tokens in zip(sources, found, strict=True):
            real = source[source != PAD]
            written = torch.tensor([START, *tokens], device=self.device)
            weights = self.decoder.weights(self._vectors(written[None]), self.remembered(real[None], None))[0]
            maps.append((weights.cpu(), self._pieces(real.tolist()), self._pieces([*tokens, END])))
        return {"attention": attention_maps(maps)}

    def texts_of(self, ids: Tensor) -> list[str]:
        """Return the texts of token ids `(B, T)`, without marks."""
        return [self.tokenizer.decode([token for token in row if token >= len(MARKS)]) for row in ids.tolist()]

    def on_validation_epoch_start(self) -> None:
        self.testing = False
        super().on_validation_epoch_start()

    def on_test_epoch_start(self) -> None:
        self.testing = True
        super().on_test_epoch_start()

    def kept_of(self, batch: Batch) -> Any:
        """Return what the decoder keeps of the encoded sources of a batch."""
        assert isinstance(batch.inputs, dict)
        assert isinstance(batch.mask, dict)
        return self.remembered(batch.inputs["source"], batch.mask["source"])

    def _predicted(self, batch: Batch, remembered: Any) -> tuple[Tensor, Tensor]:
        """Return logits `(n, V)` and true tokens `(n,)` of all real steps of a batch."""
        assert isinstance(batch.inputs, dict)
        assert isinstance(batch.targets, Tensor)
        real = batch.targets != PAD
        return self._logits(self.decoder(self._vectors(batch.inputs["written"]), remembered)[real]), batch.targets[real]

    def _first(self, batch: Batch, count: int) -> tuple[Tensor, list[str], list[list[int]]]:
        """Return the first sources of a batch, what is expected for them, and the tokens that are written."""
        assert isinstance(batch.inputs, dict)
        assert isinstance(batch.mask, dict)
        assert isinstance(batch.targets, Tensor)
        sources, mask = batch.inputs["source"][:count], batch.mask["source"][:count]
        given = self.remembered(sources, mask)
        found = self.write(given, len(sources), width=self.beam_width, penalty=self.length_penalty)
        return sources, self.texts_of(batch.targets[:count]), found

    def _vectors(self, tokens: Tensor) -> Tensor:
        embedding = self.embedding or self.encoder.embedding
        return embedding(tokens)  # type: ignore[no-any-return, operator]

    def _logits(self, features: Tensor) -> Tensor:
        if self.head is not None:
            return self.head(features)  # type: ignore[no-any-return]
        return F.linear(features, self.encoder.embedding.weight)  # type: ignore[union-attr, arg-type]

    def _pieces(self, tokens: Sequence[int]) -> list[str]:
        return ["(end)" if token == END else self.tokenizer.decode([token]) or " " for token in tokens]


class Perplexity(MeanMetric):  # type: ignore[misc]
    """The exponential of the mean over all tokens, in nats."""

    def compute(self) -> Tensor:
        nats: Tensor = super().compute()
        return nats.exp()


def _source(spec: DataSpec, who: str) -> InputSpec:
    """Return the form of the sources. Raises ConfigError where the data are no pairs of texts."""
    if not isinstance(spec.input, dict) or spec.input.keys() != {"source", "written"}:
        raise ConfigError(f"{who} needs pairs of texts, such as lab.data.Translations; this data set has other inputs")
    return spec.input["source"]


def _tokenizer(tokenizer: Tokenizer | None, who: str) -> Tokenizer:
    if tokenizer is None:
        raise ConfigError(f"{who} writes texts, but the tokens of this data set stand for none")
    return tokenizer
