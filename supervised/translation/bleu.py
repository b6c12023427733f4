"""BLEU of translations, by the library sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from lab.console.wording import install
from lab.errors import ConfigError


class BLEU(Metric):  # type: ignore[misc]
    """BLEU of a whole split (Papineni et al. 2002), from 0 to 100, as sacrebleu has it: lower-cased, with its tokenizer
    13a (Post 2018), one reference for each text.

    Raises ConfigError where sacrebleu is not installed.
    """

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.scorer = _scorer()
        self.written: list[str] = []
        self.references: list[str] = []

    def update(self, written: Sequence[str], references: Sequence[str]) -> None:
        """Add texts and their references."""
        self.written += written
        self.references += references

    def compute(self) -> Tensor:
        return torch.tensor(self.scorer.corpus_score(self.written, [self.references]).score)

    def reset(self) -> None:
        super().reset()
        self.written, self.references = [], []


def bleu(written: Sequence[str], references: Sequence[str]) -> float:
    """Return the same of all texts at once."""
    metric = BLEU()
    metric.update(written, references)
    return float(metric.compute())


def _scorer() -> Any:
    """Return sacrebleu's scorer. Its files with published test sets are never downloaded."""
    try:
        from sacrebleu.metrics import BLEU as Library  # noqa: N811  # 0.6 s, and only here
    except ImportError as error:
        raise ConfigError(
            f"BLEU needs sacrebleu, a package that is not installed; the extra text has it: {install('text')}"
        ) from error
    return Library(lowercase=True, tokenize="13a", force=True)  # else it warns of full stops after a space
