"""Texts and sounds on the page: text is never HTML, and a file is what its name says or is left out."""

from __future__ import annotations

import base64
from collections import Counter
from pathlib import Path

import pytest
import torch

from lab.data.sound import Sound
from lab.report.media import media_of
from lab.report.page.page import page
from lab.runs.select import choose
from tests.support.recorded import recorded

HOSTILE = "</script><img src=x onerror=alert(1)> ünïcode & more\n"
WAV = Sound(torch.zeros(40), 8000).wav()


def test_texts_and_sounds_are_shown(tmp_path: Path) -> None:
    recorded(tmp_path, media={"poem.txt": HOSTILE.encode(), "tone.wav": WAV})
    made = page(choose([], tmp_path), [], title="A report", command="lab report")
    assert HOSTILE.strip() not in made
    assert '<pre data-media="' in made
    assert '<audio data-media="' in made
    for mime, content in (("text/plain", HOSTILE.encode()), ("audio/wav", WAV)):
        assert f"data:{mime};base64,{base64.b64encode(content).decode()}" in made


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.wav", b"no sound at all", "that are not sounds"),
        ("a.txt", b"\xff\xfe\x00", "that are not texts"),
        ("a.txt", b"nul \0 byte", "that are not texts"),
        ("a.html", b"<b>", "of a kind that the page cannot show"),
    ],
)
def test_other_content_is_left_out(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    run = recorded(tmp_path, media={name: content})
    left_out: Counter[str] = Counter()
    assert list(media_of(0, run.dir, left_out)) == []
    assert left_out == {reason: 1}
