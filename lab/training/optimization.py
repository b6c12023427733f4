"""How weights are changed: optimizers, schedule, penalties and clipping, with the same settings for every model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lab.config.roles import Roles
from lab.config.types import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
"""How a config gives an optimizer: SGD (with momentum), Adagrad, RMSprop, Adam, AdamW or any other of torch.optim."""


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes over the steps of a training.

    Args:
        kind: `constant`; `linear` or `cosine` (Loshchilov & Hutter 2017) from 1 down to `final`; `step`, which
            multiplies by `decay` after each of `steps` equal parts.
        warmup: fraction of all steps over which the rate first rises linearly from 0 (Goyal et al. 2017).
        final: factor at the end of `linear` and `cosine`.
        decay: factor of one step.
        steps: number of equal parts for `step`.
    """

    kind: Literal["constant", "linear", "cosine", "step"] = "constant"
    warmup: Fraction = 0.0
    final: Fraction = 0.0
    decay: Fraction = 0.1
    steps: PositiveInt = 3

    def factor(self, step: int, total: int) -> float:
        """Factor on the learning rate at `step` of `total`, counted from 0."""
        rising = self.warmup * total
        if step < rising:
            return (step + 1) / (rising + 1)
        done = min(1.0, (step - rising) / max(1.0, total - rising))
        if self.kind == "linear":
            return 1 - (1 - self.final) * done
        if self.kind == "cosine":
            return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2
        if self.kind == "step":
            return float(self.decay ** int(done * self.steps)) if done < 1 else float(self.decay ** (self.steps - 1))
        return 1.0


CONSTANT = Schedule()


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that are optimised alike.

    Args:
        parameters: the parameters.
        optimizer: name of the optimizer they belong to; groups of the same name share one.
        rate: factor on the learning rate.
        decay: whether the optimizer's weight decay applies to them.
    """

    parameters: Iterable[nn.Parameter]
    optimizer: str = "main"
    rate: float = 1.0
    decay: bool = True


@dataclass(frozen=True)
class Optimization:
    """Settings of one training.

    Args:
        optimizer: any class of torch.optim with its settings; `SGD` takes `momentum`, `AdamW` `weight_decay`;
            null for Adam with torch's defaults.
        schedule: of the learning rate.
        weight_decay_on: what the optimizer's weight decay applies to: `all` parameters, or only `weights`, which
            leaves out biases and the scales of norms (parameters with one axis).
        gradient_clip_norm: largest Euclidean norm of the whole gradient (Pascanu et al. 2013); null for no limit.
        layer_rate: factor on the learning rate from each layer of the model's encoder to the one below it, so that what
            was learned before changes least at the bottom; 1 for none (Howard & Ruder 2018, section 3.2: 1 / 2.6). What
            is not the encoder keeps its rate.
        mixup: alpha of the Beta distribution by which pairs of inputs, and their losses, are mixed (Zhang et al. 2018);
            0 for none. Each batch is then evaluated twice.
        l1: weight of the sum of absolute weights in the loss.
        l2: weight of half the sum of squared weights in the loss.
    """

    roles: ClassVar[Roles] = Roles(added={"weight_decay_on": "all", "layer_rate": 1.0, "mixup": 0.0})

    optimizer: OptimizerFactory | None = None
    schedule: Schedule = field(default_factory=Schedule)
    weight_decay_on: Literal["all", "weights"] = "all"
    gradient_clip_norm: PositiveFloat | None = None
    layer_rate: PositiveFloat = 1.0
    mixup: NonNegativeFloat = 0.0
    l1: NonNegativeFloat = 0.0
    l2: NonNegativeFloat = 0.0

    def build(self, groups: Sequence[ParameterGroup], total_steps: int) -> dict[str, tuple[Optimizer, LambdaLR]]:
        """Return each named optimizer with its schedule, which must be stepped after every optimizer step.

        `total_steps` is the length of the training in optimizer steps: the schedule ends there.
        """
        return {
            name: self._one([group for group in groups if group.optimizer == name], total_steps)
            for name in dict.fromkeys(group.optimizer for group in groups)
        }

    def penalty(self, parameters: Iterable[nn.Parameter]) -> Tensor | float:
        """The L1 and L2 terms of the loss. Biases and norms (one axis) are left out, as is usual."""
        if not (self.l1 or self.l2):
            return 0.0
        weights = [p for p in parameters if p.ndim > 1]
        return sum(
            (self.l1 * w.abs().sum() + self.l2 / 2 * w.square().sum() for w in weights),
            start=torch.zeros(()).to(weights[0]),
        )

    def _one(self, groups: Sequence[ParameterGroup], total_steps: int) -> tuple[Optimizer, LambdaLR]:
        split: list[dict[str, Any]] = []
        changes: list[tuple[float, bool]] = []
        for group in groups:
            parameters = list(group.parameters)
            for decay in (True, False):
                part = [p for p in parameters if self._decays(p, group) is decay]
                if part:
                    split.append({"params": part})
                    changes.append((group.rate, decay))
        optimizer = (self.optimizer or torch.optim.Adam)(split)  # type: ignore[arg-type]  # torch takes groups too
        for made, (rate, decay) in zip(optimizer.param_groups, changes, strict=True):
            made["lr"] *= rate
            if not decay and "weight_decay" in made:
                made["weight_decay"] = 0.0
        return optimizer, LambdaLR(optimizer, lambda step: self.schedule.factor(step, total_steps))

    def _decays(self, parameter: nn.Parameter, group: ParameterGroup) -> bool:
        return group.decay and (self.weight_decay_on == "all" or parameter.ndim > 1)


def by_layer(
    groups: Iterable[ParameterGroup], layers: Sequence[Sequence[nn.Parameter]], rate: float
) -> list[ParameterGroup]:
    """Return the groups, in which the last of the layers has its rate times `rate`, the one before it `rate` squared,
    and so on. Other parameters keep their rate.

    Args:
        layers: the weights of each, in the order from input to output.
    """
    heights = {part: len(layers) - i for i, layer in enumerate(layers) for part in layer}
    found = []
    for group in groups:
        parameters = list(group.parameters)
        for height in sorted({heights.get(one, 0) for one in parameters}):
            chosen = [one for one in parameters if heights.get(one, 0) == height]
            found.append(replace(group, parameters=chosen, rate=group.rate * rate**height))
    return found
