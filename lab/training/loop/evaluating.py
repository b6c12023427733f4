"""The progress bar of evaluation."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from lab.console.progress import Progress


class EvaluationProgress(pl.Callback):
    """Moves the progress bar during evaluation."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_test_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, i: int, loader: int = 0
    ) -> None:
        self.progress.update(i + 1)
