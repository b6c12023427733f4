"""Makes a generative experiment small enough for a test. Its classes stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

CODEBOOK = Path(__file__).parents[1] / "fixtures/codebook"
"""Of images of shape (1, 28, 28): 4 codes for each of 7 x 7 patches, with random weights."""
HEARING = CODEBOOK.parent / "hearing"
"""An encoder of sounds at 8,000 Hz of at most 20,000 samples: 16 features, with random weights."""

STAGE = {"channels": 4, "stride": 4}
DENOISER = {"model.network.channels": [8], "model.network.patch": 4}
OVERRIDES: dict[str, dict[str, Any]] = {
    "MusicModel": {"model.sample_length": 8, "model.encoder.width": 16},
    "LanguageModel": {"model.sample_length": 5, "model.encoder.layers": 1},
    "DDPM": DENOISER,
    "FlowMatching": DENOISER,
    "PixelCNN": {"model.filters": 2, "model.layers": 2, "model.fid_samples": None},
    "EBM": {"model.steps": 2, "model.sample_steps": 2, "model.chains": 200, "model.encoder.stages": [STAGE]},
    "RBM": {"model.hidden": 8, "model.sample_steps": 3},
    "SRGAN": {"model.filters": 4, "model.blocks": 1},
    "Pix2Pix": DENOISER,
    "WaveNet": {"model.recogniser.path": str(HEARING), "model.heard": 20, "model.stacks": 1},
    "RealNVP": {"model.hidden": 8, "model.steps": 1},
}
"""By the name of the model's class."""
WIDEST, NARROW = 256, {"model.encoder.width": 48, "data.block": 32, "data.batch_size": 8}
"""Features of an encoder that is small enough, and what larger ones get."""


def small(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides for the models that need some, and for one that needs another run's codebook, given what its
    YAML says; none for other experiments."""
    model = config.get("model") or {}
    if "codes" in needs(model.get("init_args") or {}):
        return {"model.codes": str(CODEBOOK), "model.pixel_layers": 1, "model.pixel_filters": 2, "model.layers": 2}
    encoder = (model.get("init_args") or {}).get("encoder") or {}
    wide = encoder.get("init_args", {}).get("width", 0) > WIDEST if isinstance(encoder, Mapping) else False
    return OVERRIDES.get(model.get("class_path", "").rpartition(".")[2], {}) | (NARROW if wide else {})


def needs(settings: Mapping[str, Any]) -> set[str]:
    """Return the settings that name an artifact of another run."""
    return {name for name, value in settings.items() if isinstance(value, Mapping) and "run" in value}
