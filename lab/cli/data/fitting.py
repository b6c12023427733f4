"""The experiments that take some data, each as the command that runs it on them."""

from __future__ import annotations

import copy
import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from lab.cli.data.finding import Found
from lab.cli.data.tally import tally
from lab.config.files import read
from lab.config.shipped import shipped
from lab.console.wording import word
from lab.data.spec import Classes
from lab.errors import ConfigError
from lab.training import Training

STEPS = 8
"""Batches of an epoch that are wished for where there are fewer examples than in one batch."""


def commands(found: Found) -> list[str]:
    """Return the commands that run the shipped experiments on the data."""
    return [
        " ".join(["lab run", word(name), *_settings(found, data.get("init_args") or {})])
        for name, path in shipped().items()
        if (data := read(path).get("data")) and _same(data, found)
    ]


def misfit(command: str, found: Found) -> str | None:
    """Return why the model of such a command cannot be built for the data, in a sentence; None where it can, or where
    it needs another run first."""
    from lab.configuration import load
    from lab.needs import MissingArtifactError, needs_of, provide
    from lab.runs.summary import runs_folder

    _, _, name, *settings = shlex.split(command)
    config = load(name, settings)
    try:
        provide(config, needs_of(config, runs_folder()))
        experiment = config.build()
        if isinstance(experiment, Training):
            prepared = copy.copy(found.data)
            if hasattr(prepared, "batch_size"):
                prepared.batch_size = experiment.data.batch_size  # type: ignore[attr-defined]  # as the command has it
            experiment.model_factory(prepared.spec).adapt(prepared)
    except MissingArtifactError:
        return None
    except ConfigError as error:
        return str(error)
    return None


def _same(data: Mapping[str, Any], found: Found) -> bool:
    cls = type(found.data)
    return str(data.get("class_path", "")).rpartition(".")[2] == cls.__name__


def _settings(found: Found, wanted: Mapping[str, Any]) -> Iterator[str]:
    """Yield the settings that name the data, and those by which an experiment fits so few examples."""
    if found.settings != (f"--data.name={wanted.get('name')}",):
        yield from found.settings
    told = " ".join(found.settings)
    counts = tally(found.data)["train"]
    size_of_batch = wanted.get("batch_size", getattr(found.data, "batch_size", 1))  # the latter: the class's own
    if size_of_batch > sum(counts) and "--data.batch_size" not in told:
        yield f"--data.batch_size={2 ** max(1, int(math.log2(max(1.0, sum(counts) / STEPS))))}"
    target, size = found.data.spec.target, wanted.get("train_size")
    if not size or not isinstance(target, Classes) or "--data.train_size" in told:
        return
    if size % target.n or size > target.n * min(counts):
        yield "--data.train_size=null"
