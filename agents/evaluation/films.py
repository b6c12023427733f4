"""Films in real time, as H.264 (.mp4) or GIF. A film is written completely or not at all."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Generator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from PIL import Image

from lab.console.notices import notice
from lab.console.wording import install
from lab.errors import ConfigError, SavingError, not_written
from lab.system.files import write_atomic

GIF_SHORTEST = 0.0299  # seconds a frame must last: GIF counts hundredths, and browsers slow down below two of them
GIF_WIDTH, GIF_FRAMES = 480, 3_000


class Film(ABC):
    """A film that is written to `path` at the end of its `with` statement, unless an error is raised inside.

    Args:
        path: the file; a missing folder is made.
        fps: frames per second of the environment, from its metadata.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path, self.fps, self.seconds = path, fps, 0.0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_written(path.parent, error) from error

    @abstractmethod
    def add(self, image: Image.Image, seconds: float) -> None:
        """Show `image` for this long; all images have one size."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            self._finish()
        except OSError as error:
            raise not_written(self.path, error) from error

    @abstractmethod
    def _finish(self) -> None: ...

    @abstractmethod
    def _discard(self) -> None: ...


class Mp4(Film):
    """H.264 by the ffmpeg that comes with imageio-ffmpeg (the extra `video`)."""

    def __init__(self, path: Path, fps: float) -> None:
        require_mp4()
        super().__init__(path, fps)
        self.part = path.with_name(f".{path.stem}.part.mp4")
        self.frames = 0
        self.writer: Generator[None, Any, None] | None = None

    def add(self, image: Image.Image, seconds: float) -> None:
        if self.writer is None:
            from imageio_ffmpeg import write_frames

            self.part.unlink(missing_ok=True)  # left by a kill, or another name of some file, which ffmpeg would empty
            writer: Generator[None, Any, None] = write_frames(
                self.part,
                image.size,
                fps=self.fps,
                quality=7,
                macro_block_size=2,
                ffmpeg_log_level="error",
                output_params=["-movflags", "+faststart"],  # browsers can start before the download is complete
            )
            writer.send(None)
            self.writer = writer
        self.seconds += seconds
        due = round(self.seconds * self.fps)
        try:
            for _ in range(due - self.frames):
                self.writer.send(image.tobytes())
        except OSError as error:
            raise SavingError(f"cannot write {self.path}: ffmpeg ended early") from error
        self.frames = due

    def _finish(self) -> None:
        from imageio_ffmpeg import count_frames_and_secs

        assert self.writer is not None
        self.writer.close()
        try:  # imageio-ffmpeg does not return the exit status of ffmpeg
            written = count_frames_and_secs(self.part)[0]
        except RuntimeError:
            written = 0
        if written < self.frames:
            self._discard()
            raise SavingError(f"cannot write {self.path}: ffmpeg wrote {written} of {self.frames} frames")
        self.part.replace(self.path)

    def _discard(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.part.unlink(missing_ok=True)


class Gif(Film):
    """GIF by Pillow, at most 480 pixels wide and 33 frames per second."""

    def __init__(self, path: Path, fps: float) -> None:
        super().__init__(path, fps)
        self.images: list[Image.Image] = []
        self.starts: list[float] = []
        self.cut = False

    def add(self, image: Image.Image, seconds: float) -> None:
        if len(self.images) == GIF_FRAMES:
            self.cut = True
            return
        if self.starts and self.seconds - self.starts[-1] < GIF_SHORTEST:
            if seconds >= GIF_SHORTEST:  # a frame that is held replaces a frame that would be too short
                self.images[-1] = _small(image)
        else:
            self.images.append(_small(image))
            self.starts.append(self.seconds)
        self.seconds += seconds

    def _finish(self) -> None:
        if self.cut:
            notice(f"{self.path.name} ends after {GIF_FRAMES:,} frames; an .mp4 holds all of them")
        ticks = [round(100 * start) for start in [*self.starts, self.seconds]]
        drawn = BytesIO()
        self.images[0].save(
            drawn,
            "GIF",
            save_all=True,
            append_images=self.images[1:],
            duration=[10 * (after - before) for before, after in pairwise(ticks)],
            loop=0,
        )
        write_atomic(self.path, drawn.getvalue())

    def _discard(self) -> None:
        self.images.clear()


FILMS: dict[str, type[Film]] = {".mp4": Mp4, ".gif": Gif}


def has_mp4() -> bool:
    """Whether the extra `video` is installed."""
    return importlib.util.find_spec("imageio_ffmpeg") is not None


def require_mp4() -> None:
    """Raise ConfigError with the name of the extra if no .mp4 can be written."""
    if not has_mp4():
        raise ConfigError(f"an .mp4 needs the extra video: {install('video')}; a .gif needs nothing more")


def _small(image: Image.Image) -> Image.Image:
    if image.width > GIF_WIDTH:
        image = image.resize((GIF_WIDTH, image.height * GIF_WIDTH // image.width), Image.Resampling.LANCZOS)
    return image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
