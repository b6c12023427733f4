"""An experiment that learns nothing and ends at once. It fails or diverges where a test asks for it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lab.config.roles import Roles
from lab.config.types import Artifact, PositiveInt
from lab.console.notices import notice
from lab.data.base import DatasetInfo
from lab.errors import DivergedError, EnvironmentFailedError
from lab.experiment import Experiment, RunContext, State, Throughput
from lab.saving.saver import Cadence, CheckpointSettings
from lab.system.files import write_json

SLOW = Path("slow")
"""While this file exists, each step takes the number of seconds in it."""


class Toy(Experiment):
    """Adds up one random number per step. `toy/value` is ten times the seed, `toy/sum` is the sum.

    Args:
        steps: to make.
        fold: adds as much to `toy/value`.
        bonus: the same, but no repeat.
        failing: seeds whose run fails when half of the steps are made.
        diverging: seeds whose run diverges there.
    """

    family, lengths = "custom", ("steps",)
    roles = Roles(repeats=("fold",), budget={"steps": "steps"})

    def __init__(
        self,
        steps: PositiveInt = 10,
        fold: int = 0,
        bonus: float = 0.0,
        failing: Sequence[int] = (),
        diverging: Sequence[int] = (),
    ) -> None:
        self.steps, self.failing, self.diverging = steps, failing, diverging
        self.fold, self.bonus = fold, bonus

    def prepare(self, seed: int, device: torch.device, *, fast_dev_run: bool = False) -> None:
        self.seed, self.total = seed, torch.zeros(())
        notice("toys are no science")

    def cadence(self, wish: CheckpointSettings) -> Cadence:
        return Cadence(wish.steps or 1000)

    def train(self, context: RunContext) -> Throughput:
        restored: Any = context.restored.state if context.restored else None
        start = 0
        if restored:
            start, self.total = restored["step"], restored["total"]
            torch.set_rng_state(restored["random"])
        (context.dir / "pid").write_text(str(os.getpid()))
        assert context.saver is not None
        with context.progress("training", self.steps, "steps", start=start) as progress:
            for step in range(start, self.steps):
                if step == self.steps // 2 and self.seed in (*self.failing, *self.diverging):
                    raise DivergedError("NaN") if self.seed in self.diverging else EnvironmentFailedError("no more")
                self.total = self.total + torch.rand(())
                if SLOW.exists():
                    time.sleep(float(SLOW.read_text()))
                context.tracker.log({"toy/sum": float(self.total)}, axis="global_step", at=step + 1)
                progress.update(step + 1, {"toy/sum": self.total})  # type: ignore[dict-item]  # a tensor, as users may log
                print(f"step {step}")
                context.saver.safe_point(step + 1, lambda at=step + 1: self._state(at))  # type: ignore[misc]
        context.saver.save(self.steps, lambda: self._state(self.steps))
        return Throughput(self.steps, "steps")

    def _state(self, step: int) -> dict[str, Any]:
        return {"step": step, "total": self.total, "random": torch.get_rng_state()}

    def evaluate(self, context: RunContext) -> dict[str, float]:
        return {"toy/value": 10.0 * self.seed + self.fold + self.bonus, "toy/sum": float(self.total)}

    def draw(self, context: RunContext) -> None:
        """Nothing."""

    def states(self) -> dict[str, State]:
        return {"final": {"total": self.total}}

    def load_states(self, states: Mapping[str, State]) -> None:
        self.total = states["final"]["total"]

    @property
    def dataset(self) -> DatasetInfo:
        return DatasetInfo("toy")


class Maker(Toy):
    """A toy that leaves an artifact called `table`: its sum."""

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        def write(folder: Path) -> None:
            folder.mkdir(parents=True)
            write_json(folder / "table.json", {"sum": float(self.total)})

        return {"table": write}


class Taker(Toy):
    """A toy that begins with the sum of another one.

    Args:
        table: the artifact with that sum.
    """

    def __init__(self, table: Artifact, steps: PositiveInt = 10) -> None:
        super().__init__(steps)
        assert isinstance(table, str), "the runner gives the folder"
        self.table = Path(table)

    def evaluate(self, context: RunContext) -> dict[str, float]:
        before = json.loads((self.table / "table.json").read_text())["sum"]
        return {"toy/sum": before + float(self.total)}
