"""Makes a generative experiment small enough for a test. Its classes stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SMALL: Mapping[str, Mapping[str, Any]] = {
    "LanguageModel": {"model.sample_length": 5, "model.encoder.layers": 1},
    "PixelCNN": {"model.filters": 2, "model.layers": 2, "model.fid_samples": 128},
    "RBM": {"model.hidden": 8, "model.sample_steps": 3},
    "EBM": {"model.steps": 2, "model.sample_steps": 2, "model.chains": 200},
}
"""Overrides by the class of the model."""


def small(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return overrides for an experiment, given what its YAML says; none where the model is small enough."""
    return SMALL.get((config.get("model") or {}).get("class_path", "").rpartition(".")[2], {})
