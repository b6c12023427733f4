"""Samples as files: pictures with a grid of all, texts and sounds."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image

from lab.data.sound import Sound
from lab.errors import ConfigError
from lab.system.files import write_atomic
from lab.training.pictures import grid

FILES = {".png": ("pictures",), ".wav": ("sounds",), ".npz": ("pictures", "sounds")}
"""Endings of files that take all samples, and the kinds of these."""
PAUSE = 0.25  # seconds between two sounds of a file


def write(samples: Sequence[Image | str | Sound], folder: Path) -> Path:
    """Write each sample into `folder` under its number; return the file to look at first: the grid of
    all pictures, else the first sample."""
    paths = [_write(one, folder / f"{number:04d}") for number, one in enumerate(samples)]
    pictures = [one for one in samples if isinstance(one, Image)]
    return _write(_sheet(pictures), folder / "grid") if pictures else paths[0]


def write_file(samples: Sequence[Image | str | Sound], path: Path) -> None:
    """Write all samples into one file, in the form that its ending says. Raises ConfigError where they are of another
    kind.

    An archive `.npz` has the array `samples`: of pictures `(N, H, W)` or `(N, H, W, 3)`, uint8, and of sounds `(N, T)`,
    float32, with their `lengths` and the `rate` in samples per second.
    """
    pictures = [one for one in samples if isinstance(one, Image)]
    sounds = [one for one in samples if isinstance(one, Sound)]
    ending = path.suffix.lower()
    if ending == ".png" and pictures:
        content = png(_sheet(pictures))
    elif ending == ".wav" and sounds:
        content = one_after_the_other(sounds).wav()
    elif ending == ".npz" and (pictures or sounds):
        archive = BytesIO()
        np.savez_compressed(
            archive, **(_numbers_of(sounds) if sounds else {"samples": np.stack([*map(np.asarray, pictures)])})
        )
        content = archive.getvalue()
    else:
        kind = "pictures" if pictures else "sounds" if sounds else "texts"
        fitting = " or ".join(one for one, kinds in FILES.items() if kind in kinds)
        raise ConfigError(
            f"the samples are {kind}, and {path.name} is a file for {' or '.join(FILES[ending])}; "
            f"name {f'one that ends in {fitting}' if fitting else 'a folder'}"
        )
    write_atomic(path, content)


def one_after_the_other(sounds: Sequence[Sound]) -> Sound:
    """Return sounds of one rate as one, with pauses of silence between them."""
    rate = sounds[0].rate
    pause = torch.zeros(round(PAUSE * rate))
    parts = [part for sound in sounds for part in (pause, sound.samples.cpu())]
    return Sound(torch.cat(parts[1:]), rate)


def _numbers_of(sounds: Sequence[Sound]) -> dict[str, np.ndarray[Any, Any]]:
    samples = [sound.samples.cpu() for sound in sounds]
    return {
        "samples": torch.nn.utils.rnn.pad_sequence(samples, batch_first=True).numpy(),
        "lengths": np.array([len(one) for one in samples]),
        "rate": np.array(sounds[0].rate),
    }


def _sheet(pictures: Sequence[Image]) -> Image:
    pixels = [np.asarray(one.convert("RGB")) for one in pictures]
    return grid(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 255)


def _write(sample: Image | str | Sound, path: Path) -> Path:
    if isinstance(sample, str):
        suffix, content = ".txt", sample.encode("utf-8", "replace")
    elif isinstance(sample, Sound):
        suffix, content = ".wav", sample.wav()
    else:
        suffix, content = ".png", png(sample)
    written = path.with_suffix(suffix)
    write_atomic(written, content)
    for other, form in sample.others.items() if isinstance(sample, Sound) else ():
        write_atomic(path.with_suffix(other), form)
    return written


def png(picture: Image) -> bytes:
    """Return a picture as a PNG file."""
    drawn = BytesIO()
    picture.save(drawn, "PNG")
    return drawn.getvalue()
