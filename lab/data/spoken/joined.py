"""Recordings joined to sequences, with silence between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Unpack

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lab.data.batch import Batch
from lab.data.batches import CutBatches, Options
from lab.data.lengths import POOL
from lab.data.own.examples import Clip

PAD = -1  # fills up the labels of a shorter sequence; no word has it


class Plan(NamedTuple):
    """How sequences are drawn: their words at least and at most, and the samples of each silence."""

    fewest: int
    most: int
    shortest_silence: int
    longest_silence: int


class JoinedBatches(CutBatches):
    """Batches of sequences that are joined from recordings.

    Args:
        clips: the recordings.
        plan: how many words and how long silences a sequence has.
        count: of the sequences.
        device: that the recordings are moved to.
        drawn_with: seed of the sequences, where `seed` is None and they stay the same; otherwise they are drawn anew in
            each epoch, from `seed` and the epoch.
        options: see `Options`.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        plan: Plan,
        count: int,
        device: torch.device,
        *,
        drawn_with: int = 0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(count, device, **options)
        self.plan = plan
        self.sounds = [clip.samples.to(device) for clip in clips]
        self.classes = [clip.label for clip in clips]
        said: dict[str, dict[int, list[int]]] = {}
        for number, clip in enumerate(clips):
            said.setdefault(clip.speaker, {}).setdefault(clip.label, []).append(number)
        self.said = [[said[one][label] for label in sorted(said[one])] for one in sorted(said)]
        """Numbers of the recordings of each speaker and word."""
        if self.seed is None:
            self._draw(torch.Generator().manual_seed(drawn_with))

    def order(self) -> Tensor:
        if self.seed is None:
            return super().order()
        generator = self.order_generator()
        self._draw(generator)
        # As in LengthBatches; what is drawn is in no order already.
        whole = self.count // self.batch_size * self.batch_size
        pools = torch.arange(whole).split(POOL * self.batch_size)  # type: ignore[no-untyped-call]
        by_length = torch.cat([pool[self.lengths[pool].argsort(stable=True)] for pool in pools])
        batches = by_length.view(-1, self.batch_size)
        return torch.cat(
            [batches[torch.randperm(len(batches), generator=generator)].flatten(), torch.arange(whole, self.count)]
        )

    def take(self, chosen: Tensor) -> Batch:
        return self.cut(chosen.cpu(), chosen)

    def cut(self, here: Tensor, chosen: Tensor) -> Batch:
        numbers = here.tolist()
        parts = [self._join(self.recordings[i], self.silences[i]) for i in numbers]
        lengths = self.lengths[here].to(self.device)
        labels = [torch.tensor([self.classes[one] for one in self.recordings[i]]) for i in numbers]
        sounds = pad_sequence(parts, batch_first=True)
        mask = torch.arange(sounds.shape[1], device=self.device) < lengths[:, None]
        targets = pad_sequence(labels, batch_first=True, padding_value=PAD).to(self.device)
        return Batch(sounds, targets, mask)

    def _draw(self, generator: torch.Generator) -> None:
        """Set recordings and silences of each sequence, and its length in samples, `(count,)`."""
        fewest, most, shortest, longest = self.plan

        def below(numbers: Tensor) -> Tensor:
            return (torch.rand(numbers.shape, generator=generator, dtype=torch.float64) * numbers).long()

        speakers = below(torch.full((self.count,), len(self.said))).tolist()
        sizes = (fewest + below(torch.full((self.count,), most - fewest + 1))).tolist()
        words = below(torch.tensor([[len(self.said[one])] * most for one in speakers])).tolist()
        which = torch.rand(self.count, most, generator=generator, dtype=torch.float64).tolist()
        silences = (shortest + below(torch.full((self.count, most + 1), longest - shortest + 1))).tolist()
        self.recordings: list[list[int]] = []
        for speaker, size, row, places in zip(speakers, sizes, words, which, strict=True):
            choices = [self.said[speaker][word] for word in row[:size]]
            self.recordings.append([some[int(place * len(some))] for some, place in zip(choices, places, strict=False)])
        self.silences = [row[: size + 1] for row, size in zip(silences, sizes, strict=True)]
        self.lengths = torch.tensor(
            [
                sum(len(self.sounds[one]) for one in recordings) + sum(silences)
                for recordings, silences in zip(self.recordings, self.silences, strict=True)
            ]
        )

    def _join(self, recordings: Sequence[int], silences: Sequence[int]) -> Tensor:
        """Return recordings with silence before, between and after them, `(T,)`, int16."""
        empty = self.sounds[0].new_zeros
        parts = [empty(silences[0])]
        for one, silence in zip(recordings, silences[1:], strict=True):
            parts += [self.sounds[one], empty(silence)]
        return torch.cat(parts)
