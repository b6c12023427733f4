"""Words of training sentences that are replaced by the unknown word, anew in each epoch. (Iyyer et al. 2015, 'Deep
unordered composition rivals syntactic methods for text classification', section 3.1, leave them out.)"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lab.data.batch import Batch
from lab.data.tokenizers.words import Words


@dataclass(frozen=True)
class WordDropout:
    """Changes a batch of token ids `(B, T)` with a mask, which may be called `tokens` among other inputs.

    Args:
        share: probability with which a word is replaced.
        kept: token that is never replaced, since it stands for no word.
    """

    share: float
    kept: int = Words.PAD

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        ids, real = (one["tokens"] if isinstance(one, dict) else one for one in (batch.inputs, batch.mask))
        assert isinstance(ids, Tensor)
        assert real is not None
        drawn = torch.rand(ids.shape, generator=generator, device=ids.device) < self.share
        changed = ids.masked_fill(drawn & real & (ids != self.kept), Words.UNKNOWN)
        return replace(batch, inputs={**batch.inputs, "tokens": changed} if isinstance(batch.inputs, dict) else changed)
