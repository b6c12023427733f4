"""Networks that follow others slowly: target networks, and averages of weights."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def follow(follower: nn.Module, leader: nn.Module, tau: float) -> None:
    """Move the weights of `follower` by a share `tau` of the way to those of `leader`; copy buffers, such as a batch
    norm's statistics. 1 copies the weights too."""
    torch._foreach_lerp_(list(follower.parameters()), list(leader.parameters()), tau)
    for kept, new in zip(follower.buffers(), leader.buffers(), strict=True):
        kept.copy_(new)
