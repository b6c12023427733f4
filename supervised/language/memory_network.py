"""Questions about stories, answered by attention to their sentences (Weston et al. 2015, 'Memory networks'; Sukhbaatar
et al. 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from lab.capabilities import Prediction
from lab.config.types import NonNegativeFloat, NonNegativeInt, PositiveInt, Probability
from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.generated.stories import NOTHING, PARTS
from lab.data.generated.story_world import TASKS
from lab.data.own.texts.questions import Questions
from lab.data.spec import DataSpec, InputSpec
from lab.data.tokenizers.words import Words
from lab.encoders.base import EncoderFactory
from lab.encoders.contract import build_encoder
from lab.errors import ConfigError
from lab.nn.sequences.hops import Hops
from lab.nn.sequences.positions import RotaryPositions
from lab.nn.sequences.transformer import TransformerBlocks
from lab.training.exportable import Exportable
from supervised.language.story_baselines import story_baselines
from supervised.language.story_pictures import Shown, where_it_looked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

# Dimensions: B stories, S sentences, W words of a sentence, H hops, F features.

LEAST = 0.2  # weight of a sentence that a prediction names
MISTAKES = 12  # that are written


class MemoryNetwork(Exportable):
    """A vector for each sentence, attention between the sentences, and a question that looks at them in several hops.

    The encoder turns the words of a sentence, or of the question, into a vector. Blocks of a Transformer let sentences
    see each other, the question added to each; rotary positions tell how far apart two are. Then the question looks at
    the sentences in hops, and the answer follows from its last state.

    Where `facts` is above 0, training also says which sentences are needed, one for each hop, in the order in which
    they are found (strong supervision, Weston et al. 2015); a hop without one is to look at nothing.

    Args:
        encoder: of the words of one sentence.
        layers: blocks between the sentences.
        heads: of each block; the encoder's features must be divisible by them.
        hops: how often the question looks at the sentences.
        facts: weight of the loss for the sentences that are needed; 0 leaves them out.
        dropout: as for `Transformer`.
    """

    family = "supervised"
    results = ("logits",)
    descriptions = {
        "test/accuracy": "share of the questions that are answered correctly, over all kinds, at trained lengths",
        **{f"test/{name}": f"the same for questions of the kind: {task}" for task, name in
           zip(TASKS, (task.replace(" ", "_") for task in TASKS), strict=True)},
        "test/new_wording": "the same for stories with sentences of a form that training lacks",
        "test/longer": "the same for stories with more sentences than in training",
        "test/facts_found": "share of the sentences needed (or of nothing) that a hop looks at most",
        "pictures/facts": "where the question looked in each hop, dark; sentences that are needed are framed in red",
        "texts/mistakes": "stories whose question was answered wrongly, with the right answer",
    }  # fmt: skip

    def __init__(
        self,
        spec: DataSpec,
        *,
        encoder: EncoderFactory,
        layers: NonNegativeInt = 2,
        heads: PositiveInt = 4,
        hops: PositiveInt = 3,
        facts: NonNegativeFloat = 1.0,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__(spec)
        form, answers = spec.require_one_input("MemoryNetwork"), spec.require_classes("MemoryNetwork")
        if not isinstance(spec.reader, Questions):
            raise ConfigError(
                "MemoryNetwork needs stories with questions, as lab.data.Stories gives them; the inputs are "
                f"{form.dtype} of shape {form.shape}"
            )
        self.tokenizer, self.facts = spec.reader.tokenizer, facts
        self.names = getattr(spec.target, "names", ())
        self.encoder = build_encoder(encoder, InputSpec((form.shape[1],), "int64", vocab=form.vocab))
        width = self.encoder.features_dim
        if width % (2 * heads):
            raise ConfigError(f"model.heads must divide half of the encoder's {width} features, received {heads}")
        self.norm = nn.LayerNorm(width)  # or sentences would be lost beside what blocks add to them
        self.asked = nn.Linear(width, width)
        rotary = RotaryPositions(form.shape[0], width // heads)
        self.blocks = TransformerBlocks(width, layers, heads, dropout=dropout, rotary=rotary)
        self.hops = Hops(width, hops)
        self.head = nn.Linear(width, answers)
        self.mistakes: list[str] = []

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of the answers, `(B, answers)`, for token ids `(B, 1 + S, W)`: the question, then sentences."""
        return self.read(x)[0]

    def read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, and where hops looked: logarithms of weights, `(B, H, 1 + S)`, the first that of nothing."""
        words = x != Words.PAD
        rows = self.encoder(x.flatten(0, 1), words.flatten(0, 1)).unflatten(0, x.shape[:2])
        rows = self.norm(rows)  # (B, 1 + S, F)
        question, real = rows[:, 0], words[:, 1:].any(2)
        sentences = self.blocks(rows[:, 1:] + self.asked(question)[:, None], real)
        state, looked = self.hops(question, sentences, real)
        return self.head(state), looked

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return self._losses(batch, *self.read(batch.inputs))  # type: ignore[arg-type]

    def metrics(self) -> dict[str, Metric]:
        kinds = [task.replace(" ", "_") for task in TASKS]
        return {name: Share() for name in ("accuracy", *kinds, "new_wording", "longer", "facts_found")}

    def measure(self, batch: Batch, metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
        x, asked = batch
        logits, looked = self.read(x)
        right, part = logits.argmax(1) == asked["answer"], asked["part"]
        ordinary = part == 0
        metrics["accuracy"].update(right[ordinary])
        for number, task in enumerate(TASKS):
            metrics[task.replace(" ", "_")].update(right[ordinary & (asked["task"] == number)])
        for number, name in enumerate(PARTS[1:], 1):
            metrics[name.replace(" ", "_")].update(right[part == number])
        metrics["facts_found"].update((looked.argmax(2) == self._wanted(asked))[ordinary])
        for row in (~right).nonzero()[: MISTAKES - len(self.mistakes), 0].tolist():
            answers = self.names[int(logits[row].argmax())], self.names[int(asked["answer"][row])]
            told = f"{PARTS[int(part[row])]} story, answered {answers[0]}, right is {answers[1]}"
            self.mistakes.append(f"{told}\n{'. '.join(self._told(x[row, 1:]))}. {self._told(x[row, :1])[0]}")
        return self._losses(batch, logits, looked)

    def _losses(self, batch: Batch, logits: Tensor, looked: Tensor) -> dict[str, Tensor]:
        _, asked = batch
        answer = F.cross_entropy(logits, asked["answer"])
        found = -looked.gather(2, self._wanted(asked)[..., None]).mean()
        accuracy = (logits.detach().argmax(1) == asked["answer"]).float().mean()
        return {"loss": answer + self.facts * found, "answer": answer, "facts": found, "accuracy": accuracy}

    def _wanted(self, asked: Mapping[str, Tensor]) -> Tensor:
        """Return where each hop is to look, `(B, H)`: 0 for nothing, 1 for the first sentence."""
        facts, hops = asked["facts"], len(self.hops.queries)
        return F.pad(facts, (0, max(0, hops - facts.shape[1])), value=NOTHING)[:, :hops] + 1

    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self.mistakes = []

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        return story_baselines(data, self.tokenizer, self.names, self.metrics)

    def predict(self, inputs: Tensor) -> list[Prediction]:
        """Return for each of `(B, 1 + S, W)` the most probable answer, and the sentences that the hops looked at."""
        with self.at_rest(seed=0):
            logits, looked = self.read(inputs.to(self.device))
        probabilities, answers = logits.softmax(1).max(1)
        found = []
        for x, p, answer, weights in zip(inputs, probabilities.tolist(), answers.tolist(), looked.exp(), strict=True):
            most, places = weights.max(1)  # (H,)
            facts = [(i, w) for i, w in zip(places.tolist(), most.tolist(), strict=True) if i and w >= LEAST]
            told = [f"{i} {self._told(x[i : i + 1])[0]} ({w:.2f})" for i, w in dict(reversed(facts)).items()]
            found.append(Prediction(self.names[answer], p, evidence="; ".join(reversed(told)) or "no sentence"))
        return found

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """A story for each kind of question, and where its question looked."""
        x, asked = batch
        logits, looked = self.read(x)
        stories = []
        for number in range(len(TASKS)):
            for row in (asked["task"] == number).nonzero()[:1, 0].tolist():
                sentences, (question,) = self._told(x[row, 1:]), self._told(x[row, :1])
                answers = self.names[int(logits[row].argmax())], self.names[int(asked["answer"][row])]
                weights = looked[row, :, : 1 + len(sentences)].exp()
                stories.append(Shown(sentences, question, *answers, weights.cpu(), self._wanted(asked)[row].cpu()))
        return {"facts": where_it_looked(stories)} if stories else {}

    def texts(self, batch: Batch) -> dict[str, str]:
        """Stories of the test whose question was answered wrongly."""
        return {"mistakes": "\n\n".join(self.mistakes)} if self.mistakes else {}

    def _told(self, rows: Tensor) -> list[str]:
        """Return the sentences of token ids `(S, W)`, without what is padding."""
        return [self.tokenizer.decode(row) for row in rows.tolist() if any(row)]


class Share(Metric):  # type: ignore[misc]
    """The share of what is true among all that it was given, `(N,)` or more axes; N may be 0."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("right", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, right: Tensor) -> None:
        self.right += right.sum()
        self.total += right.numel()

    def compute(self) -> Tensor:
        return self.right / self.total.clamp(min=1)  # type: ignore[no-any-return]
