"""A recurrent network that writes a sequence while it attends to another one."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lab.config.types import PositiveInt, Probability
from lab.nn.sequences.decoders import SequenceDecoder

# Dimensions: B examples, T steps that are written, S steps of the memory, H units.


class AttentiveGRU(SequenceDecoder):
    """Two layers of gated recurrent units, with attention in between: the first goes through the tokens, its output
    looks for what it needs in the memory, and the second goes through both, so that it knows what was found at the
    steps before (as Wu et al. 2016, section 3, who feed the second and all further layers so; the score is the scaled
    product of Luong et al. 2015, section 3.1, `general`). All steps of a known sequence are computed at once.

    The first states are linear in the mean over the memory (Bahdanau et al. 2015, appendix A.2.2, from its first step).

    Args:
        width: units of each layer.
        dropout: probability of dropping a number of the inputs of each layer, or of the features.
    """

    def __init__(
        self, inputs: int, memory: int, length: int, *, width: PositiveInt = 256, dropout: Probability = 0.0
    ) -> None:
        super().__init__(inputs, memory, length)
        self.features_dim = inputs
        self.first = nn.GRU(inputs, width, batch_first=True)
        self.begin = nn.Linear(memory, 2 * width)
        self.query, self.key = nn.Linear(width, width, bias=False), nn.Linear(memory, width, bias=False)
        self.second = nn.GRU(width + memory, width, batch_first=True)
        self.output = nn.Linear(2 * width + memory, inputs)
        self.dropout = nn.Dropout(dropout)
        for gru in (self.first, self.second):
            for name, parameter in gru.named_parameters():
                for gate in torch.split(parameter.detach(), width):
                    if name.startswith("weight"):
                        (nn.init.orthogonal_ if "hh" in name else nn.init.xavier_uniform_)(gate)
                    else:
                        gate.zero_()

    def remember(self, memory: Tensor, mask: Tensor | None = None) -> Any:
        real = memory.new_ones(memory.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
        share = real.to(memory) / real.sum(1, keepdim=True).clamp(min=1)
        mean = (share[:, None] @ memory)[:, 0]
        return {"memory": memory, "key": self.key(memory), "real": real, "mean": mean}

    def forward(self, x: Tensor, remembered: Any) -> Tensor:
        return self.extend(x, None, remembered)[0]

    def extend(self, x: Tensor, state: Any, remembered: Any) -> tuple[Tensor, Any]:
        one, other = self._begun(remembered) if state is None else state
        read, one = self._stepped(self.first, self.dropout(x), one)
        found = self._look(read, remembered) @ remembered["memory"]
        told, other = self._stepped(self.second, self.dropout(torch.cat([read, found], 2)), other)
        features = self.output(self.dropout(torch.cat([read, told, found], 2)))
        return self.dropout(features.tanh()), (one, other)

    def weights(self, x: Tensor, remembered: Any) -> Tensor:
        read, _ = self._stepped(self.first, x, self._begun(remembered)[0])
        return self._look(read, remembered)

    def _begun(self, remembered: Any) -> tuple[Tensor, Tensor]:
        """Return the states before the first step, `(B, H)` each."""
        one, other = self.begin(remembered["mean"]).tanh().chunk(2, dim=1)
        return one, other

    def _stepped(self, gru: nn.GRU, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        outputs, after = gru(x, state[None].contiguous())
        return outputs, after[0]

    def _look(self, read: Tensor, remembered: Any) -> Tensor:
        """Return how much each step looks at each step of the memory, `(B, T, S)`."""
        scores = self.query(read) @ remembered["key"].transpose(1, 2) / math.sqrt(read.shape[2])
        return scores.masked_fill(~remembered["real"][:, None], -torch.inf).softmax(2)  # type: ignore[no-any-return]
