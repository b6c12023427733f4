"""Data sets and their batches, one file per modality. Models are elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from lab.data.base import Batch, Batches, DataModule, DatasetInfo
    from lab.data.images import Images

__all__ = [
    "Batch",
    "Batches",
    "DataModule",
    "DatasetInfo",
    "Images",
]

__getattr__ = lazily(
    __name__,
    {
        "Batch": "lab.data.base",
        "Batches": "lab.data.base",
        "DataModule": "lab.data.base",
        "DatasetInfo": "lab.data.base",
        "Images": "lab.data.images",
    },
)
