"""Evaluation of expressions: a classifier of the digit that nested lists make (ListOps, Nangia & Bowman 2018)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.generated.expressions import (
    DEEPEST,
    DIGITS,
    NAMES,
    Expressions,
    depth_of,
    parsed,
    root_alone,
    value_of,
)
from lab.data.loader import testing_batches
from lab.data.spec import DataSpec
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from supervised.classifier import Classifier
from supervised.trees.depths import AccuracyAt, by_depth
from supervised.trees.drawn import Node, forest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image
    from torchmetrics import Metric

SHOWN, MOST_MISTAKES = 4, 30  # trees that are drawn, and mistakes that are told
MOST_NODES = 26  # of a tree that is drawn
SHALLOWEST = 2
"""Operators above each other in any expression of ListOps: with one alone it would be too short."""


class Evaluator(Classifier):
    """Says which digit an expression makes, by an encoder of trees or of sequences of tokens, and a linear layer.

    Args:
        encoder: a Tree, or for `data.form: flat` any encoder of sequences of tokens.
    """

    def __init__(self, spec: DataSpec, *, encoder: EncoderFactory) -> None:
        super().__init__(spec, encoder=encoder)
        if not isinstance(spec.reader, Expressions):
            raise ConfigError("Evaluator needs the expressions of lab.data.ListOps")
        self.reader = spec.reader
        self.wrong: list[str] = []
        self.shares: dict[int, float] = {}
        self.alone: list[tuple[int, bool]] = []
        """Of each test expression its depth, and whether the root's own digits alone give its value."""
        self.descriptions = {
            "test/accuracy": "share of all test expressions that are evaluated correctly",
            "pictures/depths": "test accuracy by the number of operators above each other",
            "pictures/trees": "test expressions, and at each operator the digit that is predicted of the part below "
            "it; of an example in training, the model was told that of the root alone",
            "texts/mistakes": "test expressions that are evaluated wrongly, with the true and the predicted digit",
        }

    def metrics(self) -> dict[str, Metric]:
        depths = {f"accuracy_depth_{depth}": AccuracyAt(depth) for depth in range(SHALLOWEST, DEEPEST + 1)}
        return {"accuracy": AccuracyAt(), **depths}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        logits, (_, true) = self(batch.inputs, batch.mask), batch
        predicted = logits.argmax(1)
        written = list(self._expressions(batch))
        depths = torch.tensor([depth_of(one) for one in written], device=true.device)
        for metric in metrics.values():
            metric.update(predicted, true, depths)
        if self.confusion is not None:
            self.confusion.update(predicted, true)
            self.alone += [(depth_of(one), root_alone(one) == value_of(one)) for one in written]
            told = zip(written, predicted.tolist(), true.tolist(), strict=True)
            self.wrong += [
                f"{_text(one)} is {right}, predicted {found}" for one, found, right in told if found != right
            ]
        return {"loss": F.cross_entropy(logits, true)}

    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self.wrong, self.alone = [], []

    def on_test_epoch_end(self) -> None:
        self.shares = {
            metric.depth: float(metric.compute())
            for metric in self.running.values()
            if isinstance(metric, AccuracyAt) and metric.depth
        }
        super().on_test_epoch_end()

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """The most frequent digit, and what the outermost operator makes of its own digits alone."""
        counts: Counter[int] = Counter()
        for _, values in data.unchanged(torch.device("cpu")):
            counts.update(values.tolist())
        most = max(counts, key=lambda one: (counts[one], -one))
        ways = {"most frequent digit": lambda one: most, "the root's own digits alone": root_alone}
        found = {name: self.metrics() for name in ways}
        for batch in testing_batches(data, torch.device("cpu")):
            written = list(self._expressions(batch))
            assert isinstance(batch.targets, Tensor)
            depths = torch.tensor([depth_of(one) for one in written])
            for name, way in ways.items():
                predicted = torch.tensor([way(one) for one in written])
                for metric in found[name].values():
                    metric.update(predicted, batch.targets, depths)
        return {
            name: {f"test/{key}": float(metric.compute()) for key, metric in fresh.items()}
            for name, fresh in found.items()
        }

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Once the test is done: accuracy by depth; and trees, where the inputs are such."""
        if self.confusion is None:
            return {}
        simple = {}
        for depth in self.shares:
            right = [found for deep, found in self.alone if deep == depth]
            simple[depth] = sum(right) / max(1, len(right))
        drawn = {"depths": by_depth(self.shares, simple)}
        if isinstance(batch.inputs, dict):
            heading = "predicted digit at each operator, red where it is wrong"
            drawn["trees"] = forest(list(self._trees(batch))[:SHOWN], heading)
        return drawn

    def texts(self, batch: Batch) -> dict[str, str]:
        """Expressions of the test that are evaluated wrongly, a line each."""
        return {"mistakes": "\n".join(self.wrong[:MOST_MISTAKES])} if self.wrong else {}

    def _expressions(self, batch: Batch) -> Iterator[list[int]]:
        """Yield the tokens of each expression as it is written."""
        inputs, masks = ({"tokens": one} if isinstance(one, Tensor) else one for one in (batch.inputs, batch.mask))
        assert inputs is not None
        assert masks is not None
        for row in range(len(batch)):
            parts = {key: one[row][masks[key][row]].tolist() for key, one in inputs.items()}
            yield parsed(self.reader.written(parts))

    def _trees(self, batch: Batch) -> Iterator[list[Node]]:
        """Yield small trees with the digit that is predicted at each operator."""
        assert isinstance(batch.inputs, dict)
        assert isinstance(batch.mask, dict)
        features = self.encoder.features(batch.inputs, batch.mask)  # type: ignore[arg-type]
        digits = self.head(features).argmax(2)
        real, rows = batch.mask["tokens"], zip(batch.inputs["tokens"], batch.inputs["parents"], digits, strict=True)
        for mask, row in zip(real, rows, strict=True):
            tokens, parents, found = (one[mask].tolist() for one in row)
            if len(tokens) <= MOST_NODES:
                yield _nodes(tokens, parents, found)


def _nodes(tokens: list[int], parents: list[int], found: list[int]) -> list[Node]:
    values = list(tokens)
    for place in reversed(range(len(tokens))):
        if tokens[place] >= DIGITS:
            given = [values[child] for child, above in enumerate(parents) if above == place + 1]
            values[place] = value_of([tokens[place], *given, len(NAMES) - 1])
    return [
        Node(above, NAMES[token].lstrip("["), str(digit) if token >= DIGITS else "", str(value))
        for token, above, digit, value in zip(tokens, parents, found, values, strict=True)
    ]


def _text(expression: list[int]) -> str:
    return " ".join(NAMES[token] for token in expression)
