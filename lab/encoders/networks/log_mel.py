"""Log-mel spectrograms in front of another encoder."""

from __future__ import annotations

from torch import Tensor

from lab.config.types import PositiveFloat, PositiveInt
from lab.data.spec import InputSpec, require_one_input
from lab.encoders.base import Encoder, EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.spectrogram import LogMelSpectrogram, Normalise


class LogMel(Encoder):
    """Turns sound into a log-mel spectrogram, and encodes that with another encoder of sequences.

    The spec is that of sound, `(T,)` float32 with a sample rate. The inner encoder sees `(frames, mels)`.

    Args:
        encoder: of the spectrogram, such as `TemporalConv`, `Recurrent` or `Transformer`.
        window: length of a frame in seconds.
        hop: from one frame to the next, in seconds.
        mels: number of frequency bands.
        normalise: of each example over its frames, see `lab.nn.spectrogram`.
    """

    def __init__(
        self,
        spec: InputSpec,
        *,
        encoder: EncoderFactory,
        window: PositiveFloat = 0.025,
        hop: PositiveFloat = 0.01,
        mels: PositiveInt = 40,
        normalise: Normalise = "bands",
    ) -> None:
        require_one_input(spec, "LogMel")
        super().__init__(spec)
        if len(spec.shape) != 1 or spec.sample_rate is None:
            raise ConfigError(
                f"LogMel needs sound (T,) with a sample rate, but the input is {spec.dtype} of shape {spec.shape}"
                f"{'' if spec.sample_rate else ' without a sample rate'}"
            )
        self.spectrogram = LogMelSpectrogram(spec.sample_rate, window=window, hop=hop, mels=mels, normalise=normalise)
        self.encoder = build_encoder(encoder, InputSpec((self.spectrogram.frames(spec.shape[0]), mels)))
        self.settings["encoder"] = self.encoder
        self.features_dim, self.takes_masks = self.encoder.features_dim, self.encoder.takes_masks
        self.pretrained = self.encoder.pretrained

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.encoder(*self._frames(x, mask))  # type: ignore[no-any-return]

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the features that the inner encoder has of the frames."""
        return self.encoder.features(*self._frames(x, mask))

    def features_mask(self, mask: Tensor) -> Tensor:
        return self.encoder.features_mask(self.spectrogram.frames_mask(mask))

    def _frames(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
        """Return the spectrogram, and which frames are real; without a mask, the spectrogram alone."""
        frames, real = self.spectrogram(x, mask)
        return (frames,) if real is None else (frames, real)
