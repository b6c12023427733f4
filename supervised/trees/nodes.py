"""Classification of every node of a tree: the sentiment of a sentence and of each part of it (Socher et al. 2013)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from lab.capabilities import Prediction
from lab.config.types import PositiveFloat, Probability
from lab.data.base import DataModule
from lab.data.batch import Batch, mapped
from lab.data.inputs.trees import Parses
from lab.data.spec import DataSpec, Tags
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.training.model import Model
from lab.training.optimization import ParameterGroup
from lab.training.pictures import confusion_matrix
from supervised.baselines import measured
from supervised.trees.drawn import Colour, Node, forest
from supervised.word_counts import text_classifiers, word_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from PIL.Image import Image
    from torchmetrics import Metric

# Dimensions: B trees, N nodes of the largest, K classes.

CPU = torch.device("cpu")
SHOWN, MOST_NODES = 5, 25  # trees that are drawn, and nodes of such a one
LOW, MIDDLE, HIGH = (240, 170, 160), (245, 245, 245), (160, 205, 165)
"""Colours of the first class, of those in the middle, and of the last one."""


class NodeClassifier(Model):
    """Gives each node of a tree a class, by an encoder of trees and a linear layer. The loss is the cross-entropy, mean
    over all nodes that have a class.

    Args:
        encoder: a Tree.
        dropout: probability of dropping a feature of a node.
        embedding_rate: factor on the learning rate of the vectors of words.
    """

    family = "supervised"

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        dropout: Probability = 0.0,
        embedding_rate: PositiveFloat = 1.0,
    ) -> None:
        super().__init__(spec)
        target = spec.target
        if not isinstance(target, Tags):
            raise ConfigError("NodeClassifier needs a class for each node, as lab.data.Treebank has")
        if not isinstance(spec.reader, Parses):
            raise ConfigError("NodeClassifier needs sentences as trees, as lab.data.Treebank has with data.form=tree")
        self.names = target.names or tuple(map(str, range(target.n)))
        self.encoder = build_encoder(encoder, spec.input)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.features_dim, target.n)
        self.embedding_rate = embedding_rate
        self.tokenizer = spec.reader.tokenizer
        self.confusion: MulticlassConfusionMatrix | None = None
        self.descriptions = {
            "test/accuracy": "share of all test sentences, the roots of trees, whose class is right",
            "test/accuracy_nodes": "share of all nodes of test trees, words included, whose class is right",
            "pictures/confusion_matrix": "test sentences by true class (down) and predicted class (across)",
            "pictures/trees": f"test sentences with the predicted class of each part, from 0, {self.names[0]}, to "
            f"{target.n - 1}, {self.names[-1]}; red where it is wrong",
        }

    def forward(self, x: dict[str, Tensor], mask: dict[str, Tensor] | None = None) -> Tensor:
        """Return logits of all nodes, `(B, N, K)`, for tokens and parents, `(B, N)` each, and their masks."""
        return self.head(self.dropout(self.encoder.features(x, mask)))  # type: ignore[arg-type, no-any-return]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        logits, (_, classes) = self(batch.inputs, batch.mask), batch
        right = (logits[:, 0].detach().argmax(1) == classes[:, 0]).float().mean()
        return {"loss": self._nats(logits, classes), "accuracy": right}

    def metrics(self) -> dict[str, Metric]:
        return {"accuracy": self._accuracy(), "accuracy_nodes": self._accuracy()}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        logits, (_, classes) = self(batch.inputs, batch.mask), batch
        predicted = logits.argmax(2)
        metrics["accuracy"].update(predicted[:, 0], classes[:, 0])
        metrics["accuracy_nodes"].update(predicted, classes)
        if self.confusion is not None:
            self.confusion.update(predicted[:, 0], classes[:, 0])
        return {"loss": self._nats(logits, classes)}

    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self.confusion = MulticlassConfusionMatrix(len(self.names)).to(self.device)

    def parameter_groups(self) -> list[ParameterGroup]:
        vectors = getattr(self.encoder, "embedding", None)
        if self.embedding_rate == 1 or not isinstance(vectors, nn.Module):
            return super().parameter_groups()
        own = {id(one) for one in vectors.parameters()}
        others = [one for one in self.parameters() if id(one) not in own]
        return [ParameterGroup(others), ParameterGroup(vectors.parameters(), rate=self.embedding_rate)]

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """Simple classifiers of the words and pairs of words in the sentences, trained on whole sentences alone."""
        train, test = (self._flat(batches) for batches in (data.unchanged(CPU), data.test(CPU)))
        return measured(text_classifiers(), *word_counts(train, test), lambda: {"accuracy": self._accuracy()})

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        return {**super().artifacts(), "tokenizer": self.tokenizer.save}

    def predict(self, inputs: dict[str, Tensor], mask: dict[str, Tensor] | None = None) -> list[Prediction]:
        """Return the most probable class of each sentence and its probability, for tokens and parents, `(B, N)` each,
        and their masks."""
        given, real = (mapped(one, lambda part: part.to(self.device)) for one in (inputs, mask))
        with self.at_rest(seed=0):
            probability, label = self(given, real)[:, 0].softmax(1).max(1)
        return [Prediction(self.names[i], p) for i, p in zip(label.tolist(), probability.tolist(), strict=True)]

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Trees; and after the test the confusion matrix of sentences."""
        heading = f"from 0, {self.names[0]}, to {len(self.names) - 1}, {self.names[-1]}; red: wrong"
        trees = list(self._trees(batch))
        drawn = {"trees": forest(trees[:SHOWN], heading)} if trees else {}
        if self.confusion is not None:
            drawn["confusion_matrix"] = confusion_matrix(self.confusion.compute(), self.names)
        return drawn

    def _trees(self, batch: Batch) -> Iterator[list[Node]]:
        """Yield short sentences with the predicted class of each node."""
        assert isinstance(batch.inputs, dict)
        assert isinstance(batch.mask, dict)
        assert isinstance(batch.targets, Tensor)
        predicted = self(batch.inputs, batch.mask).argmax(2)
        rows = zip(batch.inputs["tokens"], batch.inputs["parents"], predicted, batch.targets, strict=True)
        for mask, row in zip(batch.mask["tokens"], rows, strict=True):
            nodes = list(zip(*(one[mask].tolist() for one in row), strict=True))
            if 3 < len(nodes) <= MOST_NODES:
                yield [
                    Node(
                        above,
                        self._word(token),
                        str(found),
                        "" if true == Tags.NONE else str(true),
                        self._colour(found),
                    )
                    for token, above, found, true in nodes
                ]

    def _word(self, token: int) -> str:
        return self.tokenizer.decode([token]) if token < len(self.tokenizer) else ""

    def _colour(self, number: int) -> Colour:
        share = 2 * number / (len(self.names) - 1) - 1
        end = HIGH if share > 0 else LOW
        red, green, blue = (round(a + abs(share) * (b - a)) for a, b in zip(MIDDLE, end, strict=True))
        return red, green, blue

    def _flat(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the words of sentences in their order, with the classes of sentences."""
        for batch in batches:
            assert isinstance(batch.inputs, dict)
            assert isinstance(batch.mask, dict)
            assert isinstance(batch.targets, Tensor)
            tokens = batch.inputs["tokens"]
            words = batch.mask["tokens"] & (tokens < len(self.tokenizer))
            yield replace(batch, inputs=tokens, mask=words, targets=batch.targets[:, 0])

    def _accuracy(self) -> MulticlassAccuracy:
        return MulticlassAccuracy(len(self.names), average="micro", ignore_index=Tags.NONE)

    def _nats(self, logits: Tensor, classes: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), classes.flatten(), ignore_index=Tags.NONE)
