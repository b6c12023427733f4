"""Recurrent networks for an ONNX file. Torch's own export of them fixes the length of the sequences.

Each layer becomes one operator of ONNX, of which torch is told no more than the shape of its result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

# Dimensions: T steps, B sequences, I inputs of a step, H units, G gates.

ORDERS: dict[type[nn.RNNBase], list[int]] = {nn.RNN: [0], nn.LSTM: [0, 3, 1, 2], nn.GRU: [1, 0, 2]}
"""Which of torch's gates comes where in ONNX: input, output, forget, cell of an LSTM; update, reset, new of a GRU."""


def with_plain_recurrence(network: nn.Module) -> nn.Module:
    """Return the network, in which each RNN, LSTM and GRU of torch's is replaced."""
    for name, part in list(network.named_modules()):
        if isinstance(part, nn.RNNBase) and name:
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, PlainRecurrence(part))
    return network


class PlainRecurrence(nn.Module):
    """The layers of a recurrent network: `(T, B, I) -> (T, B, H)`, or with the first two axes exchanged where the
    network is `batch_first`. RNNs and GRUs begin at a given state, `(L, B, H)` for L layers, or at zero, and return the
    state after the last step too; LSTMs begin at zero and return none."""

    def __init__(self, rnn: nn.RNNBase) -> None:
        super().__init__()
        self.kind, self.batch_first = rnn.mode.removesuffix("_TANH"), rnn.batch_first
        order = ORDERS[type(rnn)]
        self.layers = nn.ParameterList()
        for layer in range(rnn.num_layers):
            parts = [getattr(rnn, f"{name}_l{layer}").detach() for name in ("weight_ih", "weight_hh")]
            parts.append(torch.cat([_reordered(getattr(rnn, f"bias_{name}_l{layer}"), order) for name in ("ih", "hh")]))
            parts[:2] = [_reordered(weight, order) for weight in parts[:2]]
            self.layers.append(nn.ParameterList([part[None] for part in parts]))

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        x, after = x.transpose(0, 1) if self.batch_first else x, []
        for number, (weights, recurrent, bias) in enumerate(self.layers):
            begun = None if state is None else state[number : number + 1]
            x = _layer(x, weights, recurrent, bias, begun, self.kind)
            after.append(x[-1])
        return x.transpose(0, 1) if self.batch_first else x, None if self.kind == "LSTM" else torch.stack(after)


def _reordered(weight: Tensor, order: list[int]) -> Tensor:
    gates = weight.detach().chunk(len(order))
    return torch.cat([gates[place] for place in order])


@torch.library.custom_op("lab::recurrent_layer", mutates_args=())
def _layer(x: Tensor, weights: Tensor, recurrent: Tensor, bias: Tensor, state: Tensor | None, kind: str) -> Tensor:
    """Return the outputs `(T, B, H)` of one layer, for `x` `(T, B, I)`.

    Args:
        weights: `(1, G * H, I)`, in ONNX's order of gates, as the others are.
        recurrent: `(1, G * H, H)`.
        bias: `(1, 2 * G * H)`, of the inputs and of the state.
        state: before the first step, `(1, B, H)`; None for zero.
        kind: `RNN`, `LSTM` or `GRU`.
    """
    cls = cast(type[nn.RNNBase], getattr(nn, kind))
    back = [ORDERS[cls].index(gate) for gate in range(len(ORDERS[cls]))]
    rnn = cast(Callable[..., Any], cls)(x.shape[2], recurrent.shape[2])
    of_inputs, of_state = bias[0].chunk(2)
    values = {"weight_ih_l0": weights[0], "weight_hh_l0": recurrent[0], "bias_ih_l0": of_inputs, "bias_hh_l0": of_state}
    rnn.load_state_dict({name: _reordered(value, back) for name, value in values.items()})
    return rnn(x, state)[0].detach()  # type: ignore[no-any-return]


@_layer.register_fake
def _(x: Tensor, weights: Tensor, recurrent: Tensor, bias: Tensor, state: Tensor | None, kind: str) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], recurrent.shape[2])


def _translated(x: Any, weights: Any, recurrent: Any, bias: Any, state: Any, kind: str) -> Any:
    """Return the same as nodes of ONNX."""
    from onnxscript import opset18 as op

    settings = {"linear_before_reset": 1} if kind == "GRU" else {}  # torch applies the reset to what has a bias
    given = (x, weights, recurrent, bias, *(() if state is None else (None, state)))  # None: all of the same length
    outputs, *_ = getattr(op, kind)(*given, hidden_size=recurrent.shape[2], **settings)
    return op.Squeeze(outputs, [1])  # of the directions


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.lab.recurrent_layer.default: _translated}
