"""What an experiment shows is a file in the run folder, and a row of the journal."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from lab.data.sound import Sound
from lab.experiment import RunContext
from lab.experiment.timing import Timing
from lab.tracking import Journal, read_journal


@pytest.fixture
def context(tmp_path: Path) -> Iterator[RunContext]:
    journal = Journal(tmp_path)
    yield RunContext(tmp_path, 0, torch.device("cpu"), journal)
    journal.finish({})


def test_media_are_named_by_group_and_position(context: RunContext) -> None:
    context.picture("pictures/samples", Image.new("L", (4, 4)), axis="epoch", at=3)
    context.text("texts/story", "caf\u00e9", axis="epoch", at=4)
    context.sound("sounds/tone", Sound(torch.zeros(80), 8000), axis="epoch", at=5)
    named = ["samples-00000003.png", "texts-story-00000004.txt", "sounds-tone-00000005.wav"]
    rows = [(row["file"], row["epoch"]) for row in read_journal(context.dir / "media.jsonl")]
    assert rows == list(zip(named, (3, 4, 5), strict=True))
    assert sorted(path.name for path in (context.dir / "media").iterdir()) == sorted(named)
    assert (context.dir / "media" / named[1]).read_text(encoding="utf-8") == "caf\u00e9"
    with wave.open(str(context.dir / "media" / named[2])) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (8000, 80)


def test_frames_become_a_film(context: RunContext) -> None:
    frames = [Image.new("L", (4, 4), shade) for shade in (0, 128, 255)]
    context.picture("films/episode", frames, "best/episode", axis="epoch", at=1)
    for name in ("films-episode", "best-episode"):
        with Image.open(context.dir / "media" / f"{name}-00000001.gif") as film:
            assert film.n_frames == 3  # type: ignore[attr-defined]
    assert [row["name"] for row in read_journal(context.dir / "media.jsonl")] == ["films/episode", "best/episode"]


def test_rate_is_steps_per_second() -> None:
    assert Timing(steps=30, seconds={"acting": 2.0, "learning": 4.0}).rate == 5.0
