from __future__ import annotations

import pytest

import generative.judges.classifier


@pytest.fixture(autouse=True)
def small_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train the GAN's judge for five steps only. Its figures do not matter here."""
    monkeypatch.setattr(generative.judges.classifier, "STEPS", 5)
