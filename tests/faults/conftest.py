from __future__ import annotations

import pytest

import generative.judges.classifier


@pytest.fixture(autouse=True)
def small_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The GAN's judge learns for five steps: what it thinks does not matter here."""
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 5)
