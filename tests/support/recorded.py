"""Writes folders of runs like those of the runner, without training."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from lab.keys.signature import print_of_config, signed_config
from lab.runs.summary import Summary

BEGIN = 1767225600.0  # 2026-01-01, in seconds since the epoch
PUBLISHED = {
    "metric": "eval/return_mean",
    "value": 500.0,
    "spread": 1.5,
    "n": 1,
    "direction": "max",
    "dataset": "CartPole-v1",
    "protocol": "a protocol",
    "source": "a paper",
    "verdict": "met",
    "reason": "as good",
}
CONFIG = {"experiment": "agents.experiment.AgentExperiment", "agent": {"class_path": "agents.ppo.PPO", "init_args": {}}}


def recorded(
    runs: Path,
    name: str = "ppo-a",
    seed: int = 0,
    *,
    config: Mapping[str, Any] | None = None,
    rows: Iterable[Mapping[str, Any]] | None = None,
    media: Mapping[str, bytes] | None = None,
    **changes: Any,
) -> Summary:
    """Write a completed run, with `changes` to its summary; `media` are files by name, each logged under its stem."""
    number = len(list(runs.glob("*/*")))
    run_id = str(changes.pop("run_id", f"20260101-{number:06d}-s{seed}-0000"))
    folder = runs / f"folder-{number}" / f"20260101-{number:06d}"
    values: dict[str, Any] = {
        "name": name,
        "family": "agents",
        "run_id": run_id,
        "run_dir": str(folder),
        "seed": seed,
        "device": "cpu",
        "threads": 1,
        "dataset": {"name": "CartPole-v1", "sha256": None, "fallback": None},
        "reference": dict(PUBLISHED),
        "status": "completed",
        "metrics": {"eval/return_mean": 480.0 + 5 * seed},
        "descriptions": {"eval/return_mean": "mean return"},
        "durations": {"setup": 1.0, "train": 60.0},
        "throughput": {"value": 1000.0, "unit": "env steps/s"},
        "started": "2026-01-01T00:00:00+0000",
        "versions": {"python": "3.11"},
        "git": {"commit": "0" * 40, "dirty": False},
    }
    settings = {**CONFIG, "name": name, "seed": seed} if config is None else config
    written = signed_config(yaml.safe_dump(dict(settings), sort_keys=False).encode())
    summary = Summary(**({"configs": [print_of_config(written)]} | values | changes))
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_bytes(written)
    found = learning(seed) if rows is None else rows
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    (folder / "media").mkdir()
    named = []
    for at, (file, content) in enumerate((media or {}).items()):
        (folder / "media" / file).write_bytes(content)
        named.append(medium(Path(file).stem, file, at))
    (folder / "media.jsonl").write_text("".join(json.dumps(row) + "\n" for row in named))
    summary.write()
    return summary


def learning(seed: int, points: int = 20) -> list[dict[str, Any]]:
    """Return rows of an agent that learns: evaluations, and training rows with speeds."""
    rows: list[dict[str, Any]] = []
    for i in range(1, points + 1):
        step, time = 100 * i, BEGIN + (2 + seed) * i
        row = {"time": time, "axis": "env_steps", "env_steps": step}
        speeds = {"speed/all": 500.0, "speed/learning": 1000.0, "speed/environment": 1000.0}
        rows.append({**row, "train/value_loss": 1 / step, **speeds})
        score = 500 * (1 - math.exp(-step / 300)) + seed
        rows.append({**row, "eval/return_mean": score, "eval/return_low": score - 9, "eval/return_high": score + 9})
    return rows


def medium(name: str, file: str, at: int = 0) -> dict[str, Any]:
    """Return a row of `media.jsonl`."""
    return {"time": BEGIN, "axis": "env_steps", "env_steps": at, "name": name, "file": file}


def picture(folder: Path, suffix: str = ".png", colour: int = 128, size: tuple[int, int] = (40, 30)) -> bytes:
    """Return the content of a picture's file. A GIF has two frames."""
    path = folder / f"picture{suffix}"
    frames = [Image.new("L", size, shade) for shade in (colour, colour // 2)]
    if suffix == ".gif":
        frames[0].save(path, save_all=True, append_images=frames[1:])
    else:
        frames[0].save(path)
    return path.read_bytes()
