"""Films of a training: the pictures that a run has drawn by the way, one after the other."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from PIL import Image

from lab.data.files.picture import pixels
from lab.errors import DataError
from lab.experiment import RunContext
from lab.system.opening import read_plain
from lab.training.captions import headed

WIDEST, MOST = 480, 60  # screen pixels of a film, and frames
SHOWN, LAST = 300, 2_000  # milliseconds


def film(name: str, context: RunContext, *, axis: str, at: int) -> None:
    """Save a film of the pictures called `name` in the run's folder as `NAME-film`; none where there is only one.

    They are read from the folder, so that a resumed run has the same film. It may be somebody else's run: a file that
    is no picture, or of a form that Pillow gives to another program, is left out.
    """
    found = re.compile(rf"{re.escape(name)}-\d{{8}}\.png")
    files = sorted(file for file in (context.dir / "media").glob("*.png") if found.fullmatch(file.name))
    if len(files) < 2:
        return
    step = -(-len(files) // MOST)
    files = [*files[:-1][::step], files[-1]]
    frames = []
    for file in files:
        with suppress(OSError, DataError):
            frames.append(_frame(file, axis))
    if len(frames) < 2:
        return
    for frame in frames:
        frame.info["duration"] = SHOWN
    frames[-1].info["duration"] = LAST
    context.picture(f"pictures/{name}-film", frames, axis=axis, at=at)


def _frame(file: Path, axis: str) -> Image.Image:
    picture = Image.fromarray(pixels(read_plain(file, file.parent), file.name)).convert("RGB")
    if picture.width > WIDEST:
        height = round(picture.height * WIDEST / picture.width)
        picture = picture.resize((WIDEST, height), Image.Resampling.LANCZOS)
    return headed(picture, f"{'epoch' if axis == 'epoch' else 'step'} {int(file.stem[-8:]):,}")
