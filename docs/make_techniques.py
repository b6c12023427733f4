"""Writes docs/techniques.md from docs/techniques.yaml: `make docs`.

.venv/bin/python docs/make_techniques.py --measure RUNS first runs what has no figures yet, in the folder RUNS.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

import lab
from lab.errors import DivergedError

PLAN, PAGE = (Path(__file__).parent / f"techniques.{ending}" for ending in ("yaml", "md"))
SEEDS = range(3)
METRICS = ("test/accuracy", "test/loss", "test/mse")
INTRODUCTION = """\
# Techniques

Made by `make docs` from [techniques.yaml](techniques.yaml), whose figures are measured; do not edit it here.

Settings of every Lightning experiment whose inputs they fit, each without and with it. A run takes seconds, on data
that come with scikit-learn or are generated. The figures are means over the seeds 0, 1 and 2, with the least and the
largest, on one CPU thread. Each base was chosen so that its settings have something to do: lengths, learning rates and
some values (L2, the decay of EMA) were changed after a look at such figures, those of the test set among them. So the
page shows what a setting can do, not what it does on the average; nor does it decide anything about larger networks.

The settings stand behind a base:

"""


def main() -> None:
    """Write the page."""
    plan = read()
    if sys.argv[1:2] == ["--measure"]:
        measure(plan, Path(sys.argv[2]))
    PAGE.write_text(page(plan), encoding="utf-8")


def read() -> dict[str, Any]:
    """The techniques, and what was measured."""
    return yaml.safe_load(PLAN.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def words_of(plan: dict[str, Any], section: dict[str, Any], row: str) -> list[str]:
    """The experiment and its overrides, without a seed."""
    base = plan["bases"][section["base"]]
    text = f"{base['experiment']} {base['settings']} {row}"
    return shlex.split(text.replace("PRETRAINED", plan["pretrained"]))


def runs(plan: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Each key of `figures`, with the name of its repeat, and the words of that run."""
    for seed in SEEDS:
        for section in plan["sections"]:
            setting, _, values = section.get("vary", "seed=0-2").partition("=")
            first, _, last = values.partition("-")
            repeats = range(int(first), int(last) + 1) if "vary" in section else [seed]
            for row in section["rows"]:
                words = words_of(plan, section, row)
                for repeat in repeats:
                    yield shlex.join(words), f"{setting} {repeat}", [*words, f"--{setting}={repeat}"]


def measure(plan: dict[str, Any], folder: Path) -> None:
    """Run what has no figures yet, and write them after each run."""
    source = ""
    for before in {base["before"] for base in plan["bases"].values() if "before" in base}:
        _, _, name, *settings = shlex.split(before)
        there = sorted((folder / "before" / name).glob("*/summary.json"))
        source = str(there[-1].parent if there else lab.run(name, settings, runs_dir=folder / "before").dir)
    for key, repeat, (name, *settings) in runs(plan):
        found = plan["figures"].setdefault(key, {})
        if repeat in found:
            continue
        try:
            words = [one.replace("=RUN", f"={source}") for one in settings]
            metrics = lab.run(name, words, runs_dir=folder).metrics
            found[repeat] = {one: round(float(metrics[one] or 0), 5) for one in METRICS if one in metrics}
        except DivergedError:
            found[repeat] = {}
        head = PLAN.read_text(encoding="utf-8").partition("figures:")[0]
        PLAN.write_text(head + yaml.safe_dump({"figures": plan["figures"]}, sort_keys=False, width=10_000), "utf-8")


def page(plan: dict[str, Any]) -> str:
    """What the page should contain."""
    text = INTRODUCTION
    for name, base in plan["bases"].items():
        before = f"{base['before']}  # RUN is its id\n" if "before" in base else ""
        settings = f"{name}='{base['settings']}'\nlab run {base['experiment']} ${name}"
        text += f"{base['about']}:\n\n```sh\n{before}{settings}\n```\n\n"
    for section in plan["sections"]:
        base = plan["bases"][section["base"]]
        metric = section.get("metric", base.get("metric", "test/accuracy"))
        repeats = f"--vary {section['vary']}" if "vary" in section else "--seeds 0-2"
        text += f"## {section['title']}\n\n{section['text'].strip()}\n\n"
        text += f"| `lab run {base['experiment']} ${section['base']} {repeats}` | {metric} |\n|---|---|\n"
        for row in section["rows"]:
            figures = plan["figures"].get(shlex.join(words_of(plan, section, row)), {})
            settings = row.replace("PRETRAINED", plan["pretrained"])
            text += f"| {f'`{settings}`' if settings else 'as it is'} | {told(figures, metric)} |\n"
        text += "\n"
    return text.rstrip("\n") + "\n"


def told(figures: dict[str, dict[str, float]], metric: str) -> str:
    """Mean, least and largest; accuracies in percent."""
    found = [one[metric] for one in figures.values() if metric in one]
    if len(found) < len(figures):
        return f"{len(figures) - len(found)} of {len(figures)} runs diverged"
    if not found:
        return "not measured"
    form = "{:.1%}" if metric == "test/accuracy" else "{:.4g}"
    middle, least, largest = (form.format(value).replace("%", " %") for value in (mean(found), min(found), max(found)))
    return f"{middle} ({least} to {largest})"


if __name__ == "__main__":
    main()
