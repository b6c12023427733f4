"""Pairs of texts: what all data sets of such pairs have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from lab.console.wording import count, some
from lab.data.base import Batches
from lab.data.batches import Options
from lab.data.lengths import LengthBatches, moved
from lab.data.own.sheets import read_sheet
from lab.data.own.splits import tenths
from lab.data.tokenizers.base import END, PAD, START
from lab.errors import DataError

Pair = tuple[str, str]
"""A source and its target."""


class Pairs(NamedTuple):
    """What a loader returns: pairs of training, validation and test; a hash of all; what the user should know, one
    sentence each."""

    splits: tuple[Sequence[Pair], Sequence[Pair], Sequence[Pair]]
    sha256: str
    notes: Sequence[str] = ()


class Encoded(NamedTuple):
    """Token ids of sources and targets, without marks."""

    sources: Sequence[Sequence[int]]
    targets: Sequence[Sequence[int]]


def batches(encoded: Encoded, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
    """Return batches of pairs with similar lengths.

    Inputs are `source` `(B, S)`, which ends with `END`, and `written` `(B, T)`, the target after `START`; targets are
    `(B, T)`, the token after each of `written`, the last of which is `END`, and `PAD` where it is padding. A mean
    over a batch is taken over the real targets.
    """

    def sequences(ids: Sequence[Sequence[int]], first: int | None, last: int | None) -> list[torch.Tensor]:
        before, after = ([] if mark is None else [mark] for mark in (first, last))
        return moved([torch.tensor([*before, *one, *after]) for one in ids], device)

    inputs = {"source": sequences(encoded.sources, None, END), "written": sequences(encoded.targets, START, None)}
    options: Options = {"batch_size": batch_size, "seed": seed, "drop_last": False}
    targets = sequences(encoded.targets, None, END)
    return LengthBatches(inputs, targets, pad=PAD, pad_target=PAD, weigh="steps", **options)


def read_pairs(place: Path, source: str = "source", target: str = "target") -> Pairs:
    """Return the pairs of a csv or tsv file of the user's, in the columns of these names.

    A tenth of the different sources is tested and another tenth validated, chosen by their hashes.

    Raises ConfigError where the path holds other data or a column is missing, DataError where a text is empty or there
    are too few different sources.
    """
    sheet = read_sheet(place)
    columns = {"data.source": source, "data.target": target}
    sides = [sheet.cells(sheet.place(setting, column)) for setting, column in columns.items()]
    if empty := [line for line, *pair in zip(sheet.lines, *sides, strict=True) if not all(pair)]:
        where = f"line{'s' * (len(empty) > 1)} {some([*map(str, empty)], most=5)}"
        raise DataError(f"{sheet.file}: a text is missing in {where}; expected two in every row")
    split_of = tenths(sides[0], sheet.file, "source")
    splits: tuple[list[Pair], list[Pair], list[Pair]] = ([], [], [])
    for pair in zip(*sides, strict=True):
        splits[split_of[pair[0]]].append(pair)
    numbers = f"{count(len(splits[2]), 'pair')} of {len(sides[0]):,} are tested and {len(splits[1]):,} validated"
    note = f"{numbers}: a tenth of the different sources each, chosen by a hash of them"
    return Pairs(splits, sheet.sha256, [*sheet.notes, note])
