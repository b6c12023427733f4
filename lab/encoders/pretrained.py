"""A trained encoder, wherever a config names one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.encoders.base import Encoder
from lab.errors import ConfigError
from lab.spec import InputSpec


class Pretrained(Encoder):
    """Stands for the encoder of an earlier run: building it gives that encoder, of its own class, with its weights.

    Args:
        path: a run's `encoder` folder; the encoder must be of one of the lab's own classes.
        freeze: keep the weights and the statistics of batch norms as they are.
    """

    def __new__(cls, spec: InputSpec, *, path: str, freeze: bool = False) -> Any:
        # Not an instance of this class, so Python does not call __init__ on it: what is built, trained and exported
        # is the very Conv or MLP that was loaded, with no wrapper in between.
        from lab.encoders.files import load_encoder

        if not Path(path).is_dir():
            raise ConfigError(f"there is no encoder folder {path}")
        encoder = load_encoder(Path(path))
        if encoder.spec.shape != spec.shape:
            raise ConfigError(f"the encoder in {path} takes inputs of {encoder.spec.shape}, received {spec.shape}")
        encoder.pretrained, encoder.frozen = True, freeze
        return encoder.train().requires_grad_(not freeze)

    def __init__(self, spec: InputSpec, *, path: str, freeze: bool = False) -> None:
        raise NotImplementedError("never reached; it is here for its signature, which is the schema of the config")
