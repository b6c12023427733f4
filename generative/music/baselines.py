"""The simplest models of music: how often each key sounds, and how often it stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.data.base import Batches, DataModule

CPU = torch.device("cpu")


def music_baselines(data: DataModule) -> Mapping[str, Mapping[str, float]]:
    """Return nats per step, without the first of each piece, of two models that are fitted to the training pieces: each
    key sounds with its frequency; or with that of its transition, from whether it sounded at the step before."""
    sounded, after = _steps(data.unchanged(CPU))
    often = (after.sum(0) + 1) / (len(after) + 2)  # (K,), never 0 or 1
    on, off = sounded.sum(0), (1 - sounded).sum(0)
    stays = ((sounded * after).sum(0) + 1) / (on + 2)
    begins = ((1 - sounded) * after).sum(0).add(1) / (off + 2)
    before, now = _steps(data.test(CPU))
    return {
        "key frequencies": {"test/nll": _nats(often.expand_as(now), now)},
        "key transitions": {"test/nll": _nats(torch.where(before.bool(), stays, begins), now)},
    }


def _steps(batches: Batches) -> tuple[Tensor, Tensor]:
    """Return all steps that have one after them in their piece, `(N, K)`, and those after them."""
    pairs = list(_pairs(batches))
    return torch.cat([before for before, _ in pairs]), torch.cat([after for _, after in pairs])


def _pairs(batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    for batch in batches:
        real = batch.mask[:, 1:] if isinstance(batch.mask, Tensor) else slice(None)
        assert isinstance(batch.inputs, Tensor)
        yield batch.inputs[:, :-1][real], batch.inputs[:, 1:][real]


def _nats(chances: Tensor, keys: Tensor) -> float:
    return F.binary_cross_entropy(chances, keys, reduction="none").sum(1).mean().item()
