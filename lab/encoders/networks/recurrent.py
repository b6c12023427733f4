"""Recurrent networks, over whole sequences and as the memory of an agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from lab.config.roles import Roles
from lab.config.types import PositiveFloat, PositiveInt, Probability
from lab.data.spec import InputSpec, require_one_input
from lab.encoders.base import Encoder, EncoderFactory, RecurrentEncoder, State
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.pooling import SequencePool, pool_sequence

Cell = Literal["rnn", "lstm", "gru"]
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(RecurrentEncoder):
    """A recurrent network over time, on the steps themselves or on their features from another encoder.

    The spec is that of a sequence, `(T, F)`, images `(T, C, H, W)` or token ids `(T,)`; or that of one step, `(F,)`,
    `(C, H, W)` or `()`, as an agent sees it. For sequences, `forward` and `features` take any length, and a mask. For
    one step, they take the step as the first one. The state is tensors `(B, layers, width)`: an LSTM has two, `h` and
    `c`; the others have `h`.

    Where it is bidirectional, a second network of the same size reads from the end to the beginning, and the outputs of
    both stand side by side (Schuster & Paliwal 1997). It needs whole sequences.

    Recurrent weights are initialised orthogonal (Saxe et al. 2014). Biases are 0, and 1 for the forget gates of an
    LSTM, so that it remembers at first (Gers et al. 2000; Jozefowicz et al. 2015).

    Args:
        cell: `rnn` with tanh (Elman 1990), `lstm` (Hochreiter & Schmidhuber 1997; Gers et al. 2000) or `gru` (Cho et
            al. 2014).
        width: of every layer, and `features_dim`.
        layers: one on top of the other.
        dropout: probability of dropping a unit between layers, not over time (Zaremba et al. 2014).
        input_dropout: probability of dropping a number that the first layer receives.
        trunk: encodes every step on its own before the recurrence; null for none. Images need one.
        embedding: width of the vectors that stand for token ids.
        deviation: standard deviation of these vectors at first. Rare tokens are learned sooner where it is small.
        pool: of the sequence to one vector; `last` is what each direction has read to its end. The steps that a mask
            leaves out must be at the end.
        bidirectional: whether it is; `features_dim` is then twice the width.
    """

    roles = Roles(added={"input_dropout": 0.0, "deviation": 1.0, "bidirectional": False})

    def __init__(
        self,
        spec: InputSpec,
        *,
        cell: Cell = "lstm",
        width: PositiveInt = 128,
        layers: PositiveInt = 1,
        dropout: Probability = 0.0,
        input_dropout: Probability = 0.0,
        trunk: EncoderFactory | None = None,
        embedding: PositiveInt = 128,
        deviation: PositiveFloat = 1.0,
        pool: SequencePool = "last",
        bidirectional: bool = False,
    ) -> None:
        require_one_input(spec, "Recurrent")
        super().__init__(spec)
        if dropout and layers == 1:
            raise ConfigError(f"dropout acts between layers and needs two of them, received {dropout} for 1 layer")
        self.cell, self.pool, self.features_dim = cell, pool, 2 * width if bidirectional else width
        self.input_dropout = nn.Dropout(input_dropout)
        self.sequence, step = _split(spec)
        if bidirectional and not self.sequence:
            raise ConfigError(
                f"a bidirectional Recurrent needs whole sequences, but the input is one step, of shape {spec.shape}"
            )
        self.takes_masks = self.sequence
        self.embedding: nn.Embedding | None = None
        if step.dtype == "int64":
            self.embedding = nn.Embedding(step.require_vocab("Recurrent"), embedding)  # normal, with a deviation of 1
            self.embedding.weight.data *= deviation
            step = InputSpec((embedding,))
        self.trunk: Encoder | None = None
        if trunk is not None:
            self.trunk = build_encoder(trunk, step)
            self.pretrained = self.trunk.pretrained
            self.settings["trunk"] = self.trunk
        elif len(step.shape) != 1:
            raise ConfigError(f"Recurrent needs a trunk, such as Conv, for images of shape {step.shape}, received none")
        inputs = self.trunk.features_dim if self.trunk else step.size
        self.rnn = CELLS[cell](inputs, width, layers, dropout=dropout)
        _initialise(self.rnn)
        self.backward_rnn: nn.RNNBase | None = None
        if bidirectional:
            self.backward_rnn = CELLS[cell](inputs, width, layers, dropout=dropout)
            _initialise(self.backward_rnn)

    def layers_in_order(self) -> list[list[nn.Parameter]]:
        below = [[*self.embedding.parameters()]] if self.embedding is not None else []
        below += self.trunk.layers_in_order() if self.trunk is not None else []
        weights = [pair for rnn in (self.rnn, self.backward_rnn) if rnn is not None for pair in rnn.named_parameters()]
        heights = range(self.rnn.num_layers)
        return below + [[one for name, one in weights if name.endswith(f"_l{height}")] for height in heights]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        outputs = self.features(x, mask)
        if self.backward_rnn is None or self.pool != "last":
            return pool_sequence(outputs, mask, self.pool)
        forwards, backwards = outputs.chunk(2, 2)
        first = mask if mask is None else mask[:, :1]
        return torch.cat([pool_sequence(forwards, mask, "last"), pool_sequence(backwards[:, :1], first, "last")], 1)

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the output after each step, `(B, T, features_dim)`, or `(B, 1, width)` for one step. Do not use it
        where the mask is false."""
        if not self.sequence:
            self.refuse_mask(mask)
        inputs = self.input_dropout(self._inputs(x if self.sequence else x.unsqueeze(1), mask).transpose(0, 1))
        outputs, _ = self.rnn(inputs)
        if self.backward_rnn is not None:
            backwards, _ = self.backward_rnn(_reversed(inputs, mask))
            outputs = torch.cat([outputs, _reversed(backwards, mask)], 2)
        return outputs.transpose(0, 1)  # type: ignore[no-any-return]

    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first step: zeros, on the device of the weights."""
        zeros = next(self.rnn.parameters()).new_zeros(batch_size, self.rnn.num_layers, self.rnn.hidden_size)
        return tuple(zeros.clone() for _ in range(2 if self.cell == "lstm" else 1))

    def step(self, x: Tensor, state: State, start: Tensor) -> tuple[Tensor, State]:
        outputs, state = self._recur(self._inputs(x.unsqueeze(0)), _forget(state, start))
        return outputs[0], state

    def unroll(self, x: Tensor, state: State, start: Tensor) -> tuple[Tensor, State]:
        """Take T steps, as `RecurrentEncoder` says. The trunk encodes all steps at once, and torch's fused network is
        called once for each stretch between starts, which is fast where starts are rare."""
        # Packing all stretches between starts into one batch of unequal lengths was tried. On a CPU it is up to five
        # times as slow: the backward pass of a packed sequence is quadratic in its length.
        inputs = self._inputs(x)
        cuts = [0, *(start[1:].bool().any(1).nonzero().flatten() + 1).tolist(), len(x)]
        outputs: list[Tensor] = []
        for begin, end in pairwise(cuts):
            part, state = self._recur(inputs[begin:end], _forget(state, start[begin]))
            outputs.append(part)
        return torch.cat(outputs), state

    def extend(self, x: Tensor, past: State | None = None) -> tuple[Tensor, State]:
        """Return the output at the steps `x`, `(B, T, ...)`, that follow those in `past`, a state; and the state after
        them. Without a past they are the first ones. Raises ConfigError where the spec is that of one step."""
        if not self.sequence:
            raise ConfigError("only a Recurrent of sequences goes on by `extend`; one of single steps has `step`")
        state = self.initial_state(len(x)) if past is None else past
        outputs, state = self._recur(self._inputs(x.transpose(0, 1)), state)
        return outputs.transpose(0, 1), state

    def _inputs(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encode steps with two leading axes, of time and batch in either order, each on its own."""
        if self.embedding is not None:
            x = self.embedding(x)
        if self.trunk is None:
            return x
        if mask is None:
            return self.trunk(x.flatten(0, 1)).unflatten(0, x.shape[:2])  # type: ignore[no-any-return]
        encoded = self.trunk(x[real := mask.bool()])  # padding would enter the statistics of a trunk's batch norms
        return encoded.new_zeros(*x.shape[:2], encoded.shape[1]).index_put((real,), encoded)  # type: ignore[no-any-return]

    def _recur(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        if self.backward_rnn is not None:
            raise ConfigError("a bidirectional Recurrent needs whole sequences, and takes no single steps")
        hidden = tuple(s.transpose(0, 1).contiguous() for s in state)  # torch wants the layers first
        outputs, after = self.rnn(self.input_dropout(inputs), hidden if self.cell == "lstm" else hidden[0])
        return outputs, tuple(s.transpose(0, 1) for s in (after if self.cell == "lstm" else (after,)))


def _split(spec: InputSpec) -> tuple[bool, InputSpec]:
    """Return whether `spec` is of a sequence, and the spec of one step."""
    one_step = (0,) if spec.dtype == "int64" else (1, 3)
    if len(spec.shape) in one_step:
        return False, spec
    if len(spec.shape) - 1 in one_step:
        return True, replace(spec, shape=spec.shape[1:])
    raise ConfigError(
        "Recurrent needs sequences (T, F), images (T, C, H, W), token ids (T,) or one step of these, "
        f"but the input is {spec.dtype} of shape {spec.shape}"
    )


def _forget(state: State, start: Tensor) -> State:
    """Set the state to zero where `start` is true. A product with 0 would keep a NaN."""
    return tuple(s.masked_fill(start.bool()[:, None, None], 0) for s in state)


def _reversed(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the real steps of `(T, B, F)` in the other order. Padding stays where it is, at the end."""
    if mask is None:
        return x.flip(0)
    place, lengths = torch.arange(len(x), device=x.device)[:, None], mask.sum(1)
    source = torch.where(place < lengths, lengths - 1 - place, place)
    return x.gather(0, source[:, :, None].expand_as(x))


def _initialise(rnn: nn.RNNBase) -> None:
    for name, parameter in rnn.named_parameters():
        for i, gate in enumerate(torch.split(parameter.detach(), rnn.hidden_size)):
            if name.startswith("weight_hh"):
                nn.init.orthogonal_(gate)
            elif name.startswith("weight_ih"):
                nn.init.xavier_uniform_(gate)
            else:  # torch adds two biases; the second gate of an LSTM is the forget gate
                gate.fill_(float(isinstance(rnn, nn.LSTM) and name.startswith("bias_ih") and i == 1))
