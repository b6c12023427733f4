"""Models show pictures, texts and sounds, by epoch or by step."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lab.data.sound import Sound
from lab.runs.summary import Summary
from lab.tracking import WandbFollower, read_journal

Train = Callable[..., Summary]


def media(run: Summary) -> list[tuple[str, str, int]]:
    rows = read_journal(run.dir / "media.jsonl")
    return [(row["name"], row["axis"], row[row["axis"]]) for row in rows]


def test_texts_and_sounds_are_files(train: Train) -> None:
    run = train()
    assert media(run) == [("texts/equation", "epoch", 4), ("sounds/sweep", "epoch", 4)]
    text = (run.dir / "media" / "texts-equation-00000004.txt").read_text()
    assert text.startswith("<b>y</b> = x · ")
    with wave.open(str(run.dir / "media" / "sounds-sweep-00000004.wav")) as sound:
        assert (sound.getframerate(), sound.getnframes(), sound.getnchannels()) == (8000, 800, 1)


def test_media_by_epoch(train: Train) -> None:
    found = media(train(trainer__pictures_every=3))
    assert [(axis, at) for name, axis, at in found if name == "texts/equation"] == [("epoch", 3), ("epoch", 4)]


def test_media_by_step(train: Train) -> None:
    found = media(train(trainer__pictures_every_steps=16))
    steps = [(axis, at) for name, axis, at in found if name == "texts/equation"]
    assert steps == [("global_step", 16), ("global_step", 32), ("global_step", 40)]


def test_drawing_leaves_the_training_as_it_is(train: Train) -> None:
    from lab.saving.checkpoint import load

    plain, drawn = (
        load(run.dir / "checkpoints/final").state for run in (train(), train(trainer__pictures_every_steps=1))
    )
    assert all(torch.equal(plain[name], drawn[name]) for name in plain)


def test_wandb_gets_escaped_text_and_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "a.txt").write_text("<script>alert(1)</script> & more")
    (tmp_path / "a.wav").write_bytes(Sound(torch.zeros(100), 8000).wav())
    follower = WandbFollower(tmp_path, name="a", run_id="a", config={}, mode="offline")
    follower.media("texts/a", tmp_path / "a.txt", axis="epoch", at=1)
    follower.media("sounds/a", tmp_path / "a.wav", axis="epoch", at=1)
    follower.finish({"status": "completed"})
    assert follower.problem is None
    (page,) = tmp_path.glob("wandb/offline-run-*/files/media/html/**/*.html")
    assert page.read_text() == (
        "<pre style='white-space: pre-wrap'>&lt;script&gt;alert(1)&lt;/script&gt; &amp; more</pre>"
    )
    (sound,) = tmp_path.glob("wandb/offline-run-*/files/media/audio/**/*.wav")
    assert sound.read_bytes() == (tmp_path / "a.wav").read_bytes()


def test_wav_holds_the_samples(tmp_path: Path) -> None:
    samples = torch.tensor([0.0, 0.5, -1.0, 1.0, 2.0, -3.0])
    (tmp_path / "a.wav").write_bytes(Sound(samples, 16_000).wav())
    with wave.open(str(tmp_path / "a.wav")) as file:
        levels = torch.frombuffer(bytearray(file.readframes(6)), dtype=torch.int16) / 32_767
    assert levels.tolist() == pytest.approx(samples.clamp(-1, 1).tolist(), abs=1e-4), "what is too loud is clipped"
