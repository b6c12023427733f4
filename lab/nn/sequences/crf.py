"""The linear-chain conditional random field (Lafferty et al. 2001): tags of a sequence that depend on each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Dimensions: B sequences, T steps, K tags.


class CRF(nn.Module):
    """Gives each sequence of tags y of a sequence a probability, proportional to the exponential of its score

        start[y_1] + sum_t logits[t, y_t] + sum_t transitions[y_(t-1), y_t] + end[y_T],

    with logits from a network (Lample et al. 2016, section 2.2). All scores of transitions are 0 at first: then each
    step has its own softmax.

    A mask `(B, T)` is true where a step is real. The real steps stand first, and there is at least one.

    Args:
        tags: their number, K.
    """

    def __init__(self, tags: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(tags))
        self.end = nn.Parameter(torch.zeros(tags))
        self.transitions = nn.Parameter(torch.zeros(tags, tags))
        """Score of each tag, in columns, after each tag, in rows."""

    def score(self, logits: Tensor, tags: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the score of tags `(B, T)`, int64, given logits `(B, T, K)`: `(B,)`. Tags of padding must be from 0 to
        K - 1, and have no influence."""
        real = _real(logits, mask)
        emitted = logits.gather(2, tags[:, :, None])[:, :, 0].masked_fill(~real, 0).sum(1)
        moved = self.transitions[tags[:, :-1], tags[:, 1:]].masked_fill(~real[:, 1:], 0).sum(1)
        last = tags.gather(1, real.sum(1, keepdim=True) - 1)[:, 0]
        return emitted + moved + self.start[tags[:, 0]] + self.end[last]

    def log_partition(self, logits: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logarithm of the sum of exp(score) over all sequences of tags, `(B,)`, by the forward algorithm.

        Its gradient by the logits is the probability of each tag at each step.
        """
        real = _real(logits, mask)
        alpha = self.start + logits[:, 0]  # of all beginnings that end in each tag, (B, K)
        for step in range(1, logits.shape[1]):
            longer = (alpha[:, :, None] + self.transitions).logsumexp(1) + logits[:, step]
            alpha = torch.where(real[:, step, None], longer, alpha)
        return (alpha + self.end).logsumexp(1)

    def log_likelihood(self, logits: Tensor, tags: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return log p(tags | logits) of tags `(B, T)` given logits `(B, T, K)`: `(B,)`, in nats."""
        return self.score(logits, tags, mask) - self.log_partition(logits, mask)

    @torch.no_grad()
    def decode(self, logits: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the most probable tags given logits `(B, T, K)`, `(B, T)`, and their score, `(B,)`, by the algorithm
        of Viterbi (1967). Tags of padding are 0."""
        real = _real(logits, mask)
        stay = torch.arange(logits.shape[2], device=logits.device)  # padding changes no tag
        best = self.start + logits[:, 0]  # of the best beginning that ends in each tag, (B, K)
        before = []  # the tag before each one in that beginning
        for step in range(1, logits.shape[1]):
            longer, came_from = (best[:, :, None] + self.transitions).max(1)
            here = real[:, step, None]
            best = torch.where(here, longer + logits[:, step], best)
            before.append(torch.where(here, came_from, stay))
        score, tag = (best + self.end).max(1)
        found = [tag]
        for came_from in reversed(before):
            tag = came_from.gather(1, tag[:, None])[:, 0]
            found.append(tag)
        return torch.stack(found[::-1], 1).masked_fill(~real, 0), score


def _real(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Return which steps are real, `(B, T)`."""
    return torch.ones(logits.shape[:2], dtype=torch.bool, device=logits.device) if mask is None else mask.bool()
