"""Tests of tests/gpu, on a pretended device: so they are right when there is a real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.devices.pretended import CUDA, pretended_cuda
from tests.gpu.test_generation import test_memory_changes_nothing, test_tokens_stay_on_device
from tests.gpu.test_graphs import (
    test_agents_learn_equally,
    test_learning_rate_is_read_anew,
    test_others_run_as_they_are,
    test_random_numbers_are_drawn_anew,
    test_simple_functions_are_captured,
)

__all__ = [
    "test_agents_learn_equally",
    "test_learning_rate_is_read_anew",
    "test_memory_changes_nothing",
    "test_others_run_as_they_are",
    "test_random_numbers_are_drawn_anew",
    "test_simple_functions_are_captured",
    "test_tokens_stay_on_device",
]


@pytest.fixture
def device() -> Iterator[torch.device]:
    with pretended_cuda():
        yield CUDA
