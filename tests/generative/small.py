"""Makes a generative experiment small enough for a test. Its classes stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DENOISER = {"model.network.channels": [8], "model.network.patch": 4}
OVERRIDES: dict[str, dict[str, Any]] = {
    "LanguageModel": {"model.sample_length": 5, "model.encoder.layers": 1},
    "DDPM": DENOISER,
    "FlowMatching": DENOISER,
    "RealNVP": {"model.hidden": 8, "model.steps": 1},
}
"""By the name of the model's class."""


def small(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides for the models that need some, given what the YAML says; none for other experiments."""
    model = config.get("model") or {}
    return OVERRIDES.get(model.get("class_path", "").rpartition(".")[2], {})
