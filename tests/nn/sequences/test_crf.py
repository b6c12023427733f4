"""The conditional random field equals a sum and a maximum over all sequences of tags."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.nn.sequences.crf import CRF

TAGS, STEPS = 3, 4
LENGTHS = torch.tensor([4, 2, 1, 3])
MASK = torch.arange(STEPS) < LENGTHS[:, None]


def field() -> CRF:
    torch.manual_seed(0)
    crf = CRF(TAGS)
    for parameter in crf.parameters():
        nn.init.normal_(parameter)
    return crf


def given(seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(LENGTHS), STEPS, TAGS, generator=generator)
    return logits, torch.randint(TAGS, (len(LENGTHS), STEPS), generator=generator)


def all_scores(crf: CRF, logits: Tensor) -> dict[tuple[int, ...], float]:
    """The score of every sequence of tags given logits `(T, K)` of one sequence, term by term."""
    scores = {}
    for tags in product(range(TAGS), repeat=len(logits)):
        terms = [crf.start[tags[0]], crf.end[tags[-1]]]
        terms += [logits[step, tag] for step, tag in enumerate(tags)]
        terms += [crf.transitions[a, b] for a, b in pairwise(tags)]
        scores[tags] = torch.stack(terms).sum().item()
    return scores


@pytest.mark.parametrize("masked", [False, True])
def test_equals_all_sequences(masked: bool) -> None:
    crf, (logits, tags) = field(), given()
    mask = MASK if masked else None
    log_z, likelihood = crf.log_partition(logits, mask), crf.log_likelihood(logits, tags, mask)
    decoded, best = crf.decode(logits, mask)
    for row, length in enumerate(LENGTHS.tolist() if masked else [STEPS] * len(LENGTHS)):
        scores = all_scores(crf, logits[row, :length])
        expected = torch.tensor(list(scores.values())).logsumexp(0)
        torch.testing.assert_close(log_z[row], expected)
        own = scores[tuple(tags[row, :length].tolist())]
        torch.testing.assert_close(likelihood[row], own - expected)
        assert tuple(decoded[row, :length].tolist()) == max(scores, key=scores.__getitem__)
        assert not decoded[row, length:].any()
        assert best[row].item() == pytest.approx(max(scores.values()), abs=1e-5)


def test_score_of_decoded_tags() -> None:
    crf, (logits, _) = field(), given()
    decoded, best = crf.decode(logits, MASK)
    torch.testing.assert_close(crf.score(logits, decoded, MASK), best)


def test_gradient_is_the_marginals() -> None:
    crf, (logits, _) = field(), given()
    logits.requires_grad_()
    (marginals,) = torch.autograd.grad(crf.log_partition(logits, MASK).sum(), logits)
    for row, length in enumerate(LENGTHS.tolist()):
        expected = torch.zeros(STEPS, TAGS)
        scores = all_scores(crf, logits[row, :length])
        shares = torch.tensor(list(scores.values())).softmax(0).tolist()
        for tags, share in zip(scores, shares, strict=True):
            expected[range(length), tags] += share
        torch.testing.assert_close(marginals[row], expected, atol=1e-5, rtol=1e-5)


def test_padding_has_no_influence() -> None:
    crf, (logits, tags) = field(), given()
    spoilt = logits.masked_fill(~MASK[:, :, None], torch.inf)
    other = tags.masked_fill(~MASK, 0)
    assert torch.equal(crf.log_likelihood(spoilt, other, MASK), crf.log_likelihood(logits, tags, MASK))
    assert torch.equal(crf.decode(spoilt, MASK)[0], crf.decode(logits, MASK)[0])


def test_without_transitions_is_a_softmax() -> None:
    crf, (logits, tags) = CRF(TAGS), given()
    expected = -F.cross_entropy(logits.transpose(1, 2), tags, reduction="none").sum(1)
    torch.testing.assert_close(crf.log_likelihood(logits, tags), expected)
    assert torch.equal(crf.decode(logits)[0], logits.argmax(2))


def test_learns_what_follows_what() -> None:
    """The logits say nothing: only the transitions tell a cycle, and only the start where it begins."""
    crf = CRF(TAGS)
    tags = (torch.arange(6) % TAGS).expand(2, 6)
    logits = torch.zeros(2, 6, TAGS)
    optimizer = torch.optim.Adam(crf.parameters(), lr=0.3)
    for _ in range(40):
        optimizer.zero_grad()
        (-crf.log_likelihood(logits, tags).mean()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert torch.equal(crf.decode(logits)[0], tags)
    assert crf.log_likelihood(logits, tags).exp().min() > 0.9
