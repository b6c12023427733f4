"""Lightning's checkpoints, kept in memory."""

from __future__ import annotations

from typing import Any

from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO


class InMemory(CheckpointIO):
    """Where Lightning saves to and loads from; `lab.saving.checkpoint` writes files, atomically and without pickle."""

    def __init__(self, checkpoint: dict[str, Any] | None = None) -> None:
        self.checkpoint = checkpoint

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        self.checkpoint = checkpoint

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        assert self.checkpoint is not None
        return self.checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Nothing to do."""
