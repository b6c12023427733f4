"""Evaluates a finished run again, or loads what it trained, from its folder alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from torch import nn

from lab.config.classes import named_classes, overridden
from lab.config.imports import import_class, public_name
from lab.configuration import Config
from lab.configuration import load as load_config
from lab.data.base import DataModule
from lab.encoders.base import Encoder, EncoderSource
from lab.encoders.pretrained import Pretrained
from lab.errors import CheckpointError, ConfigError
from lab.experiment import Experiment, RunContext, State
from lab.job import Job, build, memory_errors, prepare, require_secrets
from lab.needs import Need, needs_of
from lab.recording import timed
from lab.runs import summary
from lab.runs.artifacts import COPIES, artifact_at
from lab.runs.select import find_run
from lab.runs.summary import Summary
from lab.saving.checkpoint import blamed
from lab.saving.checkpoint import load as load_checkpoint
from lab.saving.own_data import require_place, require_same
from lab.saving.saver import RESULTS
from lab.saving.tensors import UNFIT
from lab.system.devices import describe
from lab.system.process import process_as_found
from lab.system.randomness import seed_everything
from lab.tracking import Trackers

CheckpointName = Literal["final", "best", "last"]
"""The checkpoints of a finished run: what it was evaluated by, the best one on the way, and where training ended."""


@process_as_found()
def evaluate(
    folder: Path,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    checkpoint: CheckpointName = "final",
    trust: bool | None = None,
) -> Summary:
    """Evaluate a finished run again from its config and its `checkpoint`. Nothing in its folder changes.

    Without overrides the figures are the recorded ones, on the same kind of device and with the same versions.
    Overrides change the evaluation, for example to more episodes. Somebody else's run may only name classes of the lab,
    unless `trust` takes it for the user's own. Raises CheckpointError if the checkpoint is missing, invalid or unfit.
    """
    return evaluate_run(summary.read_summary(folder), overrides, checkpoint=checkpoint, trust=trust)


def evaluate_run(
    record: Summary,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    checkpoint: CheckpointName = "final",
    trust: bool | None = None,
) -> Summary:
    """Evaluate a finished run again, as `evaluate` does, by its summary, which stays as it is."""
    config = _config(record.dir, overrides, trust)
    states = _States(record, checkpoint, config, trust)
    job = _prepared(record, config)
    _put_in(states, job.experiment, record)
    again = replace(record, device=describe(job.device), durations=dict(record.durations))
    with timed(again, "evaluate"), memory_errors(), blamed(record.dir, when=job.config.stranger is not None):
        context = RunContext(record.dir, record.seed, job.device, Trackers([]), record.fast_dev_run)
        again.metrics = summary.finite(job.experiment.evaluate(context))
    return again


@process_as_found()
def data_of(record: Summary, overrides: Sequence[str] = (), *, trust: bool | None = None) -> DataModule:
    """Return the data of a finished run, prepared. Raises ConfigError where its experiment has none."""
    found = getattr(_prepared(record, _config(record.dir, overrides, trust)).experiment, "data", None)
    if not isinstance(found, DataModule):
        raise ConfigError(f"{record.run_id} is a {record.name}, which was trained on no data set")
    return found


@process_as_found()
def load(
    run: str | Path,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    runs_dir: str | Path | None = None,
    checkpoint: CheckpointName = "final",
    device: str | None = None,
    trust: bool | None = None,
) -> Any:
    """Return what a finished run trained, ready for use: an agent acts, a model samples or predicts.

    `lab.load("ppo-cartpole").act(observation)`; `lab.capabilities` has the protocols.

    Args:
        run: a run's folder, its id or the beginning of it, or an experiment, which means its newest run.
        overrides: dotted settings and their values, such as `{"evaluation.max_steps": 500}`.
        runs_dir: folder of all runs; by default `$LAB_RUNS_DIR`, else `runs`.
        checkpoint: `final`, which was evaluated, or `best`.
        device: `auto`, `cpu`, `cuda` or `mps`; None for the run's setting.
        trust: whether the run is the user's own; None: it is if it is signed. Another may only name classes of the lab.

    Raises ConfigError if there is no such run, CheckpointError if it has no such checkpoint.
    """
    folder = find_run(str(run), summary.runs_folder(runs_dir))
    return load_run(summary.read_summary(folder), overrides, checkpoint=checkpoint, device=device, trust=trust)


def load_run(
    record: Summary,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    checkpoint: CheckpointName = "final",
    device: str | None = None,
    trust: bool | None = None,
) -> Any:
    """Return what a finished run trained, as `load` does, by its summary.

    Its data are not needed, unless settings of the data are overridden, or the run saved no form of them.
    """
    if device:
        overrides = (
            {**overrides, "device": device} if isinstance(overrides, Mapping) else [*overrides, f"--device={device}"]
        )
    config = _config(record.dir, overrides, trust)
    states = _States(record, checkpoint, config, trust)
    form = None if _changes_data(overrides) else states.meta.get("form")
    if form is None:
        job = _prepared(record, config)
        experiment, where = job.experiment, job.device
    else:
        experiment, where = build(config, _needs(record, config))
        try:
            experiment.rebuild(form, where)
        except UNFIT as error:  # somebody else's form may hold anything
            reason = " ".join(str(error).split())[:160]
            raise CheckpointError(
                f"the form of the data in {record.dir} does not fit the settings: {reason}"
            ) from error
    _put_in(states, experiment, record)
    trained = experiment.trained
    return trained.to(where).eval().requires_grad_(False) if isinstance(trained, nn.Module) else trained


def _changes_data(overrides: Mapping[str, Any] | Sequence[str]) -> bool:
    names = overrides if isinstance(overrides, Mapping) else overridden(overrides)
    return any(name.partition(".")[0] == "data" for name in names)


def _config(folder: Path, overrides: Mapping[str, Any] | Sequence[str], trust: bool | None) -> Config:
    """Return the config of a finished run.

    A run of version 0.1 has no copy of an encoder that it took from another run, which may be gone. Its own encoder,
    which has the same form, stands in the config instead.
    """
    path = str(folder / "config.yaml")
    config, own = load_config(path, overrides, trust=trust), artifact_at(folder, "encoder")
    borrowed = _borrowed(config.as_dict()) if own and not (folder / COPIES).is_dir() else None
    if borrowed is None:
        return config
    key, freeze = borrowed
    if config.stranger and own:
        config.stranger.require_artifact(key, own)
    setting = {"class_path": public_name(Pretrained), "init_args": {"path": str(own), "freeze": freeze}}
    if isinstance(overrides, Mapping):
        return load_config(path, {**overrides, key: setting}, trust=trust)
    return load_config(path, [*overrides, f"--{key}={json.dumps(setting)}"], trust=trust)


def _borrowed(values: Mapping[str, Any]) -> tuple[str, bool] | None:
    """Return the outermost encoder setting that has a Pretrained in it, and whether all of it is frozen."""
    for key, named in named_classes(values):  # from the outside in
        cls = import_class(named["class_path"], key)
        inside = [import_class(one["class_path"], place) for place, one in named_classes(named)]
        if isinstance(cls, type) and issubclass(cls, Encoder | EncoderSource) and Pretrained in inside:
            return key, cls is Pretrained and bool(named["init_args"].get("freeze"))
    return None


class _States(Mapping[str, State]):
    """What `Experiment.states` returned, by name. Each is read when it is taken.

    Args:
        record: of the run.
        checkpoint: the one that is to be evaluated, in place of `final`.
        config: of the run; where it is the user's own, so must be each checkpoint that is read.
        trust: whether the run was taken for the user's own without that.

    Raises CheckpointError if the run has no such checkpoint.
    """

    def __init__(self, record: Summary, checkpoint: str, config: Config, trust: bool | None) -> None:
        folder = record.dir
        self.signed_for = record.run_id if trust is None and config.stranger is None else None
        there = {name: path for name in RESULTS if (path := folder / "checkpoints" / name).is_dir()}
        if "final" not in there:
            raise CheckpointError(
                f"{folder} has no final checkpoint: training did not finish; `lab resume` finishes it"
            )
        if checkpoint not in there:
            raise CheckpointError(f"{folder} has no checkpoint {checkpoint}, only {', '.join(there)}")
        self.paths = there | {"final": there[checkpoint]}
        self.judged = load_checkpoint(self.paths["final"], signed_for=self.signed_for)

    @property
    def meta(self) -> Mapping[str, Any]:
        """The metadata of the checkpoint that is evaluated."""
        return self.judged.meta

    def __getitem__(self, name: str) -> State:
        path = self.paths[name]
        if path == self.judged.folder:
            return self.judged.state  # type: ignore[no-any-return]
        return load_checkpoint(path, signed_for=self.signed_for).state  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)


def _needs(record: Summary, config: Config) -> list[Need]:
    return needs_of(config, record.dir.parent.parent, own=record.dir, fast_dev_run=record.fast_dev_run)


def _prepared(record: Summary, config: Config) -> Job:
    """Return the job of a finished run, built on its data."""
    require_secrets(config, record.dir)
    require_place(record, config.as_dict())
    job = prepare(config, _needs(record, config), fast_dev_run=record.fast_dev_run)
    require_same(record, job.experiment.dataset)
    return job


def _put_in(states: _States, experiment: Experiment, record: Summary) -> None:
    """Load the states of a finished run into its experiment, and seed."""
    try:
        experiment.load_states(states)
    except UNFIT as error:  # torch lists every key on a line of its own
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"the checkpoint in {record.dir} does not fit the settings: {reason}") from error
    seed_everything(record.seed)
