"""Pieces of music as piano rolls, and the passages of the training pieces that are most like them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.data.base import DataModule
from lab.data.files.score import KEYS, LOWEST, Note, notes
from lab.training.pictures import canvas, rendered

if TYPE_CHECKING:
    from PIL.Image import Image

# Dimensions: N pieces, T steps, K keys.

OCTAVE = 12
SHIFTS = range(-6, 6)  # semitones by which a passage is shifted before it is compared


class Passage(NamedTuple):
    """Part of a training piece: its keys, `(T, K)`, shifted to those of a sample, and how much of both is the same."""

    keys: Tensor
    overlap: float


class Nearest:
    """Finds the passage of the training pieces that is most like a sample, in any key."""

    def __init__(self, data: DataModule, device: torch.device) -> None:
        self.pieces: list[Tensor] = []
        for batch in data.unchanged(device):
            keys, mask = batch.inputs, batch.mask
            assert isinstance(keys, Tensor)
            assert isinstance(mask, Tensor)  # pieces are padded
            self.pieces += [piece[real] for piece, real in zip(keys, mask, strict=True)]

    def passages(self, samples: Tensor) -> list[Passage]:
        """Return for each of `(N, T, K)` the passage with the greatest overlap: what sounds in both at a step, over
        what sounds in either (Jaccard's index)."""
        best = [Passage(torch.zeros_like(one), -1.0) for one in samples]
        length = samples.shape[1]
        sizes = samples.sum((1, 2))
        shifted = torch.cat([samples.roll(shift, 2) for shift in SHIFTS])  # (shifts N, T, K)
        for piece in self.pieces:
            padded = F.pad(piece, (0, 0, 0, max(0, length - len(piece))))
            both = F.conv1d(padded.T[None], shifted.transpose(1, 2))[0]  # (shifts N, places)
            there = F.conv1d(padded.sum(1)[None, None], padded.new_ones(1, 1, length))[0]
            overlap = both / (there + sizes.repeat(len(SHIFTS))[:, None] - both).clamp(min=1)
            top, place = overlap.max(1)
            top, shift = top.view(len(SHIFTS), -1).max(0)
            for i, found in enumerate(top.tolist()):
                if found > best[i].overlap:
                    at = int(place.view(len(SHIFTS), -1)[shift[i], i])
                    best[i] = Passage(padded[at : at + length].roll(-SHIFTS[int(shift[i])], 1), found)
        return best


def rolls(pieces: Tensor, passages: Sequence[Passage] | None = None) -> Image:
    """Draw pieces `(N, T, K)` as piano rolls, one below the other; beside each the passage that is most like it."""
    from matplotlib.collections import PolyCollection

    columns = 2 if passages else 1
    figure = canvas(5.5 * columns, 1.5 * len(pieces) + 0.5)
    panels = figure.subplots(len(pieces), columns, squeeze=False, sharex=True, sharey=True)
    every = [*pieces, *(passage.keys for passage in passages or ())]
    used = torch.stack([keys.amax(0) for keys in every]).amax(0).nonzero().flatten()
    low, high = (int(used[0]), int(used[-1])) if len(used) else (0, KEYS - 1)
    for i, piece in enumerate(pieces):
        shown = [(piece, f"sample {i + 1}")]
        if passages:
            shown.append((passages[i].keys, f"most similar training passage: {passages[i].overlap:.0%} in common"))
        for axes, (keys, title) in zip(panels[i], shown, strict=True):
            axes.add_collection(
                PolyCollection([_bar(note) for note in notes(keys)], color="tab:blue", linewidths=0), autolim=False
            )
            axes.set(xlim=(0, len(keys)), ylim=(low - 1, high + 1))
            octaves = [key for key in range(low, high + 1) if (key + LOWEST) % OCTAVE == 0]
            axes.set_yticks(octaves, [f"C{(key + LOWEST) // OCTAVE - 1}" for key in octaves])
            axes.set_axisbelow(True)
            axes.grid(axis="y", color="0.9")
            axes.set_title(title, fontsize=9)
    figure.supxlabel("quarter notes", fontsize=9)
    return rendered(figure)


def _bar(note: Note) -> list[tuple[float, float]]:
    """Return the corners of a note's bar: steps to the right, keys upwards."""
    left, right, low, high = note.start, note.end - 0.1, note.key - 0.45, note.key + 0.45
    return [(left, low), (right, low), (right, high), (left, high)]
