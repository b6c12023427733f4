"""Media of a run that a page can hold: known kinds, inside the run's own folder, of bounded size."""

from __future__ import annotations

import warnings
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lab.console.wording import size
from lab.report.material import short
from lab.runs.readings import number
from lab.system.opening import parse_json
from lab.tracking.journal import MEDIA, lines_of

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".gif": "GIF", ".webp": "WEBP"}
FILMS = {".mp4": "video/mp4", ".webm": "video/webm"}
SOUND, TEXT = "audio/wav", "text/plain"
LARGEST = 4_000_000  # bytes of one file
MOST_PIXELS = 25_000_000
SMALL, WIDEST = 120, 420  # pixels
MOST_ROWS = 2_000  # of one run's media journal
LONGEST = 10_000  # bytes of one of them


@dataclass(frozen=True)
class Medium:
    """One picture, film, text or sound.

    Args:
        run: its run's place in the report.
        name: what it shows, as logged.
        axis: what `at` counts.
        path: the file.
        mime: its type, by its content.
        pixels: width and height of a picture; None for the others.
    """

    run: int
    name: str
    axis: str
    at: float
    path: Path
    mime: str
    pixels: tuple[int, int] | None

    @property
    def kind(self) -> str:
        """`image`, `video`, `audio` or `text`."""
        return self.mime.partition("/")[0]

    @property
    def magnified(self) -> bool:
        """Whether it is so small that it is enlarged by a whole factor, which keeps its pixels sharp."""
        return self.pixels is not None and max(self.pixels) <= SMALL

    @property
    def shown(self) -> tuple[int, int] | None:
        """Width and height on the page; None where the player decides. Enlarged, a picture has its own size."""
        if self.pixels is None:
            return None
        width, height = self.pixels
        if self.magnified:
            times = max(1, 2 * SMALL // max(self.pixels))
            return width * times, height * times
        wide = min(width, WIDEST)
        return wide, max(1, round(height * wide / width))


def media_of(run: int, folder: Path, left_out: Counter[str]) -> Iterator[Medium]:
    """Yield the media of a run that a page can show, in the order of their journal; count the others."""
    kept: deque[bytes] = deque(maxlen=MOST_ROWS)
    rows = 0
    try:
        for lines in lines_of(folder / MEDIA):
            rows += len(lines)
            kept.extend(line[:LONGEST] for line in lines[-MOST_ROWS:])
    except OSError:
        return
    except ValueError:
        left_out["named by a damaged journal"] += 1
        return
    if rows > MOST_ROWS:
        left_out[f"beyond the last {MOST_ROWS:,} of a run"] += rows - MOST_ROWS
    for line in kept:
        try:
            row = parse_json(line)
            name, file, axis = (row[key] for key in ("name", "file", "axis"))
            at = number(row[axis])
        except (ValueError, TypeError, KeyError):
            left_out["named by a damaged line"] += 1
            continue
        if not (isinstance(name, str) and isinstance(file, str) and at is not None):
            left_out["named by a damaged line"] += 1
            continue
        found = _kind(folder, file)
        if isinstance(found, str):
            left_out[found] += 1
        else:
            yield Medium(run, short(name), short(str(axis)), at, *found)


def _kind(folder: Path, name: str) -> tuple[Path, str, tuple[int, int] | None] | str:
    """The file with its type and pixels, or why the page cannot show it."""
    path = folder / "media" / name
    try:
        real = path.resolve()
        if Path(name).name != name or real.parent != folder.resolve() / "media" or not real.is_file():
            return "not in the run's media folder"
        if real.stat().st_size > LARGEST:
            return f"larger than {size(LARGEST)}"
        suffix = path.suffix.lower()
        if suffix in FILMS:
            head = _head(real)
            fits = head[4:8] == b"ftyp" if suffix == ".mp4" else head[:4] == b"\x1aE\xdf\xa3"
            return (real, FILMS[suffix], None) if fits else "that are not films"
        if suffix == ".wav":
            head = _head(real)
            return (real, SOUND, None) if head[:4] + head[8:] == b"RIFFWAVE" else "that are not sounds"
        if suffix == ".txt":
            return (real, TEXT, None) if "\0" not in real.read_text("utf-8") else "that are not texts"
        if suffix not in PICTURES:
            return "of a kind that the page cannot show"
        with warnings.catch_warnings(), Image.open(real, formats=[PICTURES[suffix]]) as picture:
            warnings.simplefilter("ignore")
            if picture.width * picture.height > MOST_PIXELS:
                return f"of more than {MOST_PIXELS // 1_000_000} million pixels"
            return real, Image.MIME[PICTURES[suffix]], (picture.width, picture.height)
    except UnicodeDecodeError:
        return "that are not texts"
    except (OSError, ValueError, Image.DecompressionBombError):
        return "that are not pictures"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)
