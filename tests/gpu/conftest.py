"""Tests that need a GPU. `make gpu` runs them; elsewhere each is skipped and says so.

GPU_TESTS=cpu runs them on the CPU, to see that they themselves are right: `make gpu ARGS="--device cpu"` does.
"""

from __future__ import annotations

import os

import pytest
import torch

PLACE = os.environ.get("GPU_TESTS", "cuda")


@pytest.fixture
def device() -> torch.device:
    """The device that is tested."""
    if PLACE == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and none is here")
    return torch.device("cuda", 0) if PLACE == "cuda" else torch.device(PLACE)
