"""Many tasks in one model, each named in its text (T5, Raffel et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torchmetrics import MeanMetric

from lab.data.base import DataModule
from supervised.translation.encoder_decoder import EncoderDecoder
from supervised.translation.nearest import nearest_answers

if TYPE_CHECKING:
    from torchmetrics import Metric


class Text2Text(EncoderDecoder):
    """Writes the answer to a text that begins with the name of its task and a colon. The arguments are those of
    `EncoderDecoder`.

    An answer is exact where it is the expected one, letter by letter. Each of its tokens is the most probable one.
    """

    descriptions = {
        "test/loss": "nats per token over the whole test split, given the true tokens before it",
        "test/exact": "share of all answers that are exact",
        "test/exact_least": "the same of the task of which it is least",
        "test/longer": "share of exact answers to texts that are one length longer than all training texts",
        "pictures/attention": "what is read across, what is written down; the darker, the more attention",
        "texts/written": "the first texts with what is written and what is expected",
    }
    tasks: Sequence[str] = ()
    longer: Mapping[str, Metric] = {}

    def adapt(self, data: DataModule) -> None:
        self.tasks = tuple(getattr(data, "tasks", ()))

    def metrics(self) -> dict[str, Metric]:
        exact: dict[str, Metric] = {f"exact_{task}": MeanMetric() for task in self.tasks}
        return {**super().metrics(), "exact": MeanMetric(), **exact}

    def judge(
        self, sources: Sequence[str], remembered: Any, references: Sequence[str], metrics: Mapping[str, Metric]
    ) -> None:
        for task, exact in self.answered(sources, remembered, references):
            metrics["exact"].update(exact)
            if f"exact_{task}" in metrics:
                metrics[f"exact_{task}"].update(exact)

    def answered(self, sources: Sequence[str], remembered: Any, references: Sequence[str]) -> list[tuple[str, float]]:
        """Return the task of each source, and whether its answer is exact, 1 or 0."""
        found = self.write(remembered, len(sources), width=1, penalty=0.0)
        return [
            (source.partition(":")[0], float(self.tokenizer.decode(tokens) == reference))
            for source, tokens, reference in zip(sources, found, references, strict=True)
        ]

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        """Answer the texts that are longer than those of training, where the data have such texts."""
        longer = {"longer": MeanMetric(), **{f"longer_{task}": MeanMetric() for task in self.tasks}}
        for batch in data.longer(device) if hasattr(data, "longer") else ():
            with self.at_rest(seed=0):
                given = self.kept_of(batch)
                texts = (self.texts_of(ids) for ids in (batch.inputs["source"], batch.targets))
                for task, exact in self.answered(next(texts), given, next(texts)):
                    longer["longer"].update(exact)
                    longer[f"longer_{task}"].update(exact)
        self.longer = {name: metric for name, metric in longer.items() if metric.update_called}

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        self.log_dict({f"test/{name}": metric.compute() for name, metric in self.longer.items()})
        if shares := [self.running[f"exact_{task}"].compute() for task in self.tasks]:
            self.log("test/exact_least", torch.stack(shares).min())

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return nearest_answers(data, self.tokenizer)
