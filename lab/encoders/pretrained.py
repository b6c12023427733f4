"""A trained encoder, wherever a config names an encoder."""

from __future__ import annotations

from pathlib import Path

from lab.config.types import Artifact, FromRun
from lab.data.spec import Spec, mismatch
from lab.encoders.base import Encoder, EncoderSource
from lab.encoders.files import load_encoder
from lab.errors import ConfigError
from lab.runs.artifacts import artifact_at


class Pretrained(EncoderSource):
    """The encoder of an earlier run, of its own class and with its weights.

    Args:
        path: of the run, or of the folder inside it that holds the encoder; or the run as `FromRun`. The encoder must
            be of one of the lab's own classes.
        freeze: keep weights and the statistics of batch norms as they are.
    """

    def __init__(self, path: Artifact, freeze: bool = False) -> None:
        self.path, self.freeze = path, freeze

    def __call__(self, spec: Spec) -> Encoder:
        """Return the encoder. Raises ConfigError where there is none, or where it cannot take `spec`."""
        if isinstance(self.path, FromRun):
            raise ConfigError(f"only a run finds the artifact of {self.path.run}; give Pretrained a path")
        folder = artifact_at(Path(self.path), FromRun.name)
        if folder is None:
            raise ConfigError(f"there is no encoder in {self.path}; expected a run's folder or one with encoder.json")
        encoder = load_encoder(folder)
        if reason := mismatch(encoder.spec, spec):
            raise ConfigError(f"the encoder in {self.path} {reason}")
        encoder.pretrained, encoder.frozen = True, self.freeze
        return encoder.train().requires_grad_(not self.freeze)
