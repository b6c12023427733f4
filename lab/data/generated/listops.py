"""Expressions to be evaluated, as trees or as they are written."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch

from lab.config.roles import Roles
from lab.config.types import NonNegativeInt, PositiveInt
from lab.data.base import Batches, DatasetInfo, SplitData
from lab.data.generated.curriculum import Curriculum
from lab.data.generated.expressions import (
    CLOSE,
    DEEPEST,
    DIGITS,
    NAMES,
    Expressions,
    Form,
    expressions,
    parts_of,
    value_of,
)
from lab.data.lengths import LengthBatches, moved
from lab.data.spec import Classes, DataSpec, InputSpec


class ListOps(SplitData):
    """Generated expressions of digits and operators, such as `[MAX 2 9 [MIN 4 7 ] 0 ]`; the target is the digit that
    they make. They have 8 to 60 tokens and operators at most four deep. None is twice among training, validation and
    test. They are the same for all seeds.

    Args:
        form: `tree`: the inputs have parts, the tokens and the parents of nodes, `(B, N)` each; `flat`: they are the
            tokens as they are written, brackets included, `(B, T)`.
        train_size: expressions for training.
        val_size: for validation.
        test_size: for the test.
        batch_size: expressions per training batch, of similar length.
        eval_batch_size: expressions per validation and test batch.
        curriculum: epochs that training takes, of each expression, only the longest part without operators above each
            other; then as many in which two may be above each other, and so on, up to whole expressions. 0 begins with
            these.
    """

    roles = Roles(added={"curriculum": 0})

    def __init__(
        self,
        *,
        form: Form = "tree",
        train_size: PositiveInt = 90_000,
        val_size: NonNegativeInt = 2_000,
        test_size: PositiveInt = 10_000,
        batch_size: PositiveInt = 100,
        eval_batch_size: PositiveInt = 500,
        curriculum: NonNegativeInt = 0,
    ) -> None:
        self.form, self.sizes, self.curriculum = form, (train_size, val_size, test_size), curriculum
        self.validates = val_size > 0
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size

    def prepare(self) -> None:
        train_size, val_size, test_size = self.sizes
        test = expressions(test_size, 2)
        validation = expressions(val_size, 1, set(test))
        self.parts = expressions(train_size, 0, {*test, *validation}), validation, test
        content = hashlib.sha256()
        for part in self.parts:
            for one in part:
                content.update(bytes(one))
        self.info = DatasetInfo("listops", content.hexdigest())
        longest = max(
            len(one) - (one.count(CLOSE) if self.form == "tree" else 0) for part in self.parts for one in part
        )
        self.reader = Expressions(self.form, longest)
        tokens = InputSpec((longest,), "int64", vocab=CLOSE if self.form == "tree" else len(NAMES))
        parents = InputSpec((longest,), "int64", vocab=longest)
        self.spec = DataSpec(
            {"tokens": tokens, "parents": parents} if self.form == "tree" else tokens,
            Classes(DIGITS, NAMES[:DIGITS]),
            reader=self.reader,
        )

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        if not self.curriculum:
            return super().train(device, seed, batch_size=batch_size)
        held_out = {*self.parts[1], *self.parts[2]}
        parts = [parts_of(one, held_out) for one in self.parts[0]]
        stages = [[one[min(depth, len(one)) - 1] for one in parts] for depth in range(1, DEEPEST + 1)]
        size = batch_size or self.batch_size
        return Curriculum([self._batches(stage, device, size, seed) for stage in stages], self.curriculum)

    def unchanged(self, device: torch.device) -> Batches:
        return self.cut(0, device, self.eval_batch_size)

    def cut(self, split: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        return self._batches(self.parts[split], device, batch_size, seed)

    def _batches(
        self, part: Sequence[tuple[int, ...]], device: torch.device, batch_size: int, seed: int | None
    ) -> LengthBatches:
        every = [self.reader.parts(one) for one in part]
        rows = {key: moved([torch.tensor(one[key]) for one in every], device) for key in every[0]}
        values = torch.tensor([value_of(one) for one in part], device=device)
        inputs = rows if self.form == "tree" else rows["tokens"]
        return LengthBatches(inputs, values, batch_size=batch_size, seed=seed)
