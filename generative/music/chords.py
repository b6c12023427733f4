"""The probability of the keys that sound at one step, given features of the steps before it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Dimensions: ... any leading axes, F features, K keys, H hidden units.


class Chords(nn.Module):
    """Base of such distributions."""

    @abstractmethod
    def nll(self, features: Tensor, keys: Tensor) -> Tensor:
        """Return -log p(keys given features) in nats, `(...)`, for features `(..., F)` and keys `(..., K)`, 0 or 1."""

    @abstractmethod
    def sample(self, features: Tensor) -> Tensor:
        """Return keys `(..., K)` for features `(..., F)`, drawn by torch's global generator."""


class IndependentKeys(Chords):
    """Given the past, each key sounds or not whatever the others do. This is how the published figures of recurrent
    and convolutional networks are measured (Bai et al. 2018, section 4.2)."""

    def __init__(self, width: int, keys: int, hidden: int) -> None:
        super().__init__()
        self.logits = nn.Linear(width, keys)

    def nll(self, features: Tensor, keys: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.logits(features), keys, reduction="none").sum(-1)

    def sample(self, features: Tensor) -> Tensor:
        return torch.bernoulli(self.logits(features).sigmoid())


class KeysInTurn(Chords):
    """A neural autoregressive distribution (NADE; Larochelle & Murray 2011): each key, from low to high, is predicted
    from the past and from the keys below it. With a recurrent network it is the RNN-NADE of Boulanger-Lewandowski et
    al. 2012.
    """

    def __init__(self, width: int, keys: int, hidden: int) -> None:
        super().__init__()
        self.biases = nn.Linear(width, keys)  # of the keys, and of the hidden units, which the past determines
        self.hidden = nn.Linear(width, hidden)
        self.below = nn.Parameter(torch.randn(keys, hidden) * hidden**-0.5)  # what a key tells those above it
        self.out = nn.Parameter(torch.zeros(keys, hidden))

    def nll(self, features: Tensor, keys: Tensor) -> Tensor:
        # The hidden units change only where a key sounds, so they are computed once for each of these.
        number = keys.cumsum(-1)  # from 1, of the keys that sound
        heard = [self.hidden(features)]
        for one in range(1, int(number.amax()) + 1):
            heard.append(heard[-1] + (keys * (number == one)) @ self.below)
        logits = torch.stack(heard, -2).sigmoid() @ self.out.T  # (..., sounding + 1, K)
        below = (number - keys).long()[..., None, :]
        logits = self.biases(features) + logits.gather(-2, below)[..., 0, :]
        return F.binary_cross_entropy_with_logits(logits, keys, reduction="none").sum(-1)

    def sample(self, features: Tensor) -> Tensor:
        biases, heard = self.biases(features), self.hidden(features)
        keys = []
        for key in range(len(self.below)):
            logit = biases[..., key] + heard.sigmoid() @ self.out[key]
            keys.append(torch.bernoulli(logit.sigmoid()))
            heard = heard + keys[-1][..., None] * self.below[key]
        return torch.stack(keys, -1)


Chord = Literal["independent", "in_turn"]
CHORDS: dict[Chord, type[IndependentKeys] | type[KeysInTurn]] = {"independent": IndependentKeys, "in_turn": KeysInTurn}
