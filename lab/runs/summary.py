"""`summary.json`: a run's identity, how it ended, and its figures."""

from __future__ import annotations

import json
import math
import os
import platform
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from lab.config.imports import present_name
from lab.errors import ConfigError, nearest
from lab.system.files import write_json
from lab.system.opening import read_plain
from lab.system.remembered import Remembered, stamp_of

MANY = 200
"""Runs in a folder from which on what was read of them is remembered."""

Status = Literal["running", "completed", "interrupted", "failed", "diverged"]

PACKAGES = (
    *("torch", "gymnasium", "stable-baselines3", "pytorch-lightning", "wandb", "jsonargparse", "numpy"),
    *("torchmetrics", "scikit-learn", "Box2D", "ale-py"),
)
TEXTS = ("name", "family", "run_id", "device", "status", "started")
OBJECTS = (
    *("reference", "target", "baselines", "bounds", "roles", "dataset", "descriptions", "durations", "versions"),
    "resume",
)
OBJECTS_OR_NONE = ("throughput", "git", "wandb", "parent")


@dataclass
class Summary:
    """One run in figures. `metrics` are flat names to finite numbers, or None where a figure was not finite."""

    name: str
    family: str
    run_id: str
    run_dir: str
    seed: int
    device: str
    threads: int
    dataset: dict[str, Any]
    reference: dict[str, Any]
    target: dict[str, Any] = field(default_factory=dict)
    """Our own figure, with its verdict and reason; empty where there is none."""
    fast_dev_run: bool = False
    schema: int = 2
    status: Status = "running"
    error: str | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    """Metrics of the simplest things one would try, on the same split: name of the baseline -> its metrics."""
    bounds: dict[str, dict[str, float]] = field(default_factory=dict)
    """Metrics of what no model is expected to beat, on the same split: name of the bound -> its metrics."""
    descriptions: dict[str, str] = field(default_factory=dict)
    roles: dict[str, Any] = field(default_factory=dict)
    """Which settings are budget, protocol and so on, by dotted name (`lab.config.roles`)."""
    can: list[str] = field(default_factory=list)
    """What the trained thing can do: `act`, `sample`, `predict`, `export` (`lab.capabilities`)."""
    artifacts: list[str] = field(default_factory=list)
    """Names of what the run leaves for others."""
    needs: list[dict[str, Any]] = field(default_factory=list)
    """Artifacts of other runs that this one was built from: setting, run_id, experiment, name."""
    judged: str = ""
    """Which weights were evaluated and exported, in words, where they are not the last ones."""
    durations: dict[str, float] = field(default_factory=dict)
    throughput: dict[str, Any] | None = None
    started: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%S%z"))
    versions: dict[str, str] = field(default_factory=lambda: versions())
    git: dict[str, Any] | None = None
    wandb: dict[str, Any] | None = None
    resume: dict[str, Any] = field(default_factory=dict)
    """Whether a resumed run is exact or why not, how many sessions it took, the newest checkpoint's step."""
    parent: dict[str, Any] | None = None
    """The run and the checkpoint that this one was forked from."""

    @property
    def dir(self) -> Path:
        """The run folder."""
        return Path(self.run_dir)

    @property
    def verdict(self) -> str:
        """`met`, `missed`, `not-comparable` or `none`."""
        return str(self.reference.get("verdict", "none"))

    @property
    def target_verdict(self) -> str:
        """The verdict on our own target, in the same words; `none` where there is no target."""
        return str(self.target.get("verdict", "none"))

    def agrees(self, again: Summary) -> bool:
        """Whether another evaluation has all recorded figures. A later version may have more of them."""
        return all(name in again.metrics and again.metrics[name] == one for name, one in self.metrics.items())

    def write(self, folder: Path | None = None) -> None:
        """Replace `summary.json` in the run folder, or in the one that becomes it, atomically."""
        write_json((folder or self.dir) / "summary.json", asdict(self))


def finite(metrics: dict[str, float]) -> dict[str, float | None]:
    """Return the metrics for strict JSON: what is not finite becomes None."""
    return {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}


def new_run_id(seed: int) -> str:
    """Return an id that sorts by time and is unique."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-s{seed}-{secrets.token_hex(2)}"


def runs_folder(chosen: str | Path | None = None) -> Path:
    """Return the folder of all runs: as chosen, else $LAB_RUNS_DIR, else `runs` in the working directory."""
    return Path(chosen or os.environ.get("LAB_RUNS_DIR") or "runs").expanduser().absolute()


def read_summary(folder: Path) -> Summary:
    """Return a run's summary. Raises ConfigError where there is none that can be read."""
    try:
        values = json.loads(read_plain(folder / "summary.json", folder))
        known = {f.name for f in fields(Summary)}
        numbers = [*values["metrics"].values(), *values["durations"].values(), values["seed"]]
        # Whatever is raised here joins the others below.
        if not all(value is None or (isinstance(value, int | float) and math.isfinite(value)) for value in numbers):
            raise TypeError("figures must be finite numbers")
        if not all(isinstance(values.get(name, ""), str) for name in TEXTS):
            raise TypeError(f"{', '.join(TEXTS)} must be texts")
        objects = [values.get(name, {}) for name in OBJECTS] + [values.get(name) or {} for name in OBJECTS_OR_NONE]
        if not all(isinstance(value, dict) for value in objects):
            raise TypeError(f"{', '.join((*OBJECTS, *OBJECTS_OR_NONE))} must be objects")
        if isinstance(name := values["dataset"].get("name"), str):
            module, colon, rest = name.partition(":")  # an environment's id may begin with a module
            values["dataset"]["name"] = f"{present_name(module)}:{rest}" if colon else name
        return Summary(**{**{k: v for k, v in values.items() if k in known}, "run_dir": str(folder)})
    except (OSError, ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{folder} is not a run: no readable summary.json in it") from error


def local_runs(folder: Path) -> Iterator[Summary]:
    """Yield all readable runs under a runs folder, oldest first. Raises ConfigError when it is not a folder."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"the runs folder {folder} is not a folder")
    for _, record in scan(folder):
        if record is not None:
            yield record


def run_folders(folder: Path) -> list[str]:
    """Return the paths of the folders in a runs folder, those of runs among them, oldest first."""
    found: list[os.DirEntry[str]] = []
    with suppress(OSError), os.scandir(folder) as experiments:
        for experiment in experiments:
            with suppress(OSError), os.scandir(experiment) as inside:
                found += inside
    return [entry.path for entry in sorted(found, key=lambda entry: entry.name)]


def scan(folder: Path) -> Iterator[tuple[Path, Summary | None]]:
    """Yield the folder of each run in a runs folder, oldest first, with its summary; None for one that is damaged.

    Of many runs the summaries are remembered: one that has not changed is not read again.
    """
    paths = run_folders(folder)
    remembered = Remembered("summaries", folder) if len(paths) >= MANY else None
    for path in paths:
        try:
            found = os.lstat(f"{path}/summary.json")
        except OSError:
            continue
        values = remembered.get(path, stamp_of(found)) if remembered else None
        record: Summary | None = None
        if values is not None:
            with suppress(TypeError):
                record = Summary(**{**values, "run_dir": path})
        if record is None:
            with suppress(ConfigError):
                record = read_summary(Path(path))
                if remembered:
                    remembered.put(path, stamp_of(found), vars(record), found.st_mtime)
        yield Path(path), record
    if remembered:
        remembered.save()


def find_run(name: str, folder: Path) -> Path:
    """Return a run's folder, given that folder, its id or its beginning, or an experiment (its newest)."""
    if (Path(name) / "summary.json").is_file():
        return Path(name).absolute()
    runs = list(local_runs(folder))
    if newest := [run for run in runs if run.name == name]:
        return newest[-1].dir
    matching = [run for run in runs if name and run.run_id.startswith(name)]
    if len(matching) > 1:
        raise ConfigError(f"{len(matching)} runs begin with {name!r}: {', '.join(run.run_id for run in matching[:5])}")
    if matching:
        return matching[0].dir
    known = [run.run_id for run in runs] + [run.name for run in runs]
    raise ConfigError(f"no run {name!r} in {folder}{nearest(name, known) or '; `lab runs` lists them'}")


def versions() -> dict[str, str]:
    """Return the versions of Python, the lab and its main dependencies."""
    found = {"python": platform.python_version()}
    for package in ("deep-learning-lab", *PACKAGES):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
