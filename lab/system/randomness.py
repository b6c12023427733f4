"""The random generators of Python, numpy and torch: seed, save and restore them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, numpy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    seed_torch(seed)


def seed_torch(seed: int) -> None:
    """Seed torch's generators, as `torch.manual_seed` does, on the devices that this machine has.

    `torch.manual_seed` writes down the call stack for each kind of device that is not there, in case it comes to be
    used: over a millisecond inside a training loop, which is a tenth of a small model's step.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


def derived_seed(*place: int) -> int:
    """Return a 32-bit seed derived from a place such as (seed, epoch, batch). Different places have different seeds."""
    return int(np.random.SeedSequence(place).generate_state(1)[0])


@contextmanager
def kept_randomness(device: torch.device | None = None) -> Iterator[None]:
    """Restore the global generators after the block, whatever it drew or seeded. None means the accelerator in use."""
    device = device or accelerator()
    before = random_state(device)
    try:
        yield
    finally:
        restore_random_state(before, device)


@contextmanager
def own_randomness(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch with `seed` inside the block, and restore the global generators afterwards."""
    with kept_randomness(device):
        seed_torch(seed)
        yield


def accelerator() -> torch.device:
    """Return the device whose generator `torch.manual_seed` seeds as well; the CPU if no other is in use."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the state of the global generators and of the generator of `device`."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "device": _device_state(device),
    }


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Restore what `random_state` returned. Raises ValueError or TypeError for what it cannot have been."""
    random.setstate(state["python"])
    if not 0 <= state["numpy"][2] <= len(state["numpy"][1]):  # numpy would read what lies beside it in memory
        raise ValueError("the state of numpy's generator has its place elsewhere")
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["device"] is not None:
        (torch.cuda.set_rng_state if device.type == "cuda" else torch.mps.set_rng_state)(state["device"])


def _device_state(device: torch.device) -> torch.Tensor | None:
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else None
