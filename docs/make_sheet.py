"""Writes docs/pictures/samples/NAME.png from runs: samples of a generative model under its figure.

.venv/bin/python docs/make_sheet.py RUNS [RUNS ...] takes the newest completed run of each experiment in these folders.
Pictures of other experiments stay as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from PIL import Image

from lab.runs.summary import Summary, local_runs
from lab.training.captions import headed

SHEET = Path(__file__).parent / "pictures" / "samples"
SHOWN = {
    "vae-mnist": "test/nll",
    "hvae-mnist": "test/nll",
    "vqvae-prior-mnist": "test/nll",
    "pixelcnn-mnist": "test/nll",
    "rbm-mnist": "test/nll",
    "ebm-mnist": "test/classifier_fid",
    "realnvp-mnist": "test/bits_per_dim",
    "gan-mnist": "test/classifier_fid",
    "wgan-mnist": "test/classifier_fid",
    "sngan-mnist": "test/classifier_fid",
    "cgan-mnist": "test/classifier_fid",
    "ddpm-mnist": "test/classifier_fid",
    "flow-mnist": "test/classifier_fid",
}
"""Experiments in the order of the sheet, with the figure that stands above the samples."""
TOLD = {
    "test/nll": "{:.4g} nats",
    "test/bits_per_dim": "{:.4g} bits a pixel",
    "test/classifier_fid": "distance {:.3g}",
}
SIDE = 330  # pixels of a panel: ten rows of ten samples


def main() -> None:
    """Write the pictures."""
    newest: dict[str, Summary] = {}
    for folder in map(Path, sys.argv[1:]):
        newest |= {run.name: run for run in local_runs(folder) if run.status == "completed" and not run.fast_dev_run}
    SHEET.mkdir(parents=True, exist_ok=True)
    for name, metric in SHOWN.items():
        if name in newest:
            drawn(newest[name], metric).convert("L").save(SHEET / f"{name}.png", optimize=True)
            print(f"{name}: from {newest[name].dir}")
    if missing := [name for name in SHOWN if not (SHEET / f"{name}.png").exists()]:
        print(f"no picture yet of {', '.join(missing)}")


def drawn(run: Summary, metric: str) -> Any:
    """Return the samples of a run's end, cut to the panel, under its name and figure."""
    last = sorted((run.dir / "media").glob("samples-[0-9]*.png"))[-1]
    with Image.open(last) as opened:
        picture = opened.convert("L")
    picture = picture.resize((SIDE, round(picture.height * SIDE / picture.width)), Image.Resampling.LANCZOS)
    return headed(picture.crop((0, 0, SIDE, SIDE)), f"{run.name}: {TOLD[metric].format(run.metrics[metric])}")


if __name__ == "__main__":
    main()
