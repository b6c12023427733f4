"""Sequences drawn from dilated convolutions step by step, with a queue for each layer (Paine et al. 2016, 'Fast WaveNet
generation algorithm')."""

from __future__ import annotations

import torch
from torch import Tensor

from generative.autoregressive.dilated import DilatedLayer, DilatedNetwork
from lab.nn.sequences import sampling

# Dimensions: B sequences, T steps, F filters, C numbers of a condition.


@torch.no_grad()
def draw(network: DilatedNetwork, y: Tensor, lengths: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Return sequences `(B, T)`, int64, drawn by torch's global generator; what is beyond the length of each is
    `network.start`.

    No layer computes a step twice. Sequences that have ended cost nothing.

    Args:
        network: the model of the sequences.
        y: the conditions of all steps, `(B, C, T)`.
        lengths: of the sequences, `(B,)`, at most T.
        temperature: divides the logits. Less than 1 makes probable categories more probable; 0 takes the most probable.
    """
    order = lengths.argsort(descending=True, stable=True)  # so that those that go on are always the first ones
    told = y[order].movedim(2, 0).contiguous()  # (T, B, C)
    going = (torch.arange(len(told), device=y.device)[:, None] < lengths).sum(1).tolist()
    drawn = torch.full((len(y), len(told)), network.start, device=y.device)
    queues = [Queue(layer, len(y)) for layer in network.layers]  # type: ignore[arg-type]
    last = torch.full((len(y),), network.start, device=y.device)
    for step, count in enumerate(going):
        if not count:
            break
        x, left = network.embedding(last[:count]), []
        for queue in queues:
            x, gated = queue.layer.at(x, queue.swap(x), told[step, :count])
            left.append(gated)
        logits = network.output(network.skip(torch.cat(left, 1)[..., None]))[..., 0]
        last = sampling.draw(logits, temperature=temperature)
        drawn[:count, step] = last
    found = torch.empty_like(drawn)
    found[order] = drawn
    return found


class Queue:
    """The last steps that one layer was given, as many as its dilation; zeros where there are none yet.

    Args:
        layer: that they were given to.
        count: sequences, B. Later there may be fewer: those that go on are the first ones.
    """

    def __init__(self, layer: DilatedLayer, count: int) -> None:
        self.layer, self.place = layer, 0
        self.kept = layer.gates.weight.new_zeros(layer.dilation, count, layer.gates.in_channels)

    def swap(self, x: Tensor) -> Tensor:
        """Take in a step `(B, F)`, and give out the one `dilation` steps before it."""
        kept = self.kept[self.place, : len(x)]
        before = kept.clone()
        kept.copy_(x)
        self.place = (self.place + 1) % len(self.kept)
        return before
