"""A run makes a film of what it has drawn."""

from __future__ import annotations

from PIL import Image

import lab

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
