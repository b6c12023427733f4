"""`lab report` on many long runs: seconds to make the page, its size, and seconds until it is usable in a browser."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from lab.configuration import load
from lab.runs.summary import Summary

GROUPS, SEEDS, ROWS, METRICS = 40, 5, 10_000, 10


def measure(pairs: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "runs")
        file = folder / "report.html"
        seconds = min(_lab(folder / "runs", file) for _ in range(min(pairs, 3)))
        told = {"runs": GROUPS * SEEDS, "rows": ROWS, "seconds": seconds, "MB": file.stat().st_size / 1e6}
        usable = until_usable(file, pairs)
        print(
            f"lab report over {GROUPS * SEEDS} runs of {ROWS:,} rows of {METRICS} metrics: {seconds:.1f} s, "
            f"{told['MB']:.1f} MB; {f'usable after {usable:.2f} s' if usable else 'no browser to open it with'}"
        )
        print(json.dumps(told | {"usable": usable}), flush=True)


def make(runs: Path, groups: int = GROUPS, seeds: int = SEEDS, rows: int = ROWS) -> None:
    """Write records of finished runs, `seeds` for each of `groups` settings, without training."""
    config = load("ppo-cartpole").as_dict()
    journals = [_journal(rows, seed) for seed in range(seeds)]
    for group in range(groups):
        for seed in range(seeds):
            run_id = f"20260101-{group:02d}{seed:04d}-s{seed}-{group:04x}"
            record = Summary(
                f"made-up-{group:02d}", "agents", run_id, str(runs / f"made-up-{group:02d}" / run_id), seed, "cpu", 1,
                {"name": "CartPole-v1", "sha256": None, "fallback": None}, dict(config["reference"]),
            )  # fmt: skip
            record.status, record.metrics = "completed", {"eval/return_mean": 400.0 + group + seed}
            record.durations, record.started = {"train": 100.0}, "2026-01-01T00:00:00+0000"
            record.dir.mkdir(parents=True)
            settings = {**config, "seed": seed, "name": record.name, "total_timesteps": 1000 * (group + 1)}
            (record.dir / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
            (record.dir / "metrics.jsonl").write_bytes(journals[seed])
            record.write()


def until_usable(file: Path, times: int) -> float | None:
    """Return the median seconds from opening the file until it is usable; None without a browser. Charts are not
    included, because each is drawn only when it comes into view."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    chromium = shutil.which("chromium")
    if chromium is None:
        return None
    taken = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(max(3, times)):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            started = time.perf_counter()
            page.goto(file.as_uri(), wait_until="commit")
            page.wait_for_selector("html[data-ready]", state="attached")
            taken.append(time.perf_counter() - started)
            page.close()
        browser.close()
    return sorted(taken)[len(taken) // 2]


def _journal(rows: int, seed: int) -> bytes:
    noise = random.Random(seed)
    lines = []
    for row in range(rows):
        values: dict[str, object] = {"time": 1767225600.0 + row / 100, "axis": "env_steps", "env_steps": 10 * row}
        for metric in range(METRICS):
            values[f"train/metric_{metric}"] = math.exp(-row / (1000 * (metric + 1))) + 0.1 * noise.random()
        lines.append(json.dumps(values))
    return ("\n".join(lines) + "\n").encode()


def _lab(runs: Path, file: Path) -> float:
    words = [sys.executable, "-m", "lab.cli", "report", "--runs-dir", str(runs), "-o", str(file)]
    started = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - started
