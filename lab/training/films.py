"""Films of a training: the pictures that a run has drawn by the way, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from lab.experiment import RunContext
from lab.training.captions import headed

WIDEST, MOST = 480, 60  # screen pixels of a film, and frames
SHOWN, LAST = 300, 2_000  # milliseconds


def film(name: str, context: RunContext, *, axis: str, at: int) -> None:
    """Save a film of the pictures called `name` in the run's folder as `NAME-film`; none where there is only one.

    They are read from the folder, so that a resumed run has the same film.
    """
    found = re.compile(rf"{re.escape(name)}-\d{{8}}\.png")
    files = sorted(file for file in (context.dir / "media").glob("*.png") if found.fullmatch(file.name))
    if len(files) < 2:
        return
    step = -(-len(files) // MOST)
    files = [*files[:-1][::step], files[-1]]
    frames = [_frame(file, axis) for file in files]
    for frame in frames:
        frame.info["duration"] = SHOWN
    frames[-1].info["duration"] = LAST
    context.picture(f"pictures/{name}-film", frames, axis=axis, at=at)


def _frame(file: Path, axis: str) -> Image.Image:
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    if picture.width > WIDEST:
        height = round(picture.height * WIDEST / picture.width)
        picture = picture.resize((WIDEST, height), Image.Resampling.LANCZOS)
    return headed(picture, f"{'epoch' if axis == 'epoch' else 'step'} {int(file.stem[-8:]):,}")
