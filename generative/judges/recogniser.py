"""What a trained classifier hears in generated sounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.data.base import DataModule
from lab.data.loader import plain_batches, testing_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.system.randomness import own_randomness

CHUNK = 50  # sounds at a time
PENALTY = 1e-3  # on squared weights of the linear layer
STEPS = 100  # of L-BFGS at most


class Recogniser(nn.Module):
    """The encoder of a classifier that another run trained, which does not change, and one linear layer, which is
    fitted anew to its features of the training sounds: a run lends its encoder without a head.

    Args:
        spec: of the sounds, which have classes.
        encoder: `Pretrained` with `freeze`.

    Raises ConfigError for an encoder that changes.
    """

    trained: Tensor

    def __init__(self, spec: DataSpec, encoder: EncoderFactory) -> None:
        super().__init__()
        self.encoder = build_encoder(encoder, spec.input)
        if not self.encoder.frozen:
            raise ConfigError(
                f"a recogniser needs an encoder that does not change, received {type(self.encoder).__name__} without "
                "freeze: set it to lab.encoders.Pretrained with freeze: true"
            )
        self.head = nn.Linear(self.encoder.features_dim, spec.require_classes("a recogniser"))
        self.register_buffer("trained", torch.tensor(False))
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        return super().train(False)  # what it hears must not depend on dropout

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return logits `(B, classes)` of sounds `(B, T)` with a mask of the same shape."""
        return self.head(self.encoder(x, mask))  # type: ignore[no-any-return]

    def hear(self, sounds: Sequence[Tensor]) -> Tensor:
        """Return the most probable class of each sound `(T_i,)`, `(N,)`."""
        heard = []
        for start in range(0, len(sounds), CHUNK):
            part = sounds[start : start + CHUNK]
            lengths = torch.tensor([len(one) for one in part], device=part[0].device)
            padded = nn.utils.rnn.pad_sequence(list(part), batch_first=True)
            mask = torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
            heard.append(self(padded, mask).argmax(1))
        return torch.cat(heard)

    @torch.no_grad()
    def learn(self, data: DataModule) -> None:
        """Fit the linear layer to the training sounds by cross-entropy, unless that was done before."""
        if self.trained:
            return
        device = self.head.weight.device
        parts = [(self.encoder(x, batch.mask), y) for batch in plain_batches(data, device, seed=0) for x, y in [batch]]
        features, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        with own_randomness(device, seed=0):
            self.head.reset_parameters()
        _fit(self.head, features, labels)
        self.trained.fill_(True)

    @torch.no_grad()
    def accuracy(self, data: DataModule) -> float:
        """Return the share of the test sounds whose class it hears."""
        right = []
        for batch in testing_batches(data, self.head.weight.device):
            x, labels = batch
            right.append(self(x, batch.mask).argmax(1) == labels)
        return torch.cat(right).float().mean().item()


def _fit(head: nn.Linear, features: Tensor, labels: Tensor) -> None:
    """Minimise cross-entropy and a penalty on the weights, over features scaled to a deviation of 1."""
    mean, deviation = features.mean(0), features.std(0).clamp(min=1e-6)
    x = (features - mean) / deviation
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = F.cross_entropy(head(x), labels) + PENALTY / 2 * head.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    head.requires_grad_(True)
    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    head.requires_grad_(False)
    with torch.no_grad():  # the scale is folded into the layer
        head.weight.div_(deviation)
        head.bias.sub_(head.weight @ mean)
