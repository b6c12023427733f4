"""What a node of a tree becomes of its own vector and of its children: recursive networks and Tree-LSTMs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

# Dimensions: M nodes of one depth, K nodes of the depth below, E features of a node's vector, W of its state.

State = tuple[Tensor, ...]
"""What is computed of nodes, `(M, W)` each: h, and c of those with a memory."""


class Children(NamedTuple):
    """The nodes of the depth below: their state, the place of each one's parent in this depth, `(K,)`, and how many
    siblings come before each, `(K,)`."""

    state: State
    parents: Tensor
    ranks: Tensor


class ChildSumLSTM(nn.Module):
    """The child-sum Tree-LSTM (Tai et al. 2015, section 3.1), for any number of children in no order. Each child has a
    forget gate of its own.

    Args:
        inputs: features of a node's vector, E.
        width: features of its state, W.
    """

    most_children: int | None = None

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(inputs, 4 * width)
        self.summed = nn.Linear(width, 3 * width, bias=False)
        self.each = nn.Linear(width, width, bias=False)
        initialise(self.own, self.summed, self.each, gates=4, forget=3)

    def forward(self, x: Tensor, children: Children | None) -> State:
        """Return h and c of nodes with the vectors `x`, `(M, E)`."""
        gates, forget = self.own(x).tensor_split([3 * self.each.in_features], 1)
        if children is None:
            return _lstm(gates, None)
        (h, c), parents, _ = children
        gates = gates + self.summed(_summed(h, parents, len(x)))  # equation 2
        kept = (forget[parents] + self.each(h)).sigmoid() * c  # equation 4
        return _lstm(gates, _summed(kept, parents, len(x)))


class BinaryLSTM(nn.Module):
    """The N-ary Tree-LSTM for two children in order (Tai et al. 2015, section 3.2). Where one is missing, its state is
    zero.

    Args:
        inputs: features of a node's vector, E.
        width: features of its state, W.
    """

    most_children: int | None = 2

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(inputs, 4 * width)
        self.pair = nn.Linear(2 * width, 3 * width, bias=False)
        self.each = nn.Linear(2 * width, 2 * width, bias=False)
        initialise(self.own, self.pair, self.each, gates=4, forget=3)

    def forward(self, x: Tensor, children: Children | None) -> State:
        """Return h and c of nodes with the vectors `x`, `(M, E)`."""
        gates, forget = self.own(x).tensor_split([3 * self.each.in_features // 2], 1)
        if children is None:
            return _lstm(gates, None)
        h, c = (in_order(one, children, len(x)) for one in children.state)
        kept = (forget.repeat(1, 2) + self.each(h)).sigmoid() * c  # equation 10
        return _lstm(gates + self.pair(h), kept[:, : c.shape[1] // 2] + kept[:, c.shape[1] // 2 :])


class Recursive(nn.Module):
    """The recursive network of two children in order (Socher et al. 2013, section 4.1): tanh(W [left; right] + x), and
    x alone for a leaf. Where all inner nodes have one vector x, it is the bias of the paper.

    At first a node is nearly the mean of its children.

    Args:
        width: features of a node's vector and of its state, E = W.
    """

    most_children: int | None = 2

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pair = nn.Linear(2 * width, width, bias=False)
        with torch.no_grad():
            self.pair.weight.mul_(0.1).add_(0.5 * torch.eye(width).repeat(1, 2))

    def forward(self, x: Tensor, children: Children | None) -> State:
        """Return h of nodes with the vectors `x`, `(M, W)`."""
        if children is None:
            return (x,)
        inner = torch.zeros(len(x), 1, dtype=torch.bool, device=x.device).index_fill(0, children.parents, True)
        h = in_order(children.state[0], children, len(x))
        return (torch.where(inner, (self.composed(h) + x).tanh(), x),)

    def composed(self, pair: Tensor) -> Tensor:
        """Return `(M, W)` for both children of nodes, `(M, 2 W)`."""
        return self.pair(pair)  # type: ignore[no-any-return]


class RecursiveTensor(Recursive):
    """The recursive neural tensor network (Socher et al. 2013, section 4.3): a bilinear form of [left; right] for each
    feature is added inside of the tanh. It has 4 W^3 weights.

    The forms are divided by 2 W: a step of Adam moves each weight by about the rate, and 4 W^2 of them at once would
    change a feature by far more than the layer does.

    Args:
        width: features of a node's vector and of its state, E = W.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.forms = nn.Parameter(torch.empty(2 * width, width, 2 * width).uniform_(-0.5, 0.5))

    def composed(self, pair: Tensor) -> Tensor:
        left = (pair @ self.forms.flatten(1)).view(len(pair), -1, pair.shape[1])  # (M, W, 2 W)
        return super().composed(pair) + (left @ pair[:, :, None])[:, :, 0] / pair.shape[1]


def in_order(state: Tensor, children: Children, count: int) -> Tensor:
    """Return the first and the second child of `count` nodes side by side, `(M, 2 W)`; zeros where there is none."""
    pairs = state.new_zeros(count, 2, state.shape[1])
    return pairs.index_put((children.parents, children.ranks), state).flatten(1)


def initialise(own: nn.Linear, *recurrent: nn.Linear, gates: int, forget: int) -> None:
    """Initialise a Tree-LSTM as an LSTM: recurrent weights orthogonal (Saxe et al. 2014), for each gate and child;
    biases 0, and 1 for the forget gate (Jozefowicz et al. 2015)."""
    width = own.out_features // gates
    for number, gate in enumerate(own.weight.detach().split(width)):  # type: ignore[no-untyped-call]
        nn.init.xavier_uniform_(gate)
        nn.init.constant_(own.bias.detach()[number * width : (number + 1) * width], float(number == forget))
    for layer in recurrent:
        for rows in layer.weight.detach().split(width):  # type: ignore[no-untyped-call]
            for block in rows.split(width, 1):
                nn.init.orthogonal_(block)


def _summed(states: Tensor, parents: Tensor, count: int) -> Tensor:
    """Return the sum over the children of each of `count` nodes, `(M, W)`."""
    return states.new_zeros(count, states.shape[1]).index_add(0, parents, states)


def _lstm(gates: Tensor, kept: Tensor | None) -> State:
    """Return h and c for input, output and update before their nonlinearities, `(M, 3 W)`, and what is kept of the
    children's c, `(M, W)`."""
    i, o, u = gates.chunk(3, 1)
    c = i.sigmoid() * u.tanh()
    c = c if kept is None else c + kept
    return o.sigmoid() * c.tanh(), c
