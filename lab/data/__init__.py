"""Data sets: a catalog with hashes, and one module per modality that keeps its tensors on the training device."""

from lab.data.base import Batch, Batches, DataModule, DatasetInfo
from lab.data.images import Images

__all__ = ["Batch", "Batches", "DataModule", "DatasetInfo", "Images"]
