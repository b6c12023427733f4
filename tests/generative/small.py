"""Makes a generative experiment small enough for a test. Its classes stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def small(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides for a language model, given what its YAML says; none for other experiments."""
    if not (config.get("model") or {}).get("class_path", "").endswith(".LanguageModel"):
        return {}
    return {"model.sample_length": 5, "model.encoder.layers": 1}
