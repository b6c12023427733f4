"""A checkpoint's state for a training that goes on with other settings: what was learned stays, what was set is new."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from lab.console.notices import notice
from lab.errors import CheckpointError
from lab.saving.checkpoint import mismatch, require_averages
from lab.saving.tensors import UNFIT
from lab.training.model import Model
from lab.training.settings import Length, TrainerSettings

Plain = dict[str, Any]

STOPPED = (
    "early stopping ended this run: to train it longer, give a larger --trainer.early_stopping.patience=N and --force"
)
CHOOSING = ("trainer.early_stopping", "trainer.keep_best")
OF_OPTIMIZERS = ("trainer.optimizer", "trainer.schedule", "trainer.weight_decay_on", "trainer.layer_rate")


def misfit(
    state: Mapping[str, Any], model: Model, length: Length, batches: int, changed: Collection[str]
) -> str | None:
    """Return why a training cannot go on from a checkpoint of other settings, or None.

    Args:
        state: in the checkpoint, as `lab.training.loop.saving` wrote it.
        model: that is to go on.
        length: of its training.
        batches: of one epoch.
        changed: dotted names of the settings that differ from those before the checkpoint.
    """
    if wrong := mismatch(state["lightning"]["state_dict"], model.state_dict()):
        return wrong
    epoch = (length.per_epoch, batches)
    if (known := state.get("epoch")) and tuple(known) != epoch:
        return (
            f"an epoch of the checkpoint has {known[0]:,} steps and {known[1]:,} batches, and would have {epoch[0]:,} "
            f"and {epoch[1]:,} now: a run is resumed with the number of examples, data.batch_size and "
            "trainer.accumulate as they were"
        )
    fixed = () if builds_by_settings(model) else OF_OPTIMIZERS
    if name := next((one for one in sorted(changed) if one.startswith(fixed)), None):
        return (
            f"{name} must stay as it was: {type(model).__name__} builds its optimizers in a configure_optimizers of "
            "its own, not in optimizers_of"
        )
    longer = any(f"trainer.{name}" in changed for name in TrainerSettings.roles.budget)
    return STOPPED if longer and state["should_stop"] and not chooses_anew(changed) else None


def builds_by_settings(model: Model) -> bool:
    """Return whether `optimizers_of` builds the optimizers that the model trains with."""
    return type(model).configure_optimizers is Model.configure_optimizers


def chooses_anew(changed: Collection[str]) -> bool:
    """Return whether early stopping decides again in a training with these other settings."""
    return any(name.startswith(CHOOSING) for name in changed)


def restore(model: Model, state: Plain, settings: TrainerSettings) -> None:
    """Load a checkpoint's weights. Raises CheckpointError where they, or what its optimizers keep, do not fit."""
    try:
        model.load_state_dict(state["lightning"]["state_dict"])
        if builds_by_settings(model):
            built = model.optimizers_of(settings).values()
            for saved, (optimizer, _) in zip(state["lightning"]["optimizer_states"], built, strict=True):
                require_averages(saved, optimizer)
    except UNFIT as error:
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"the checkpoint does not fit the settings: {reason}") from error


def with_settings(state: Plain, model: Model, settings: TrainerSettings, changed: Collection[str]) -> Plain:
    """Return the state of a checkpoint for a training with other settings.

    Learning rates, weight decay and everything else that the optimizer's constructor takes are those of `settings`. The
    optimizer's averages stay where it has the same kind.

    Args:
        state: in the checkpoint, as `lab.training.loop.saving` wrote it.
        changed: dotted names of the settings that differ from those before the checkpoint.
    """
    lightning: Plain = dict(state["lightning"])
    if builds_by_settings(model):
        built = list(model.optimizers_of(settings).values())
        states, schedules = [], []
        saved = zip(built, lightning["optimizer_states"], lightning["lr_schedulers"], strict=True)
        for (optimizer, schedule), before, place in saved:
            factors = [at(place["last_epoch"]) for at in schedule.lr_lambdas]  # lengths may differ
            rates = [base * factor for base, factor in zip(schedule.base_lrs, factors, strict=True)]
            groups = [{**group, "lr": rate} for group, rate in zip(_groups(optimizer), rates, strict=True)]
            states.append({"state": _averages(before, optimizer, settings), "param_groups": groups})
            schedules.append({**place, "base_lrs": schedule.base_lrs, "_last_lr": rates})
        lightning |= {"optimizer_states": states, "lr_schedulers": schedules}
    chooses = chooses_anew(changed)
    if chooses:
        lightning["callbacks"] = dict(_chosen_anew(lightning["callbacks"], settings))
    return {**state, "lightning": lightning, "should_stop": state["should_stop"] and not chooses}


def _chosen_anew(callbacks: Plain, settings: TrainerSettings) -> Iterator[tuple[str, Plain]]:
    """Yield the states of Lightning's callbacks for other settings of early stopping and of the best weights."""
    for key, state in callbacks.items():
        if key.startswith("EarlyStopping") and settings.early_stopping:  # of another metric it has another key
            yield key, {**state, "patience": settings.early_stopping.patience}
        elif key == "Best" and (by := settings.best_by):
            if (state.get("metric", by.metric), state.get("mode", by.mode)) == (by.metric, by.mode):
                yield key, state
        else:
            yield key, state


def _groups(optimizer: Optimizer) -> list[Plain]:
    groups: list[Plain] = optimizer.state_dict()["param_groups"]
    return groups


def _averages(before: Plain, optimizer: Optimizer, settings: TrainerSettings) -> Plain:
    """Return what the optimizer has averaged for each parameter; nothing where it averages something else now."""
    averages: Plain = before["state"]
    forms = [
        [(len(group["params"]), group.keys()) for group in groups]
        for groups in (before["param_groups"], _groups(optimizer))
    ]
    needed = averages_of(settings)
    if forms[0] == forms[1] and all(needed <= one.keys() for one in averages.values()):
        return averages
    notice(f"{type(optimizer).__name__} begins without averages: those in the checkpoint are of another optimizer")
    return {}


def averages_of(settings: TrainerSettings) -> set[str]:
    """Return the names of what the optimizer keeps for each parameter, as a step of it shows."""
    parameter = nn.Parameter(torch.zeros(2, 2))
    parameter.grad = torch.zeros(2, 2)
    optimizer = (settings.optimizer or torch.optim.Adam)([parameter])
    optimizer.step(lambda: 0.0)
    return set(optimizer.state[parameter])
