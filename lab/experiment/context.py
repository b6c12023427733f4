"""What a run gives to its experiment: folder, seed, device, checkpoints, and where metrics and media go."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lab.console.progress import Progress
from lab.data.sound import Sound
from lab.saving.checkpoint import Checkpoint
from lab.saving.saver import Saver
from lab.system.files import make_folder, write_atomic
from lab.tracking.base import Tracker

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class RunContext:
    """What a run gives to its experiment.

    Args:
        dir: the run folder.
        seed: of the run.
        device: to train on.
        tracker: receives metrics and media, each on an axis of its own.
        fast_dev_run: do only a little of every stage.
        saver: to be called at every safe point in training; None where nothing is trained.
        restored: the checkpoint to resume from; None for a new run.
        changed: dotted names of the settings that differ from those that led to that checkpoint. What is announced as
            changed must train: a state that holds the old value gives way.
    """

    dir: Path
    seed: int
    device: torch.device
    tracker: Tracker
    fast_dev_run: bool = False
    saver: Saver | None = None
    restored: Checkpoint | None = None
    changed: Collection[str] = ()

    def progress(self, stage: str, total: int, unit: str, *, start: int = 0) -> Progress:
        """Return a progress bar, a context manager. `start` units were done in an earlier session.

        Only a run that is at work leaves its progress in its folder, where an evaluation changes nothing.
        """
        return Progress(stage, total, unit, start=start, folder=self.dir if self.saver else None)

    def picture(self, name: str, image: Image | list[Image], *more: str, axis: str, at: int) -> None:
        """Save a picture called `group/name` as `media/<group>-<name>-<at>.png`, or a film's frames as GIF, and
        track it; under `more` names as well. The group `pictures` is left out of the file's name."""
        drawn = BytesIO()
        if isinstance(image, list):
            each = [one.info.get("duration", 40) for one in image]  # milliseconds
            image[0].save(drawn, "GIF", save_all=True, append_images=image[1:], duration=each, loop=0, optimize=True)
        else:
            image.save(drawn, "PNG")
        for one in (name, *more):
            self._media(one, ".gif" if isinstance(image, list) else ".png", drawn.getvalue(), axis=axis, at=at)

    def text(self, name: str, text: str, *, axis: str, at: int) -> None:
        """Save a text called `group/name` as `media/<group>-<name>-<at>.txt` in UTF-8, and track it."""
        self._media(name, ".txt", text.encode("utf-8", "replace"), axis=axis, at=at)

    def sound(self, name: str, sound: Sound, *, axis: str, at: int) -> None:
        """Save a sound called `group/name` as `media/<group>-<name>-<at>.wav`, and track it. What else the sound
        is known as, such as MIDI, stands beside it."""
        written = self._media(name, ".wav", sound.wav(), axis=axis, at=at)
        for suffix, content in sound.others.items():
            write_atomic(written.with_suffix(suffix), content)

    def _media(self, name: str, suffix: str, content: bytes, *, axis: str, at: int) -> Path:
        path = self.dir / "media" / f"{name.removeprefix('pictures/').replace('/', '-')}-{at:08d}{suffix}"
        make_folder(path.parent)
        write_atomic(path, content)  # on the disk before any checkpoint that comes after it
        self.tracker.media(name, path, axis=axis, at=at)
        return path
