"""Reads a user's file as an input of a model, by the spec of the data that the model was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from lab.data.sound import read_wav
from lab.data.spec import InputSpec, Spec
from lab.errors import ConfigError


def read_input(path: Path, spec: Spec) -> tuple[Tensor, list[str]]:
    """Return `(*spec.shape)` from a file, and what was done to make it fit, one sentence each. A sound may be shorter.

    Raises ConfigError or DataError where the file is missing, damaged, or of another kind than the spec.
    """
    if isinstance(spec, InputSpec) and spec.sample_rate:
        return _sound(path, spec)
    if isinstance(spec, dict) or len(spec.shape) != 3:
        raise ConfigError(f"{path.name}: only models of images and of sounds read files so far")
    return _image(path, spec)


def _image(path: Path, spec: InputSpec) -> tuple[Tensor, list[str]]:
    channels, height, width = spec.shape
    if channels not in (1, 3):
        raise ConfigError(f"{path.name}: the model takes images of {channels} channels, which no picture has")
    try:
        with Image.open(path, formats=("PNG", "JPEG", "BMP", "GIF", "WEBP")) as picture:
            image = picture.convert("L" if channels == 1 else "RGB")
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {path}") from error
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise ConfigError(f"{path} cannot be read as an image: {error}") from error
    notes = []
    if image.size != (width, height):
        notes.append(f"{path.name} was resized from {image.width}x{image.height} to {width}x{height}")
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)  # (H, W) or (H, W, 3)
    return (pixels[None] if channels == 1 else pixels.permute(2, 0, 1)).contiguous(), notes


def _sound(path: Path, spec: InputSpec) -> tuple[Tensor, list[str]]:
    levels, rate = read_wav(path)
    if rate != spec.sample_rate:
        raise ConfigError(f"{path.name}: the model takes {spec.sample_rate} samples per second, received {rate}")
    longest, notes = spec.shape[0], list[str]()
    if len(levels) > longest:
        notes.append(f"{path.name} was cut to its first {longest / rate:.3g} of {len(levels) / rate:.3g} seconds")
    return levels[:longest].float() / 32_768, notes
