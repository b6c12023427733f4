"""Runs that were recorded offline, with a journal of several axes and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from lab.runs.summary import Summary
from lab.tracking import Journal
from tests.support.recorded import recorded


def offline(runs: Path, name: str = "ppo-a", seed: int = 0, *, rows: int = 4, **changes: Any) -> Summary:
    """Write a completed run with `rows` rows on each of two axes, and a picture with every second one."""
    given = {"wandb": {"mode": "offline", "url": None, "problem": None}, **changes}
    summary = recorded(runs, name, seed, rows=[], **given)
    journal = Journal(summary.dir)
    for at in range(1, rows + 1):
        journal.log({"train/loss": 1 / at, "train/kl": float("nan")}, axis="env_steps", at=100 * at)
        if at % 2 == 0:
            path = summary.dir / "media" / f"eval-film-{at}.png"
            Image.new("RGB", (8, 8), (at, seed, 0)).save(path)
            journal.media("eval/film", path, axis="env_steps", at=100 * at)
        journal.log({"val/loss": at + seed}, axis="epoch", at=at)
    journal.finish({})
    return summary
