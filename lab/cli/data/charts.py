"""Charts of data that have no picture of their own: columns of a table, a series, a text, ratings, pairs of texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lab.cli.data.tally import CPU
from lab.console.plain import plain
from lab.console.wording import count
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import Tokens, Values
from lab.data.tokenizers.base import MARKS
from lab.training.pictures import canvas, labels, literal, rendered

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLUMNS, MOST_LINES, MOST_WINDOWS = 12, 4, 8
ACROSS = 4  # histograms or windows beside each other
LOOKED_AT = 20_000  # rows of a table
MOST_CHARACTERS = 40
SHOWN = 8  # pairs of texts
BARS = 20  # different ratings that have a bar each; lines of a text that need no logarithm
UNDRAWN = "undrawn"  # a character that the font lacks
UNSEEN = {" ": "space", "\n": "line end", "\t": "tab"}
"""Names of characters that leave no ink."""


def columns(data: DataModule, names: Sequence[str]) -> Image.Image:
    """Draw how the numbers of each column are distributed over the training examples, in each class by itself."""
    batches = list(islice(data.train(CPU, 0, batch_size=1), LOOKED_AT))
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    titles = getattr(data.spec.reader, "features", ()) or [f"column {i + 1}" for i in range(x.shape[1])]
    drawn = min(len(titles), MOST_COLUMNS)
    figure = canvas(2.8 * min(drawn, ACROSS), 2.1 * -(-drawn // ACROSS) + 0.6)
    every = figure.subplots(-(-drawn // ACROSS), min(drawn, ACROSS), squeeze=False).flat
    shown = range(min(len(names), 10))
    for i, axes in enumerate(every):
        if i >= drawn:
            axes.set_visible(False)
            continue
        edges = np.histogram_bin_edges(x[:, i].numpy(), bins=20)
        for label in shown:
            axes.hist(x[y == label, i].numpy(), edges, histtype="step", label=names[label])
        axes.set_title(literal(titles[i]), fontsize=9)
        axes.tick_params(labelsize=7)
    lines, told = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, told, loc="outside lower center", ncols=min(len(told), 6), fontsize=8)
    figure.supylabel("training examples", fontsize=9)
    if drawn < len(titles):
        figure.suptitle(f"the first {drawn} of {len(titles):,} columns", fontsize=10)
    return rendered(figure)


def windows(data: DataModule, target: Values) -> Image.Image:
    """Draw what a model sees of a series, and after it what it is to predict, at some places of the training part."""
    examples = list(islice(data.train(CPU, 0, batch_size=1), MOST_WINDOWS))
    lines = range(min(MOST_LINES, target.shape[-1]))
    titles = [literal(name) for name in target.names] or [f"column {i + 1}" for i in lines]
    figure = canvas(2.8 * min(len(examples), ACROSS), 2.1 * -(-len(examples) // ACROSS) + 0.6)
    every = figure.subplots(-(-len(examples) // ACROSS), min(len(examples), ACROSS), squeeze=False).flat
    for axes, (past, future) in zip(every, examples, strict=False):
        steps = len(past[0])
        for i in lines:
            (line,) = axes.plot(range(1 - steps, 1), past[0, :, i], linewidth=1, label=titles[i])
            axes.plot(range(1, 1 + len(future[0])), future[0, :, i], "o", markersize=3, color=line.get_color())
        axes.tick_params(labelsize=7)
    figure.supxlabel("steps; dots are to be predicted", fontsize=9)
    handles, told = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, told, loc="outside upper center", ncols=len(told), fontsize=8)
    return rendered(figure)


def characters(text: str) -> Image.Image:
    """Draw the most frequent characters of a text, and how long its lines are."""
    often = Counter(text).most_common(MOST_CHARACTERS)
    names = labels([_name(one) for one, _ in often], UNDRAWN)
    names = [
        f"U+{ord(one):04X}" if name.startswith(UNDRAWN) else name for name, (one, _) in zip(names, often, strict=True)
    ]
    lines = sorted(len(line) for line in text.split("\n"))
    figure = canvas(11.2, 6)
    above, below = figure.subplots(2, 1)
    above.bar(range(len(often)), [100 * number / len(text) for _, number in often])
    above.set_xticks(range(len(often)), names, rotation=90, fontsize=8)
    above.set(xlim=(-1, len(often)), ylabel="% of all characters")
    different = len(set(text))
    told = "the most frequent of " if different > len(often) else ""
    above.set_title(f"{told}{different:,} different characters in {len(text):,}", fontsize=10)
    below.hist(lines, bins=min(60, lines[-1] + 1))
    below.set(xlabel="characters in a line", ylabel="lines", yscale="log" if len(lines) > BARS else "linear")
    below.set_title(
        f"{count(len(lines), 'line')}, the median one of {lines[len(lines) // 2]:,} characters", fontsize=10
    )
    return rendered(figure)


def _name(character: str) -> str:
    return UNSEEN.get(character, plain(character))


def ratings(data: DataModule) -> Image.Image:
    """Draw how ratings are distributed, and how many each user and each item has."""
    ids, values = _pairs(data)
    figure = canvas(3.8 * (1 + len(ids)), 3.4)
    first, *others = figure.subplots(1, 1 + len(ids), squeeze=False)[0]
    different, number = np.unique(values.numpy(), return_counts=True)
    if len(different) <= BARS:
        first.bar(range(len(different)), number)
        first.set_xticks(range(len(different)), [f"{one:g}" for one in different.tolist()], fontsize=8)
    else:
        first.hist(values.numpy(), bins=30)
    first.set(xlabel="rating", ylabel="ratings")
    first.set_title(f"{len(values):,} ratings, mean {float(values.mean()):.3g}", fontsize=10)
    for axes, (name, numbers) in zip(others, ids.items(), strict=True):
        _per_id(axes, name, numbers)
    return rendered(figure)


def translations(data: DataModule) -> Image.Image:
    """Draw how many tokens sources and translations have, and write some pairs."""
    assert isinstance(data.spec.target, Tokens)
    assert data.spec.target.tokenizer is not None
    every = list(islice(data.unchanged(CPU), LOOKED_AT))
    figure = canvas(11.2, 4.2)
    chart, table = figure.subplots(1, 2, width_ratios=[2, 3])
    most = max(int(part.sum(1).max()) for batch in every for part in _masks(batch).values())
    for name, told in (("source", "sources"), ("written", "translations")):
        sizes = torch.cat([_masks(batch)[name].sum(1) for batch in every])
        title = f"{told}, median {int(sizes.median()) - 1}"  # without the mark of the end or of the start
        chart.hist(sizes.numpy() - 1, bins=np.arange(most + 1) - 0.5, histtype="step", label=title)
    chart.set(xlabel="tokens", ylabel="texts of the training pairs")
    chart.legend(fontsize=8)
    texts = [data.spec.target.tokenizer.decode(ids) for ids in _rows(every[0])]
    table.set_axis_off()
    for row, text in enumerate(texts):
        place = 1 - (row + 0.2 * (row % 2 == 0)) / len(texts)
        table.text(0, place, literal(text, 70), fontsize=9, va="top", color="black" if row % 2 else "0.45")
    return rendered(figure)


def _masks(batch: Batch) -> dict[str, Tensor]:
    assert isinstance(batch.mask, dict)
    return batch.mask


def _rows(batch: Batch) -> Iterator[list[int]]:
    """Yield the token ids of some sources, each followed by its translation, without marks."""
    assert isinstance(batch.inputs, dict)
    for pair in islice(zip(batch.inputs["source"].tolist(), batch.inputs["written"].tolist(), strict=True), SHOWN):
        yield from ([token for token in ids if token >= len(MARKS)] for ids in pair)


def _per_id(axes: Axes, name: str, numbers: Tensor) -> None:
    """Draw how many ratings each user or item has, on a logarithmic scale where some have far more than others."""
    each = numbers.bincount()
    each = each[each > 0].sort().values
    low, middle, high = (int(each[place]) for place in (0, len(each) // 2, -1))
    far = high > 10 * middle
    whole = np.linspace(low - 0.5, high + 0.5, min(25, high - low + 1) + 1)
    edges = np.geomspace(low, high + 1, 25) if far else whole
    axes.hist(each.numpy(), bins=edges.tolist())
    axes.set(xlabel=f"ratings of one {name}", ylabel=f"{name}s", xscale="log" if far else "linear")
    axes.set_title(f"{len(each):,} {name}s with {low:,} to {high:,}, median {middle:,}", fontsize=10)


def _pairs(data: DataModule) -> tuple[dict[str, Tensor], Tensor]:
    """Return the ids of all pairs, `(N,)` by their part's name, and their values `(N,)`."""
    splits = (data.train(CPU, 0), data.validation(CPU) or (), data.test(CPU))
    batches = [(x, y) for x, y in chain.from_iterable(splits)]
    values = torch.cat([y for _, y in batches])
    return {name: torch.cat([x[name] for x, _ in batches]) for name in batches[0][0]}, values
