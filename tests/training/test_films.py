"""A run makes a film of what it has drawn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import EpsImagePlugin, Image

import lab
from lab.training.films import film

DIGITS = {"data.name": "digits", "threads": 1, "model.nll_samples": 5, "model.fid_samples": None}


def test_samples_of_a_training_are_a_film() -> None:
    run = lab.run("vae-mnist", DIGITS | {"trainer.max_epochs": 3, "trainer.pictures_every": 1}, runs_dir="runs")
    with Image.open(run.dir / "media" / "samples-film-00000003.gif") as film:
        assert getattr(film, "n_frames", 1) == 3
        first = film.convert("L").copy()
        film.seek(2)
        last = film.convert("L")
        assert film.info["duration"] > 1000
    with Image.open(run.dir / "media" / "samples-00000003.png") as picture:
        assert abs(last.width / last.height - picture.width / picture.height) < 0.1
    assert first.tobytes() != last.tobytes()


def test_one_picture_is_no_film() -> None:
    run = lab.run("vae-mnist", DIGITS | {"trainer.max_epochs": 1}, runs_dir="runs")
    assert not list((run.dir / "media").glob("*film*"))


def test_only_pictures_are_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow gives PostScript to another program, whatever a file is called, and a run may be somebody else's."""
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("PostScript was run"))
    media = Path("media")
    media.mkdir()
    for number in (1, 2, 3):
        Image.new("RGB", (9, 9), (80 * number, 0, 0)).save(media / f"samples-{number:08d}.png")
    (media / "samples-00000004.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    (media / "samples-00000005.png").write_bytes((media / "samples-00000001.png").read_bytes()[:40])
    (media / "samples-00000006.png").symlink_to("samples-00000001.png")
    drawn: list[Any] = []
    context: Any = SimpleNamespace(dir=Path(), picture=lambda name, frames, **_: drawn.append((name, len(frames))))
    film("samples", context, axis="epoch", at=6)
    assert drawn == [("pictures/samples-film", 3)]
