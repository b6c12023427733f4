"""Writes docs/experiments.md, and the table in README, from configs/ and docs/results.yaml: `make docs`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from lab.config.files import read, setting
from lab.config.shipped import families, family, shipped
from lab.configuration import load
from lab.console.wording import ranges
from lab.data.base import DatasetInfo
from lab.runs.reference import Reference, Target, verdict_on

ROOT = Path(__file__).parents[1]
HEADER = "| experiment | what | published | here |\n|---|---|---|---|\n"
TABLE = re.compile(r"(<!-- experiments -->\n).*?(<!-- end -->)", re.DOTALL)
INTRODUCTION = """\
# The experiments

Made by `make docs` from the YAMLs in [configs](../configs) and from [results.yaml](results.yaml); do not edit it here.

**published** is the reference of the YAML: its metric, its value ± its published spread, and its source. The YAML also
gives the protocol, and says what the spread is of (in the RL zoo: episodes of one policy). **here** is what we measured
on 2 CPU cores, and the verdict on the mean over the seeds; results.yaml has the version of the lab for each figure.
*Not comparable* means that the data set or a setting that the protocol fixes differs, or that the training was shorter
than the YAML asks for. The published training may be longer: the YAML's protocol says how long. Times are wall time,
often beside other work, and of one fold or class where the figure is a mean over several; results.yaml says which.
Experiments marked `box2d` or `atari` need an extra: `pip install '.[box2d]'`.
"""


def main() -> None:
    """Write both files."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """What the two files should contain. README keeps the experiments that it shows, in its own order."""
    results = yaml.safe_load((ROOT / "docs/results.yaml").read_text(encoding="utf-8"))
    rows = {name: row(name, path, results.get(name, {})) for name, path in shipped().items()}
    family_of = {name: family(read(path)) for name, path in shipped().items()}
    page = INTRODUCTION
    for title in families():
        mine = [name for name in shipped() if family_of[name] == title]
        page += f"\n## {title}\n\n{HEADER}" + "".join(rows[name] for name in mine)
        more = {name: results[name]["more"] for name in mine if "more" in results.get(name, {})}
        page += "".join(f"\n`{name}`: {text}\n" for name, text in more.items())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `([\w-]+)` \|", TABLE.search(readme)[0], re.MULTILINE)  # type: ignore[index]
    table = HEADER + "".join(rows[name] for name in shown)
    return {
        ROOT / "docs/experiments.md": page,
        ROOT / "README.md": TABLE.sub(lambda found: found[1] + table + found[2], readme),
    }


def row(name: str, path: Path, result: Mapping[str, Any]) -> str:
    """One experiment as a line of the table."""
    config = read(path)
    goals = [reference(config["reference"])] if config.get("reference") else ["none"]
    if target := config.get("target"):
        goals.append(f"our target: `{target['metric']}` {target['value']:g}")
    what = config["description"] + (f", `{extra}`" if (extra := needs(path)) else "")
    return f"| `{name}` | {what} | {'; '.join(goals)} | {measured(name, result)} |\n"


def reference(published: Mapping[str, Any]) -> str:
    """The published figure, and where it was published."""
    spread = f" ± {published['spread']:g}" if published.get("spread") is not None else ""
    return f"`{published['metric']}` {published['value']:g}{spread} ({published['source']})"


def needs(path: Path) -> str | None:
    """The extra to install, as the comment at the head of the YAML names it."""
    found = re.search(r"pip install '\.\[(\w+)\]'", path.read_text(encoding="utf-8"))
    return found[1] if found else None


def measured(name: str, result: Mapping[str, Any]) -> str:
    """Our own figures with their seeds, the verdict on their mean, and what a run takes."""
    parts = []
    if figures := result.get("figures"):
        metric = f"`{result['metric']}` " if "metric" in result else ""
        after = f"after {result['after']}: " if "after" in result else ""
        parts.append(after + metric + values(figures))
        if "after" not in result:
            parts += verdicts(name, figures, result["dataset"])
    if "note" in result:
        parts.append(result["note"])
    if "baseline" in result:
        parts.append(f"plain SB3: {values(result['baseline'])}")
    if "seconds" in result:
        seconds = result["seconds"]
        parts.append(f"{seconds} s" if seconds < 60 else f"{seconds / 60:.0f} min")
    return "; ".join(parts)


def values(figures: Mapping[int, float]) -> str:
    """Figures by seed in words: `500 on seeds 0-4`."""
    seeds = f"seed{'s' if len(figures) > 1 else ''} {ranges(sorted(figures))}"
    if len(set(figures.values())) == 1 and len(figures) > 1:
        return f"{next(iter(figures.values())):g} on each of {seeds}"
    return f"{', '.join(f'{value:g}' for value in figures.values())} ({seeds})"


def verdicts(name: str, figures: Mapping[int, float], dataset: str) -> list[str]:
    """The verdicts on the mean, as a run of the lab would give them, on the reference and on the target."""
    config = read(shipped()[name])
    value = mean(figures.values())
    average = f" (mean {value:.4g})" if len(set(figures.values())) > 1 else ""
    found = []
    for kind in (Reference, Target):
        if config.get(kind.kind):
            goal = kind(**config[kind.kind])
            # Loading gives the defaults of the classes too, and takes a hundred times as long as reading.
            complete = all(setting(config, one) is not None for one in goal.requires)
            verdict, _ = verdict_on(
                goal,
                {goal.metric: value},
                dataset=DatasetInfo(dataset),
                settings=config if complete else load(name).as_dict(),
                fast_dev_run=False,
                averaged=goal.mean_over,
            )
            which = "target " if kind is Target else ""
            found.append(f"{which}**{verdict.replace('-', ' ')}**{average}")
    return found


if __name__ == "__main__":
    sys.exit(main())
