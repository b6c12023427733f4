"""An image as a map of codes, and back: both halves of a VQ-VAE with its codebook, as other experiments load them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from generative.autoencoders.codebook import Codebook
from lab.data.spec import InputSpec
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.encoders.files import load_encoder, save_encoder
from lab.encoders.networks.staged import Staged
from lab.errors import CheckpointError, ConfigError
from lab.runs.artifacts import artifact_at, seal, sealed
from lab.saving.tensors import UNFIT, as_bytes, tensors_in
from lab.system.files import write_atomic, write_json
from lab.system.opening import parse_json

# Dimensions: B images, C H W of an image, h w of a map of codes, K codes of D numbers.

NAME = "codebook"
WEIGHTS, DESCRIPTION, ENCODER = f"{NAME}.safetensors", f"{NAME}.json", "encoder."


class ImageTokenizer(nn.Module):
    """A convolutional encoder whose map is replaced by codes, and a decoder from these.

    Args:
        spec: of the images.
        encoder: in stages, such as Conv or ResNet; its last map is that of the codes.
        size: codes in the book.
        width: numbers of a code.
        decay: of the codebook's averages.
    """

    def __init__(self, spec: InputSpec, *, encoder: EncoderFactory, size: int, width: int, decay: float = 0.99) -> None:
        super().__init__()
        built = build_encoder(encoder, spec)
        if not isinstance(built, Staged):
            raise ConfigError(
                f"codes need an encoder that gives a map, such as Conv or ResNet, received {type(built).__name__}"
            )
        self.encoder = built
        channels, *self.shape = built.shapes[-1]
        self.narrow = nn.Conv2d(channels, width, 1)
        self.codebook = Codebook(size, width, decay)
        self.widen = nn.Conv2d(width, channels, 1)
        self.decoder = built.mirror_of_map()

    def vectors(self, x: Tensor) -> Tensor:
        """Return what the encoder makes of images `(B, C, H, W)`: a vector for each code, `(B, h, w, D)`."""
        return self.narrow(self.encoder.features(x)).movedim(1, -1)  # type: ignore[no-any-return]

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes of images, `(B, h, w)`, int64."""
        return self.codebook.nearest(self.vectors(x).flatten(0, 2)).view(len(x), *self.shape)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the logits of images, `(B, C, H, W)`, for codes `(B, h, w)`."""
        return self.decode_vectors(self.codebook.vectors[codes])

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return what their codes keep of images `(B, C, H, W)`: the probabilities of pixels, of the same shape."""
        return self.decode(self.encode(x)).sigmoid()

    def decode_vectors(self, vectors: Tensor) -> Tensor:
        """Return the same for the vectors of codes, `(B, h, w, D)`."""
        return self.decoder(self.widen(vectors.movedim(-1, 1)))  # type: ignore[no-any-return]


def save_tokenizer(tokenizer: ImageTokenizer, folder: Path) -> None:
    """Write a tokenizer into `folder`, which is made where it is missing: its encoder as every encoder is written, and
    all else beside it."""
    save_encoder(tokenizer.encoder, folder)
    rest = {name: one for name, one in tokenizer.state_dict().items() if not name.startswith(ENCODER)}
    write_atomic(folder / WEIGHTS, as_bytes({name: one.detach().cpu().contiguous() for name, one in rest.items()}))
    book = tokenizer.codebook
    write_json(folder / DESCRIPTION, {"schema": 1, "size": book.size, "width": book.width, "decay": book.decay})
    seal(folder, None)  # a run seals it anew, as its own


def load_tokenizer(path: Path) -> ImageTokenizer:
    """Rebuild the tokenizer in a folder or of a run, on the CPU and in eval mode. No code from the files is run.

    Raises ConfigError where there is none, CheckpointError where its files are damaged or do not fit each other.
    """
    folder = artifact_at(path, NAME)
    if folder is None:
        raise ConfigError(f"there is no codebook in {path}; expected a folder with {DESCRIPTION}, or a run's")
    encoder = load_encoder(folder)
    try:
        artifact = sealed(folder)
        told = parse_json(artifact.read(DESCRIPTION))
        weights = tensors_in(artifact.read(WEIGHTS))
        size, width = weights["codebook.vectors"].shape
        if (told["size"], told["width"]) != (size, width):  # a description alone could ask for any amount of memory
            raise ValueError(f"it has {size} codes of {width} numbers, but is described otherwise")
        with torch.random.fork_rng(devices=[]):
            made = ImageTokenizer(
                encoder.spec, encoder=lambda _: encoder, size=size, width=width, decay=float(told["decay"])
            )
        made.load_state_dict({**weights, **{ENCODER + name: one for name, one in encoder.state_dict().items()}})
    except UNFIT as error:
        raise CheckpointError(f"no codebook can be loaded from {folder}: {error}") from error
    return made.eval()
