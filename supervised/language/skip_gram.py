"""Vectors of words that predict the words around them: skip-gram with negative sampling (Mikolov et al. 2013,
'Distributed representations of words and phrases and their compositionality', section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.capabilities import Prediction
from lab.config.roles import Roles
from lab.config.types import PositiveInt
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.data.tokenizers.words import Words
from lab.data.words.contexts import PAD
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.training.exportable import Exportable
from supervised.language.counted_pairs import counted_pairs, word_counts
from supervised.language.word_map import word_map

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from PIL.Image import Image

# Dimensions: B words, K places around each, n negatives, F features, V token ids.

POWER = 0.75
"""Of the words' shares of the text, by which negatives are drawn (section 2.2)."""
NEAREST = 10  # neighbours of a word that are predicted
TOLD = 6  # that are shown
MAPPED, SKIPPED = 150, 50
"""Words of the map, by how frequent they are, and how many of the most frequent are left out."""


class SkipGram(Exportable):
    """A vector for each word, whose product with the vector of another word as a neighbour says how likely that word
    is near: it tells neighbours from words drawn at random.

    For a word w with the neighbour c, the loss is -log s(u_c v_w) - n E[log s(-u_x v_w)], where s is the logistic
    function, and x is drawn by the words' shares of the text to the power of 3/4 (equation 4). In training, words are
    drawn; the neighbours of one word share what is drawn for it. In validation and test, the expectation is exact.

    Args:
        encoder: of single words, `Embedding`.
        negatives: words drawn for each pair, n.
        shown: words whose neighbours are shown. Where the text lacks all of them, frequent words are.
    """

    family = "supervised"
    results = ("vectors",)
    roles = Roles(indifferent=("shown",))
    descriptions = {
        "test/loss": "nats of telling one neighbour from the negatives, exact over all negatives; a random guess has "
        "(1 + negatives) log 2",
        "texts/neighbours": "words, each with the words whose vectors are most like its own, and their cosines",
        "pictures/map": "frequent words: those with vectors that are alike are near each other (t-SNE)",
    }
    noise: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        negatives: PositiveInt = 5,
        shown: Sequence[str] = ("king", "man", "mother", "love", "death", "sword", "heart", "night", "london", "noble"),
    ) -> None:
        super().__init__(spec)
        form, tokens = spec.require_one_input("SkipGram"), spec.require_tokens("SkipGram")
        if form.shape != (1,) or not isinstance(tokens.tokenizer, Words):
            raise ConfigError(
                f"SkipGram needs single words with their neighbours, as lab.data.WordContexts gives them; the inputs "
                f"have shape {form.shape}"
            )
        self.encoder = build_encoder(encoder, form)
        self.contexts = nn.Embedding(tokens.vocab, self.encoder.features_dim)  # u
        nn.init.zeros_(self.contexts.weight)  # as in the paper's code
        self.register_buffer("noise", torch.zeros(tokens.vocab))  # (V,)
        self.tokenizer, self.negatives = tokens.tokenizer, negatives
        known = {word: i for i, word in enumerate(self.tokenizer.known, 2)}
        found = [known[word] for word in shown if word in known]
        self.shown = found or [*range(2 + SKIPPED, len(self.tokenizer))][: len(shown)]

    def forward(self, x: Tensor) -> Tensor:
        """Return the vectors v of words, `(B, F)`, for token ids `(B, 1)`."""
        return self.encoder(x)  # type: ignore[no-any-return]

    def adapt(self, data: DataModule) -> None:
        counts = word_counts(data)
        self.noise.copy_(counts**POWER / (counts**POWER).sum())

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, around = batch
        vectors, real = self(x), around != PAD
        scores = (self.contexts(around.clamp(min=0)) @ vectors[:, :, None])[..., 0]  # (B, K)
        near = F.logsigmoid(scores).masked_fill(~real, 0).sum(1)
        if self.training:
            drawn = torch.multinomial(self.noise, len(x) * self.negatives, replacement=True).view(len(x), -1)
            far = F.logsigmoid(-(self.contexts(drawn) @ vectors[:, :, None])[..., 0]).mean(1)
        else:
            far = F.logsigmoid(-vectors @ self.contexts.weight.T) @ self.noise  # (B,)
        pairs = real.sum(1)
        return {"loss": -(near + self.negatives * pairs * far).sum() / pairs.sum().clamp(min=1)}

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """Scores from counts: of the neighbours alone, whatever the word, and of pairs of a word and a neighbour."""
        return counted_pairs(data, self.noise, self.negatives)

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        return {**super().artifacts(), "tokenizer": self.tokenizer.save}

    def predict(self, inputs: Tensor) -> list[Prediction]:
        """Return for each of the token ids `(B, 1)` the words with the most similar vectors, and their cosines."""
        with self.at_rest(seed=0):
            found = self._neighbours(inputs.to(self.device), NEAREST)
        return [
            Prediction(things=[{"label": word, "similarity": round(cosine, 4)} for word, cosine in one])
            for one in found
        ]

    def texts(self, batch: Batch) -> dict[str, str]:
        """Some words, each with its neighbours in a line."""
        words = [self.tokenizer.known[i - 2] for i in self.shown]
        found = self._neighbours(torch.tensor(self.shown, device=self.device)[:, None], TOLD)
        lines = [
            f"{word}: " + ", ".join(f"{other} {cosine:.2f}" for other, cosine in one)
            for word, one in zip(words, found, strict=True)
        ]
        return {"neighbours": "\n".join(lines)}

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """A map of frequent words, those of `shown` among them."""
        frequent = range(min(2 + SKIPPED, len(self.tokenizer) // 2), len(self.tokenizer))
        ids = [*dict.fromkeys([*self.shown, *frequent])][:MAPPED]
        vectors = self._unit_vectors()[ids].float().cpu()
        return {"map": word_map(vectors, [self.tokenizer.known[i - 2] for i in ids], strong=len(self.shown))}

    def _unit_vectors(self) -> Tensor:
        """Return the vectors of all token ids with a length of 1, `(V, F)`."""
        return F.normalize(self(torch.arange(len(self.tokenizer), device=self.device)[:, None]), dim=1)

    def _neighbours(self, x: Tensor, count: int) -> list[list[tuple[str, float]]]:
        """Return for each of `(B, 1)` the most similar words and their cosines."""
        every = self._unit_vectors()
        cosines = every[x[:, 0]] @ every.T
        cosines.scatter_(1, x, -torch.inf)  # itself
        cosines[:, :2] = -torch.inf  # padding and unknown words
        values, ids = cosines.topk(min(count, max(1, len(self.tokenizer) - 3)), dim=1)
        rows = zip(ids.tolist(), values.tolist(), strict=True)
        return [[(self.tokenizer.known[i - 2], cosine) for i, cosine in zip(*row, strict=True)] for row in rows]
