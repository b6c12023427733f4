"""Samples as files: pictures with a grid of all, texts and sounds."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image

from lab.data.sound import Sound
from lab.system.files import write_atomic
from lab.training.pictures import grid


def write(samples: Sequence[Image | str | Sound], folder: Path) -> Path:
    """Write each sample into `folder` under its number; return the file to look at first: the grid of
    all pictures, else the first sample."""
    paths = [_write(one, folder / f"{number:04d}") for number, one in enumerate(samples)]
    pictures = [np.asarray(one.convert("RGB")) for one in samples if isinstance(one, Image)]
    if not pictures:
        return paths[0]
    return _write(grid(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255), folder / "grid")


def _write(sample: Image | str | Sound, path: Path) -> Path:
    if isinstance(sample, str):
        suffix, content = ".txt", sample.encode("utf-8", "replace")
    elif isinstance(sample, Sound):
        suffix, content = ".wav", sample.wav()
    else:
        suffix, content = ".png", png(sample)
    written = path.with_suffix(suffix)
    write_atomic(written, content)
    return written


def png(picture: Image) -> bytes:
    """Return a picture as a PNG file."""
    drawn = BytesIO()
    picture.save(drawn, "PNG")
    return drawn.getvalue()
