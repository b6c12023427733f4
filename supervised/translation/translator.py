"""Translation, measured by BLEU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lab.data.base import DataModule
from supervised.translation.baselines import simple_translations
from supervised.translation.bleu import BLEU
from supervised.translation.encoder_decoder import EncoderDecoder

if TYPE_CHECKING:
    from torchmetrics import Metric


class Translator(EncoderDecoder):
    """Translates sentences. The arguments are those of `EncoderDecoder`.

    Validation takes the most probable token at each step; the test has a beam search too.
    """

    descriptions = {
        "test/loss": "nats per token over the whole test split, given the true tokens before it",
        "test/perplexity": "exponential of the nats per token",
        "test/bleu": "sacreBLEU of the beam search, lower-cased, with its tokenizer 13a",
        "test/bleu_greedy": "the same where each token is the most probable one",
        "pictures/attention": "what is read across, what is written down; the darker, the more attention",
        "texts/written": "the first sentences with their translation and the reference",
    }

    def metrics(self) -> dict[str, Metric]:
        beam: dict[str, Metric] = {"bleu": BLEU()} if self.testing else {}
        return {**super().metrics(), "bleu_greedy": BLEU(), **beam}

    def judge(
        self, sources: Sequence[str], remembered: Any, references: Sequence[str], metrics: Mapping[str, Metric]
    ) -> None:
        ways = {"bleu_greedy": (1, 0.0), "bleu": (self.beam_width, self.length_penalty)}
        for name, (width, penalty) in ways.items():
            if name in metrics:
                found = self.write(remembered, len(sources), width=width, penalty=penalty)
                metrics[name].update([self.tokenizer.decode(tokens) for tokens in found], references)

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return simple_translations(data, self.tokenizer)
