"""Short stories with a question about each, and the sentences that answer it: the kind of Weston et al. 2015, 'Towards
AI-complete question answering'. Nobody wrote them: they follow from a small world of people, places and things."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor

from lab.config.types import NonNegativeInt, PositiveInt
from lab.data.base import Batches, DataModule, DatasetInfo
from lab.data.batches import TensorBatches
from lab.data.generated.story_world import ANSWERS, TASKS, Story, story, vocabulary
from lab.data.own.texts.questions import Questions
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.data.tokenizers.words import Words
from lab.errors import ConfigError

# Dimensions: N stories, S sentences, W words of a sentence.

WORDS = 8  # of the longest sentence
FACTS = 3  # at most, that an answer needs
NOTHING = -1  # fills up facts
PARTS = ("ordinary", "new wording", "longer")
"""Of validation and test: as in training; with sentences of a form that training lacks; with more sentences."""


class Asked(NamedTuple):
    """Stories as tensors: token ids `(N, 1 + S, W)`, the question first, and what is asked of the model, by name:
    `answer` `(N,)`, `facts` `(N, 3)`, sentences from 0 in the order in which they are needed, -1 where there are fewer;
    `task` `(N,)` and `part` `(N,)`, numbers in TASKS and PARTS."""

    inputs: Tensor
    targets: dict[str, Tensor]


class Stories(DataModule):
    """Generated stories, each with one question. They are the same for all seeds.

    People go to places, take things, carry them and leave them. A fifth of the questions each needs one sentence (where
    somebody is), two (where a thing is) or three (where it was before), is answered by yes or no, or counts things.
    Inputs are token ids `(B, 1 + S, 8)`: the question, then the sentences, with 0 where there is none. Targets are a
    dict: see `Asked`.

    No story of validation or test is in training. Validation and test have as many stories again with sentences of a
    form that is not in training, of the same words, and as many with more sentences than training has.

    Args:
        train_size: stories for training.
        val_size: for validation, of each part.
        test_size: for the test, of each part.
        fewest: sentences of a story at least.
        most: sentences of a story at most, in training.
        longest: sentences at most of the longer stories, which have more than `most`.
        batch_size: stories per training batch.
        eval_batch_size: stories per validation and test batch.
    """

    def __init__(
        self,
        *,
        train_size: PositiveInt = 20_000,
        val_size: NonNegativeInt = 1_000,
        test_size: PositiveInt = 2_000,
        fewest: PositiveInt = 4,
        most: PositiveInt = 12,
        longest: PositiveInt = 20,
        batch_size: PositiveInt = 64,
        eval_batch_size: PositiveInt = 500,
    ) -> None:
        if not 3 <= fewest <= most < longest:
            raise ConfigError(
                "data.fewest, data.most and data.longest must be at least 3, and the last one larger than the second; "
                f"received {fewest}, {most} and {longest}"
            )
        self.train_size, self.val_size, self.test_size = train_size, val_size, test_size
        self.fewest, self.most, self.longest = fewest, most, longest
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size

    def prepare(self) -> None:
        self.words = vocabulary()
        random, told = Random(7), set[tuple[str, ...]]()
        sizes = ((self.test_size, PARTS), (self.val_size, PARTS), (self.train_size, PARTS[:1]))
        made = [self._made(random, size, parts, told) for size, parts in sizes]
        content = "\n".join(" ".join((*one.sentences, one.question)) for part in made for one, _ in part)
        self.info = DatasetInfo("stories", hashlib.sha256(content.encode()).hexdigest())
        self._test, self._validation, self._train = (self._as_tensors(part) for part in made)
        self.spec = DataSpec(
            InputSpec((1 + self.longest, WORDS), "int64", vocab=len(self.words)),
            Classes(len(ANSWERS), ANSWERS),
            reader=Questions(self.longest, WORDS, self.words),
        )

    def train(self, device: torch.device, seed: int, *, batch_size: int | None = None) -> Batches:
        return TensorBatches(*self._train, device=device, batch_size=batch_size or self.batch_size, seed=seed)

    def validation(self, device: torch.device) -> Batches | None:
        return self._in_order(self._validation, device) if self.val_size else None

    def test(self, device: torch.device) -> Batches:
        return self._in_order(self._test, device)

    def _in_order(self, asked: Asked, device: torch.device) -> Batches:
        return TensorBatches(*asked, device=device, batch_size=self.eval_batch_size, seed=None)

    def _made(
        self, random: Random, size: int, parts: Sequence[str], told: set[tuple[str, ...]]
    ) -> list[tuple[Story, int]]:
        """Return so many stories of each part that nobody told before, with the number of their part."""
        made = []
        for part, name in enumerate(parts):
            shortest, longest = (self.most + 1, self.longest) if name == "longer" else (self.fewest, self.most)
            for number in range(size):
                task = TASKS[number % len(TASKS)]
                while True:
                    new = story(random, task, random.randint(shortest, longest), new_wording=name == "new wording")
                    if new.sentences not in told:
                        break
                told.add(new.sentences)
                made.append((new, part))
        return made

    def _as_tensors(self, made: Iterable[tuple[Story, int]]) -> Asked:
        """Return stories as tensors, with as many sentences as the longest has."""
        stories = [*made]
        longest = max((len(one.sentences) for one, _ in stories), default=1)
        encoded: dict[str, list[int]] = {}  # there are few different sentences
        for one, _ in stories:
            for sentence in {one.question, *one.sentences} - encoded.keys():
                found = self.words.encode(sentence)
                encoded[sentence] = found + [Words.PAD] * (WORDS - len(found))
        empty = [Words.PAD] * WORDS
        rows = [
            [encoded[one.question], *(encoded[sentence] for sentence in one.sentences)]
            + [empty] * (longest - len(one.sentences))
            for one, _ in stories
        ]
        ids = torch.tensor(rows, dtype=torch.int64).view(len(rows), 1 + longest, WORDS)
        needed = [[*one.facts, *[NOTHING] * (FACTS - len(one.facts))] for one, _ in stories]
        facts = torch.tensor(needed, dtype=torch.int64).view(len(rows), FACTS)
        answer = torch.tensor([ANSWERS.index(one.answer) for one, _ in stories], dtype=torch.int64)
        task = torch.tensor([TASKS.index(one.task) for one, _ in stories], dtype=torch.int64)
        part = torch.tensor([part for _, part in stories], dtype=torch.int64)
        return Asked(ids, {"answer": answer, "facts": facts, "task": task, "part": part})
