"""A model of music: what sounds at each step, from the steps before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from generative.autoregressive.causality import require_causal
from generative.music.baselines import music_baselines
from generative.music.chords import CHORDS, Chord, IndependentKeys
from generative.music.rolls import Nearest, rolls
from lab.capabilities import refuse_prompt
from lab.config.types import PositiveInt, Probability
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.files.score import KEYS, Score
from lab.data.sound import Sound
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.system.randomness import own_randomness
from lab.training.exportable import Exportable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from PIL.Image import Image
    from torchmetrics import Metric

# Dimensions: B pieces, T steps, K keys.

SHOWN, HEARD = 6, 3  # pieces that are drawn, and that are heard, while a model trains


class MusicModel(Exportable):
    """Predicts the keys that sound at each step from those of the steps before it.

    Args:
        encoder: with features at each step that depend on no later one: a Recurrent, or a causal Transformer.
        chord: `independent`: given the past, each key sounds or not whatever the others do; `in_turn`: it depends on
            the keys below it too.
        hidden: units through which keys depend on each other, with `in_turn`.
        dropout: probability of dropping a feature of the encoder.
        sample_length: steps of a piece that is drawn.
    """

    family = "generative"
    results = ("nats",)

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        chord: Chord = "independent",
        hidden: PositiveInt = 64,
        dropout: Probability = 0.0,
        sample_length: PositiveInt = 64,
    ) -> None:
        super().__init__(spec)
        form = spec.require_one_input("MusicModel")
        if len(form.shape) != 2 or form.shape[1] != KEYS:
            raise ConfigError(f"MusicModel needs pieces of music of shape (T, {KEYS}), received inputs of {form.shape}")
        if sample_length > form.shape[0]:
            raise ConfigError(
                f"model.sample_length must be at most {form.shape[0]}, the steps of the longest piece, received "
                f"{sample_length}"
            )
        self.encoder = build_encoder(encoder, form)
        nothing = torch.zeros(1, *form.shape)
        require_causal(self.encoder, nothing, torch.cat([nothing[:, :-1], torch.ones(1, 1, KEYS)], 1), "MusicModel")
        self.dropout = nn.Dropout(dropout)
        self.chords = CHORDS[chord](self.encoder.features_dim, KEYS, hidden)
        self.sample_length = sample_length
        self.nearest: Nearest | None = None
        self.descriptions = {
            "test/loss": "nats per step over all 88 keys, the first step of each piece included",
            "test/nll": "nats per step over all 88 keys, without the first step of each piece, as is published",
        }

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return -log p of each step given those before it in nats, `(B, T)`, for pieces `x` `(B, T, K)` and a mask
        `(B, T)`."""
        return self.chords.nll(self._features(x, mask), x)

    def export(self, path: Path) -> Sequence[str]:
        """Write an ONNX file. Raises ConfigError with `chord: in_turn`, whose steps depend on the music."""
        if not isinstance(self.chords, IndependentKeys):
            raise ConfigError("a model with chord: in_turn cannot be an ONNX file; one with chord: independent can")
        return super().export(path)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        nats, real = self._nats(batch)
        return {"loss": nats[real].mean()}

    def metrics(self) -> dict[str, Metric]:
        return {"nll": MeanMetric()}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        nats, real = self._nats(batch)
        metrics["nll"].update(nats[:, 1:][real[:, 1:]])
        return {"loss": nats[real].mean()}

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return music_baselines(data)

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.nearest = Nearest(data, device)

    def compose(self, count: int) -> Tensor:
        """Return new pieces, `(count, sample_length, 88)`, drawn by torch's global generator."""
        pieces = torch.zeros(count, 0, KEYS, device=self.device)
        for _ in range(self.sample_length):
            unknown = pieces.new_zeros(count, 1, KEYS)  # its features depend on the steps before alone
            last = self._features(torch.cat([pieces, unknown], 1), None)[:, -1]
            pieces = torch.cat([pieces, self.chords.sample(last)[:, None]], 1)
        return pieces

    def sample(self, count: int, *, prompt: str | None = None, seed: int = 0) -> list[Score]:
        """Return `count` new pieces, which follow from `seed`. Raises ConfigError if a prompt is given."""
        refuse_prompt(prompt, "MusicModel")
        with self.at_rest(seed):
            return [Score.of(piece) for piece in self.compose(count)]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """New pieces as piano rolls; once the training pieces are known, beside the most similar passages of these."""
        pieces = self._examples()
        return {"samples": rolls(pieces, self.nearest.passages(pieces) if self.nearest else None)}

    def sounds(self, batch: Batch) -> dict[str, Sound]:
        """New pieces; the first of those of the picture."""
        return {f"sample-{i}": Score.of(piece) for i, piece in enumerate(self._examples()[:HEARD], 1)}

    def _examples(self) -> Tensor:
        """Return the pieces that are shown, always drawn with the same random numbers."""
        with own_randomness(self.device, seed=0):
            return self.compose(SHOWN)

    def _features(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return features of the steps before each step, `(B, T, F)`. Before the first one is a step of silence."""
        before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
        return self.dropout(self.encoder.features(before, mask) if mask is not None else self.encoder.features(before))  # type: ignore[no-any-return]

    def _nats(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the nats of each step, `(B, T)`, and which steps are real."""
        pieces, mask = batch.inputs, batch.mask
        assert isinstance(pieces, Tensor)
        assert not isinstance(mask, dict)
        nats = self(pieces, mask)
        return nats, torch.ones_like(nats, dtype=torch.bool) if mask is None else mask
