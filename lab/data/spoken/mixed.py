"""Recordings mixed with noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Unpack

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lab.data.batch import Batch
from lab.data.batches import CutBatches, Options
from lab.data.own.examples import Clip
from lab.data.spoken.noise import Babble, at_ratio, pink, white
from lab.errors import DataError
from lab.system.randomness import derived_seed

KINDS = ("white", "pink", "babble")
VOICES = 5  # of babble
SCALE = 32_768


class Condition(NamedTuple):
    """The kind of the noise, and by how many decibels it is weaker than the word."""

    kind: str
    ratio: float


class Recipe(NamedTuple):
    """What mixtures are made of: numbers of recordings, of kinds of noise, and decibels, one for each mixture."""

    recordings: Tensor
    kinds: Tensor
    ratios: Tensor


class MixedBatches(CutBatches):
    """Batches of recordings in noise, each with silence of random length around it before the noise is added.

    The ratio is that of the mean power of the recording over its own samples to the mean power of the noise. Babble is
    of other recordings than that of the mixture, none of them of the word. All that is random depends on `drawn_with`,
    the epoch and the batch.

    Args:
        clips: the recordings of one split.
        word: number of its class.
        recipe: the mixtures; None to draw `count` of them anew in each epoch.
        count: of the mixtures.
        share: of the drawn mixtures that are of the word.
        ratios: of the drawn mixtures, in decibels, at least and at most.
        margin: samples of silence at most, on either side.
        rate: samples per second.
        device: of the batches.
        drawn_with: seed.
        options: see `Options`.

    Raises DataError where there are too few recordings.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        word: int,
        *,
        recipe: Recipe | None,
        count: int,
        share: float,
        ratios: tuple[float, float],
        margin: int,
        rate: int,
        device: torch.device,
        drawn_with: int,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(count, device, **options)
        self.sounds = [clip.samples.float() / SCALE for clip in clips]
        self.said = torch.tensor([clip.label == word for clip in clips])
        self.powers = torch.stack([one.square().mean() for one in self.sounds])
        self.fixed, self.share, self.ratios = recipe, share, ratios
        self.margin, self.rate, self.drawn_with = margin, rate, drawn_with
        others = (~self.said).nonzero().flatten()
        longest = max(map(len, self.sounds))
        if len(others) in (0, len(clips)):
            raise DataError("mixtures need recordings of the word and of others in each split")
        self.babble = Babble([self.sounds[i] for i in others.tolist()], VOICES)
        if not self.babble.room(longest + 2 * margin, longest):
            raise DataError("there are too few recordings of other words in a split to make babble of them")
        self.place = torch.full((len(clips),), -1)  # of a recording among those of babble
        self.place[others] = torch.arange(len(others))
        self.recipe = recipe or self._drawn()

    def order(self) -> Tensor:
        if self.fixed is None:
            self.recipe = self._drawn()
        return super().order()

    def take(self, chosen: Tensor) -> Batch:
        return self.cut(chosen.cpu(), chosen)

    def cut(self, here: Tensor, chosen: Tensor) -> Batch:
        epoch = self.epoch if self.fixed is None else 0
        generator = torch.Generator().manual_seed(derived_seed(self.drawn_with, epoch, int(here[0])))
        recordings, kinds, ratios = (part[here] for part in self.recipe)
        words = [self.sounds[i] for i in recordings.tolist()]
        margins = torch.randint(self.margin + 1, (len(words), 2), generator=generator)
        lengths = torch.tensor([len(one) for one in words]) + margins.sum(1)
        silent = [torch.zeros(one) for one in margins[:, 0].tolist()]
        clean = pad_sequence([torch.cat(pair) for pair in zip(silent, words, strict=True)], batch_first=True)
        longest = int(lengths.max())
        clean = torch.nn.functional.pad(clean, (0, longest - clean.shape[1]))
        noises = (
            white(len(words), longest, generator),
            pink(len(words), longest, self.rate, generator),
            self.babble(self.place[recordings], longest, generator),
        )
        noise = torch.stack(noises)[kinds, torch.arange(len(words))]
        mixed = clean + at_ratio(noise, self.powers[recordings], ratios)
        mask = torch.arange(longest) < lengths[:, None]
        mixed = mixed.masked_fill(~mask, 0)
        mixed = mixed / mixed.abs().amax(1, keepdim=True).clamp(min=1)  # as a wav file holds it
        return Batch(mixed, self.said[recordings].long(), mask).to(self.device)

    def _drawn(self) -> Recipe:
        """Return new mixtures, of the word by a share, in all kinds of noise alike."""
        generator = torch.Generator().manual_seed(derived_seed(self.drawn_with, self.epoch))
        own, others = self.said.nonzero().flatten(), (~self.said).nonzero().flatten()
        of_word = torch.rand(self.count, generator=generator) < self.share
        places = torch.rand(2, self.count, generator=generator, dtype=torch.float64)
        recordings = torch.where(of_word, own[(places[0] * len(own)).long()], others[(places[1] * len(others)).long()])
        low, high = self.ratios
        ratios = low + (high - low) * torch.rand(self.count, generator=generator)
        return Recipe(recordings, torch.randint(len(KINDS), (self.count,), generator=generator), ratios)


def grid(said: Sequence[bool], conditions: Sequence[Condition], count: int) -> Recipe:
    """Return `count` mixtures: each recording in all conditions, one recording after the other. `said` is whether each
    is of the word; recordings of it stand among the others at equal distances, from the first on, so that also few
    mixtures have some."""
    own, others = ([i for i, one in enumerate(said) if bool(one) is wanted] for wanted in (True, False))
    places = [(i / len(own), number) for i, number in enumerate(own)]
    places += [((i + 1) / (len(others) + 1), number) for i, number in enumerate(others)]
    numbers = torch.tensor([number for _, number in sorted(places)])
    at = torch.arange(count)
    condition = at % len(conditions)
    return Recipe(
        numbers[at // len(conditions) % len(numbers)],
        torch.tensor([KINDS.index(one.kind) for one in conditions])[condition],
        torch.tensor([one.ratio for one in conditions])[condition],
    )
