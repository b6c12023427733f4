"""Decoding of CTC equals a sum over all paths, and torch's loss."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import groupby, product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.nn.sequences.ctc import greedy, prefix_beam_search

STEPS, LABELS = 4, 3
LENGTHS = torch.tensor([4, 2, 3])
MASK = torch.arange(STEPS) < LENGTHS[:, None]
ALL = 1_000
"""More beginnings than there are."""


def given() -> Tensor:
    return 2 * torch.randn(3, STEPS, LABELS, generator=torch.Generator().manual_seed(0))


def all_paths(logits: Tensor, blank: int) -> tuple[dict[tuple[int, ...], float], tuple[int, ...]]:
    """The probability of all labels that some path stands for, given logits `(T, V)`; and the labels of the best
    path."""
    chances, paths = logits.softmax(1), {}
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(logits.shape[1]), repeat=len(logits)):
        labels = tuple(label for label, _ in groupby(path) if label != blank)
        paths[path] = math.prod(float(chances[step, label]) for step, label in enumerate(path))
        found[labels] += paths[path]
    best = max(paths, key=paths.__getitem__)
    return found, tuple(label for label, _ in groupby(best) if label != blank)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("blank", [0, 2])
def test_equals_all_paths(blank: int, masked: bool) -> None:
    logits, mask = given(), MASK if masked else None
    beams, best_paths = prefix_beam_search(logits, mask, width=ALL, blank=blank), greedy(logits, mask, blank=blank)
    for row, length in enumerate(LENGTHS.tolist() if masked else [STEPS] * 3):
        expected, best_path = all_paths(logits[row, :length], blank)
        found = {tuple(one.labels): math.exp(one.log_probability) for one in beams[row]}
        assert found == pytest.approx(dict(expected), rel=1e-5)
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert tuple(best_paths[row].labels) == best_path


def test_probability_equals_torchs_loss() -> None:
    logits = given()
    for row, transcripts in enumerate(prefix_beam_search(logits, width=ALL)):
        for labels, log_p in transcripts[:5]:
            nats = F.ctc_loss(
                logits[row].log_softmax(1),
                torch.tensor(labels, dtype=torch.int64),
                torch.tensor(STEPS),
                torch.tensor(len(labels)),
                reduction="none",
            )
            assert -log_p == pytest.approx(nats.item(), rel=1e-4)


def test_many_paths_beat_the_best_one() -> None:
    """Two steps with p(blank) = .6: the best path has no label, with .36; all paths of `a` have .64."""
    logits = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]]).log()
    (path,), ((best, second),) = greedy(logits), prefix_beam_search(logits)
    assert (path.labels, best.labels, second.labels) == ([], [1], [])
    assert math.exp(path.log_probability) == pytest.approx(0.36)
    assert math.exp(best.log_probability) == pytest.approx(0.64)


def test_repeats_need_a_blank() -> None:
    path = torch.tensor([[1, 1, 0, 1, 2, 2, 0, 0]])
    logits = 50.0 * F.one_hot(path, 3)
    assert greedy(logits)[0].labels == [1, 1, 2]
    assert prefix_beam_search(logits, width=2)[0][0].labels == [1, 1, 2]


@pytest.mark.parametrize("width", [1, 2, 5])
def test_narrow_beams_lack_paths(width: int) -> None:
    for row, transcripts in enumerate(prefix_beam_search(given(), width=width)):
        expected, _ = all_paths(given()[row], 0)
        assert 0 < len(transcripts) <= width
        for labels, log_p in transcripts:
            assert math.exp(log_p) <= expected[tuple(labels)] * (1 + 1e-5)


def test_impossible_labels_are_left_out() -> None:
    logits = given()
    logits[:, :, 1] = -torch.inf
    for transcripts in prefix_beam_search(logits, width=ALL):
        assert all(1 not in labels and math.isfinite(log_p) for labels, log_p in transcripts)
