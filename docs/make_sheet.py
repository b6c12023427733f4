"""Writes docs/pictures/generative.png from runs: samples of each generative model side by side, under its figure.

.venv/bin/python docs/make_sheet.py RUNS [RUNS ...] takes the newest completed run of each experiment in these folders.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from lab.runs.summary import Summary, local_runs
from lab.training.captions import headed

ROOT = Path(__file__).parents[1]
SHOWN = {
    "vae-mnist": "test/nll",
    "iwae-mnist": "test/nll",
    "hvae-mnist": "test/nll",
    "vamp-mnist": "test/nll",
    "cvae-mnist": "test/class_agreement",
    "vqvae-prior-mnist": "test/nll",
    "pixelcnn-mnist": "test/nll",
    "rbm-mnist": "test/nll",
    "ebm-mnist": "test/classifier_fid",
    "realnvp-mnist": "test/bits_per_dim",
    "gan-mnist": "test/classifier_fid",
    "lsgan-mnist": "test/classifier_fid",
    "wgan-mnist": "test/classifier_fid",
    "sngan-mnist": "test/classifier_fid",
    "cgan-mnist": "test/classifier_fid",
    "ddpm-mnist": "test/classifier_fid",
    "flow-mnist": "test/classifier_fid",
}
"""Experiments in the order of the sheet, with the figure that stands above the samples."""
UNITS = {"nll": "nats", "bits_per_dim": "bits a pixel", "classifier_fid": "distance", "class_agreement": "agreement"}
COLUMNS, WIDTH, HEIGHT, GAP = 3, 330, 198, 8  # pixels of a panel: six rows of ten samples


def main() -> None:
    """Write the sheet."""
    newest: dict[str, Summary] = {}
    for folder in map(Path, sys.argv[1:]):
        newest |= {run.name: run for run in local_runs(folder) if run.status == "completed" and not run.fast_dev_run}
    panels = [panel for name, metric in SHOWN.items() if name in newest for panel in drawn(newest[name], metric)]
    rows = -(-len(panels) // COLUMNS)
    width, height = (panels[0].width + GAP, panels[0].height + GAP)
    sheet = Image.new("RGB", (COLUMNS * width - GAP, rows * height - GAP), "white")
    for i, panel in enumerate(panels):
        sheet.paste(panel, (i % COLUMNS * width, i // COLUMNS * height))
    sheet.save(ROOT / "docs" / "pictures" / "generative.png", optimize=True)
    print(f"{len(panels)} of {len(SHOWN)} models; without a run: {', '.join(set(SHOWN) - set(newest)) or 'none'}")


def drawn(run: Summary, metric: str) -> Iterator[Any]:
    """Yield the samples of a run's end, cut to the panel, under its name and figure."""
    files = sorted((run.dir / "media").glob("samples-[0-9]*.png"))
    if files:
        with Image.open(files[-1]) as opened:
            picture = opened.convert("RGB")
        scale = WIDTH / picture.width
        picture = picture.resize((WIDTH, round(picture.height * scale)), Image.Resampling.LANCZOS)
        figure = run.metrics.get(metric)
        told = f", {figure:.4g} {UNITS[metric.removeprefix('test/')]}" if figure is not None else ""
        yield headed(picture.crop((0, 0, WIDTH, HEIGHT)), f"{run.name}{told}")


if __name__ == "__main__":
    main()
