"""Statistics of gradients and activations, as curves: where gradients vanish or explode, and which units are dead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.modules import activation
from torch.utils.hooks import RemovableHandle

from lab.console.notices import notice
from lab.experiment import RunContext
from lab.tracking.journal import METRICS, read_journal
from lab.training.loop.gradients import gradient_norm
from lab.training.loop.reporter import Reporter

VANISHING = 1e-5  # a layer's gradient divided by the largest one
CONVOLUTIONAL = 4  # axes of a batch of maps, (B, C, H, W): a unit is a channel; elsewhere units are on the last axis

Show = Callable[[Mapping[str, float], RunContext, int], None]
"""Draws the norms of gradients by the names of their layers, at an optimizer step."""


class LayerStatistics(pl.Callback):
    """Logs, under `statistics/`, every so many optimizer steps:

    - `gradient_norm`: Euclidean norm of the whole gradient, before it is clipped; with several optimizers
      `gradient_norm.0`, `gradient_norm.1` in their order;
    - `gradient_norm/MODULE`: that of one module's own parameters;
    - `activation_mean/MODULE` and `activation_std/MODULE` of the output of an activation module such as `nn.ReLU`;
    - `dead_units/MODULE`: share of its units that are zero for every example and position of the batch.

    It says once if the gradient vanishes on its way back through the layers, or if a layer is dead.

    Activations that are functions, not modules, are not seen. Where a module is called several times in a step, its
    statistics are averaged over the calls.

    Args:
        every: optimizer steps between two rows.
        reporter: counts the optimizer steps; it must come before this callback.
        show: draws the norm of each layer's gradient, from the last row, at the end.
    """

    def __init__(self, every: int, context: RunContext, reporter: Reporter, show: Show) -> None:
        self.every, self.context, self.reporter, self.show = every, context, reporter, show
        self.hooks: list[RemovableHandle] = []
        self.seen: defaultdict[str, list[float]] = defaultdict(list)
        self.norms: dict[str, float] = {}
        """Of each layer's gradient, in the last row."""
        self.said = False

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """A resumed run goes on from the last row before its checkpoint: it may have no row of its own. Nor any step:
        then Lightning calls neither `on_train_start` nor `on_train_end`."""
        journal = self.context.dir / METRICS
        for row in read_journal(journal) if self.context.restored and journal.is_file() else ():
            self.norms = norms_of(row) or self.norms

    @property
    def due(self) -> bool:
        """Whether the step that is being made is logged."""
        return (self.reporter.step + 1) % self.every == 0

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, i: int) -> None:
        if self.due and not self.hooks:
            for name, part in module.named_modules():
                if type(part).__module__ == activation.__name__:
                    self.hooks.append(part.register_forward_hook(self._watch(name)))

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if not self.due:
            return
        several = len(trainer.optimizers) > 1
        number = next(i for i, one in enumerate(trainer.optimizers) if one.param_groups is optimizer.param_groups)
        self.seen[f"gradient_norm.{number}" if several else "gradient_norm"].append(gradient_norm(optimizer))
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, part in module.named_modules():
            gradients = [p.grad for p in part.parameters(recurse=False) if p.grad is not None and id(p) in own]
            if gradients:
                norm = torch.nn.utils.get_total_norm(gradients).item()
                self.seen[f"gradient_norm/{name or 'model'}"].append(norm)

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        if not self.hooks and not self.seen:
            return
        if self.reporter.step % self.every:
            return  # inside an accumulation: the step is not made yet
        for hook in self.hooks:
            hook.remove()
        figures = {f"statistics/{name}": sum(values) / len(values) for name, values in self.seen.items()}
        self.hooks, self.seen = [], defaultdict(list)
        self.context.tracker.log(figures, axis="global_step", at=self.reporter.step)
        self.norms = norms_of(figures)
        dead = [
            name.partition("dead_units/")[2] for name, share in figures.items() if "/dead_units/" in name and share == 1
        ]
        if not self.said:
            for complaint in complaints(self.norms, dead):
                notice(complaint)
                self.said = True

    def on_fit_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if len(self.norms) > 1:
            self.show(self.norms, self.context, self.reporter.step)

    def _watch(self, name: str) -> Any:
        def hook(part: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and part.training:
                for what, value in activation_statistics(output.detach()).items():
                    self.seen[f"{what}/{name}"].append(value)

        return hook


def norms_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the norm of each layer's gradient by the layer's name, from a row of the journal."""
    found = {name.partition("gradient_norm/")[2]: value for name, value in row.items() if "gradient_norm/" in name}
    return {name: value for name, value in found.items() if value is not None}


def complaints(norms: Mapping[str, float], dead: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong, by the norm of each layer's gradient and the names of layers that are zero throughout."""
    if norms:
        least, most = min(norms, key=norms.__getitem__), max(norms, key=norms.__getitem__)
        if norms[least] < VANISHING * norms[most]:
            share = f"{norms[least] / norms[most]:.0e}" if norms[least] else "nothing"
            yield (
                f"the gradient vanishes: that of {least} is {share} of that of {most}; residual layers, a norm or "
                "another activation may help"
            )
    for name in dead[:1]:
        yield f"all units of {name} are zero for the whole batch: a lower learning rate or another activation may help"


def activation_statistics(output: Tensor) -> dict[str, float]:
    """Return mean, standard deviation and share of dead units of activations `(B, ..., F)` or `(B, C, H, W)`."""
    output = output.float()
    units = 1 if output.ndim == CONVOLUTIONAL else output.ndim - 1
    others = [axis for axis in range(output.ndim) if axis != units]
    dead = (output == 0).all(tuple(others))
    return {
        "activation_mean": output.mean().item(),
        "activation_std": output.std(correction=0).item(),
        "dead_units": dead.float().mean().item(),
    }
