"""Expressions to be evaluated, as trees or as they are written."""

from __future__ import annotations

import hashlib

import torch

from lab.config.types import NonNegativeInt, PositiveInt
from lab.data.base import Batches, DataModule, DatasetInfo
from lab.data.batches import Options
from lab.data.generated.expressions import CLOSE, DIGITS, NAMES, Expressions, Form, expressions, value_of
from lab.data.lengths import LengthBatches, moved
from lab.data.spec import Classes, DataSpec, InputSpec


class ListOps(DataModule):
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
    """

    def __init__(
        self,
        *,
        form: Form = "tree",
        train_size: PositiveInt = 90_000,
        val_size: NonNegativeInt = 2_000,
        test_size: PositiveInt = 10_000,
        batch_size: PositiveInt = 100,
        eval_batch_size: PositiveInt = 500,
    ) -> None:
        self.form, self.sizes = form, (train_size, val_size, test_size)
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
        return self._batches(0, device, batch_size or self.batch_size, seed)

    def validation(self, device: torch.device) -> Batches | None:
        return self._batches(1, device, self.eval_batch_size) if self.parts[1] else None

    def test(self, device: torch.device) -> Batches:
        return self._batches(2, device, self.eval_batch_size)

    def unchanged(self, device: torch.device) -> Batches:
        return self._batches(0, device, self.eval_batch_size)

    def _batches(self, part: int, device: torch.device, batch_size: int, seed: int | None = None) -> Batches:
        every = [self.reader.parts(one) for one in self.parts[part]]
        rows = {key: moved([torch.tensor(one[key]) for one in every], device) for key in every[0]}
        values = torch.tensor([value_of(one) for one in self.parts[part]], device=device)
        options: Options = {"batch_size": batch_size, "seed": seed}
        return LengthBatches(rows if self.form == "tree" else rows["tokens"], values, **options)
