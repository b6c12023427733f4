"""Gives an experiment that needs another run's encoder a small one instead, and large networks few channels or layers.
Its classes stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

ENCODER = Path(__file__).parents[1] / "fixtures/encoder"
"""Of images of shape (1, 28, 28): an MLP of width 2 with random weights."""
WORDS = ENCODER.parent / "words"
"""Of the words of generated reviews that occur twice in fold 0: a Transformer of width 8 with random weights."""


def small(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides for an experiment on an encoder of another run, or on a wide or deep one, given what its YAML
    says; none for others."""
    encoder = ((config.get("model") or {}).get("init_args") or {}).get("encoder") or {}
    if max(encoder.get("init_args", {}).get("channels", [0])) > 100:
        narrow: dict[str, Any] = {"model.encoder.channels": [8, 8]}
        return narrow | ({"model.encoder.stem": 4} if "stem" in encoder["init_args"] else {})
    if encoder.get("init_args", {}).get("layers", 1) > 2:
        return {"model.encoder.layers": 1}
    if "path" not in encoder.get("init_args", {}):
        return {}
    texts = config["data"]["class_path"].endswith("Sentences")
    return {"model.encoder.path": str(WORDS if texts else ENCODER), "data.batch_size": 50}
