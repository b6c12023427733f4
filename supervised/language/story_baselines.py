"""Simple answers to questions about stories, beside those of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.generated.stories import PARTS
from lab.data.generated.story_world import PEOPLE, PLACES, TASKS, THINGS
from lab.data.loader import testing_batches, training_batches
from lab.data.tokenizers.words import Words

if TYPE_CHECKING:
    from torchmetrics import Metric

CPU = torch.device("cpu")
Sentence = list[str]
Find = Callable[[Sentence, list[Sentence]], str | None]
"""From a question and the sentences of its story to a place, or None."""


def story_baselines(
    data: DataModule, tokenizer: Words, answers: Sequence[str], metrics: Callable[[], Mapping[str, Metric]]
) -> dict[str, dict[str, float]]:
    """Return the test metrics of simple methods, by name.

    The most frequent answer is that of the kind of question in training. The last place is the one that was mentioned
    last in the story; the last mention is the last sentence about who or what is asked for, with its place, or the one
    before it. Where a place is asked for, it is the answer. Where it is asked whether somebody is in a place, yes is
    the answer if it is that place. Else it is the most frequent answer.
    """
    frequent = _frequent(training_batches(data, CPU, seed=0))
    methods: dict[str, Find] = {
        "most frequent answer": lambda question, story: None,
        "last place": lambda question, story: _last_place(story),
        "last mention": _last_mention,
    }
    found = {}
    for name, find in methods.items():
        measured = {key: one for key, one in metrics().items() if key != "facts_found"}
        for batch in testing_batches(data, CPU):
            _count(batch, find, tokenizer, answers, frequent, measured)
        found[name] = {f"test/{key}": float(one.compute()) for key, one in measured.items()}
    return found


def _frequent(batches: object) -> dict[int, int]:
    """Return the most frequent answer of each kind of question, by their numbers."""
    counts: dict[int, Counter[int]] = {task: Counter([0]) for task in range(len(TASKS))}
    for batch in batches:  # type: ignore[attr-defined]
        for task, answer in zip(batch.targets["task"].tolist(), batch.targets["answer"].tolist(), strict=True):
            counts[task][answer] += 1
    return {task: found.most_common(1)[0][0] for task, found in counts.items()}


def _count(
    batch: Batch,
    find: Find,
    tokenizer: Words,
    answers: Sequence[str],
    frequent: Mapping[int, int],
    measured: Mapping[str, Metric],
) -> None:
    x, asked = batch
    for rows, answer, task, part in zip(
        x.tolist(), asked["answer"].tolist(), asked["task"].tolist(), asked["part"].tolist(), strict=True
    ):
        question, *story = [tokenizer.decode(row).split() for row in rows if any(row)]
        place, kind = find(question, story), TASKS[task]
        given = answers[frequent[task]]
        if place and kind == "yes or no":
            given = "yes" if place in question else "no"
        elif place and kind != "counting":
            given = place
        right = torch.tensor([given == answers[answer]])
        names = ("accuracy", kind.replace(" ", "_")) if part == 0 else (PARTS[part].replace(" ", "_"),)
        for name in names:
            measured[name].update(right)


def _last_place(story: Sequence[Sentence]) -> str | None:
    places = [word for sentence in story for word in sentence if word in PLACES]
    return places[-1] if places else None


def _last_mention(question: Sentence, story: list[Sentence]) -> str | None:
    asked = {word for word in question if word in PEOPLE or word in THINGS}
    about = [i for i, sentence in enumerate(story) if asked & {*sentence}]
    return _last_place(story[: about[-1] + 1]) if about else None
