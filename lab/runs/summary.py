"""`summary.json`: a run's identity, how it ended, and its figures."""

from __future__ import annotations

import math
import os
import platform
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

from lab.config.imports import present_name
from lab.errors import ConfigError
from lab.keys.key import fingerprint
from lab.keys.signature import is_signed, signed
from lab.runs.readings import wrong_field
from lab.system.files import at_home, write_json
from lab.system.opening import read_json
from lab.system.remembered import Remembered, stamp_of

MANY = 200
"""Runs in a folder from which on what was read of them is remembered."""

Status = Literal["running", "completed", "interrupted", "failed", "diverged"]
Verdict = Literal["met", "missed", "not-comparable", "none"]
"""On a published figure, or on our own target."""

PACKAGES = (
    *("torch", "gymnasium", "stable-baselines3", "pytorch-lightning", "wandb", "jsonargparse", "numpy"),
    *("torchmetrics", "scikit-learn", "Box2D", "ale-py"),
)

Object = dict[str, Any]
Seed = Annotated[int, range(2**32)]
Counted = Annotated[int, range(2**53)]
# What the entries of objects are, in what the lab reads of them. Earlier versions wrote fewer.
DATASET = {"name": str, "sha256": str | None, "fallback": str | None, "path": str | None}
MEASURE = {
    **dict.fromkeys(("metric", "dataset", "protocol", "source", "why", "reason"), str),
    "value": float | None,
    "spread": float | None,
    "tolerance": float,
    "n": Counted | None,
    "read": str | None,
    "direction": Literal["max", "min"],
    "verdict": Verdict,
    "requires": Object,
    "lengths": Object,
}
RESUME = {
    "exact": bool,
    "reason": str | None,
    "forced": list[str],
    "sessions": Counted,
    "checkpoint": Counted | None,
    "steps_after_it": Counted,
}
NEED = {"setting": str, "name": str, "run_id": str | None, "experiment": str | None}
WANDB = {"mode": str, "url": str | None, "problem": str | None}


@dataclass
class Summary:
    """One run in figures. `metrics` are flat names to finite numbers, or None where a figure was not finite."""

    name: str
    family: str
    run_id: str
    run_dir: str
    seed: Seed
    device: str
    threads: Counted
    dataset: Annotated[Object, DATASET]
    reference: Annotated[Object, MEASURE]
    target: Annotated[Object, MEASURE] = field(default_factory=dict)
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
    needs: list[Annotated[Object, NEED]] = field(default_factory=list)
    """Artifacts of other runs that this one was built from: setting, run_id, experiment, name."""
    judged: str = ""
    """Which weights were evaluated and exported, in words, where they are not the last ones."""
    durations: dict[str, float] = field(default_factory=dict)
    throughput: Annotated[Object | None, {"value": float, "unit": str, "by": str}] = None
    started: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%S%z"))
    versions: dict[str, str] = field(default_factory=lambda: versions())
    git: Annotated[Object | None, {"commit": str, "dirty": bool}] = None
    wandb: Annotated[Object | None, WANDB] = None
    resume: Annotated[Object, RESUME] = field(default_factory=dict)
    """Whether a resumed run is exact or why not, how many sessions it took, the newest checkpoint's step."""
    parent: Annotated[Object | None, {"run_id": str, "checkpoint": Counted}] = None
    """The run and the checkpoint that this one was forked from."""
    configs: list[str] = field(default_factory=list)
    """The hash of the run's config, which its signature binds to the run; two while one takes the other's place."""
    mine: bool = True
    """Whether it is the user's own: made here, or read with a signature that fits. Not in the file."""

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
        """Replace `summary.json` in the run folder, or in the one that becomes it, atomically; signed if it is the
        user's own."""
        values = asdict(self)
        mine = values.pop("mine")
        write_json((folder or self.dir) / "summary.json", signed("summary", values) if mine else values)


FIELDS = frozenset(one.name for one in fields(Summary))


def finite(metrics: dict[str, float]) -> dict[str, float | None]:
    """Return the metrics for strict JSON: what is not finite becomes None."""
    return {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}


def new_run_id(seed: int) -> str:
    """Return an id that sorts by time and is unique."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-s{seed}-{secrets.token_hex(2)}"


def runs_folder(chosen: str | Path | None = None) -> Path:
    """Return the folder of all runs: as chosen, else $LAB_RUNS_DIR, else `runs` in the working directory."""
    return at_home(chosen or os.environ.get("LAB_RUNS_DIR") or "runs").absolute()


def read_summary(folder: Path) -> Summary:
    """Return a run's summary. Raises ConfigError where there is none that can be read."""
    try:
        values = read_json(folder / "summary.json", folder)
        if (wrong := wrong_field(Summary, values)) is not None:
            raise TypeError(f"{wrong} is not what the lab writes")
        mine = is_signed("summary", values)
        if isinstance(name := values["dataset"].get("name"), str):
            module, colon, rest = name.partition(":")  # an environment's id may begin with a module
            values["dataset"]["name"] = f"{present_name(module)}:{rest}" if colon else name
        known = {k: v for k, v in values.items() if k in FIELDS}
        return Summary(**{**known, "run_dir": str(folder), "mine": mine})
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ConfigError(f"{folder} is not a run: no readable summary.json in it ({error})") from error


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
    by = f".{fingerprint()}"  # another key signs other runs
    for path in paths:
        try:
            found = os.lstat(f"{path}/summary.json")
        except OSError:
            continue
        values = remembered.get(path, stamp_of(found) + by) if remembered else None
        record: Summary | None = None
        if values is not None:
            with suppress(TypeError):
                record = Summary(**{**values, "run_dir": path})
        if record is None:
            with suppress(ConfigError):
                record = read_summary(Path(path))
                if remembered:
                    remembered.put(path, stamp_of(found) + by, vars(record), found.st_mtime)
        yield Path(path), record
    if remembered:
        remembered.save()


def versions() -> dict[str, str]:
    """Return the versions of Python, the lab and its main dependencies."""
    found = {name: _version(name) for name in ("deep-learning-lab", *PACKAGES)}
    return {"python": platform.python_version()} | {name: version for name, version in found.items() if version}


@cache
def _version(package: str) -> str | None:
    """Return the version of an installed package, None where there is none. It is read from a file of the package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
