"""Generated stories: answers follow from the sentences, and no story of the test is in training."""

from __future__ import annotations

from random import Random

import pytest
import torch

from lab.data import Stories
from lab.data.generated.stories import PARTS
from lab.data.generated.story_world import ANSWERS, NUMBERS, PEOPLE, PLACES, TASKS, THINGS, Story, story
from lab.errors import ConfigError, DataError

CPU = torch.device("cpu")
SMALL = {"train_size": 200, "val_size": 20, "test_size": 50, "batch_size": 20}


@pytest.fixture(scope="module")
def stories() -> Stories:
    data = Stories(**SMALL)
    data.prepare()
    return data


def one_of(words: list[str], kind: tuple[str, ...]) -> str:
    return next((word for word in words if word in kind), "")


def answered(told: Story, facts: bool = False) -> str:
    """Read the sentences, or those alone that are said to be needed, and answer the question."""
    where: dict[str, str] = {}
    holder: dict[str, str] = {}
    places: dict[str, list[str]] = {thing: [] for thing in THINGS}
    for number, sentence in enumerate(told.sentences):
        if facts and number not in told.facts:
            continue
        words = sentence.split()
        person, place, thing = (one_of(words, kind) for kind in (PEOPLE, PLACES, THINGS))
        if place:
            where[person] = place
            for held in (one for one, who in holder.items() if who == person):
                places[held].append(place)
        elif "took" in words or "picked" in words:
            holder[thing] = person
            places[thing].append(where.get(person, ""))
        else:
            del holder[thing]
    question = told.question.split()
    person, place, thing = (one_of(question, kind) for kind in (PEOPLE, PLACES, THINGS))
    if told.task == "counting":
        return NUMBERS[list(holder.values()).count(person)]
    if told.task == "yes or no":
        return "yes" if where[person] == place else "no"
    if told.task == "three facts":
        last = len(places[thing]) - 1 - places[thing][::-1].index(place)
        return places[thing][last - 1]
    return places[thing][-1] if thing else where[person]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("new_wording", [False, True])
def test_answers_follow_from_the_story(task: str, new_wording: bool) -> None:
    random = Random(3)
    for _ in range(60):
        told = story(random, task, random.randint(4, 14), new_wording=new_wording)
        assert answered(told) == told.answer, told


@pytest.mark.parametrize("task", ["one fact", "three facts", "yes or no", "counting"])
def test_facts_alone_give_the_answer(task: str) -> None:
    random = Random(4)
    for _ in range(60):
        told = story(random, task, random.randint(4, 14))
        assert answered(told, facts=True) == told.answer, told


def test_kinds_of_question_need_as_many_facts() -> None:
    random = Random(5)
    for number, task in enumerate(TASKS[:3], 1):
        assert {len(story(random, task, 8).facts) for _ in range(20)} == {number}


def test_parts_are_apart(stories: Stories) -> None:
    """No story is twice; longer ones are longer, and new forms of sentences are in no other part."""
    told: list[tuple[int, ...]] = []
    forms: dict[int, set[tuple[str, ...]]] = {part: set() for part in range(len(PARTS))}
    names = {*PEOPLE, *PLACES, *THINGS}
    for number, batches in enumerate((stories.train(CPU, 0), stories.validation(CPU), stories.test(CPU))):
        for batch in batches or ():
            rows, (_, asked) = batch.inputs, batch
            for row, part in zip(rows, asked["part"].tolist(), strict=True):
                sentences = [sentence for sentence in row[1:].tolist() if any(sentence)]
                told.append(tuple(word for sentence in sentences for word in sentence if word))
                assert (len(sentences) > stories.most) == (PARTS[part] == "longer")
                assert number or part == 0
                for sentence in sentences:
                    words = stories.words.decode(sentence).split()
                    forms[part].add(tuple("_" if word in names else word for word in words))
    assert len(set(told)) == len(told) == 200 + 3 * 20 + 3 * 50
    assert not forms[1] & forms[0]
    assert forms[2] <= forms[0]
    assert {word for form in forms[1] for word in form} <= {word for form in forms[0] for word in form}


def test_stories_are_the_same_each_time(stories: Stories) -> None:
    again = Stories(**SMALL)
    again.prepare()
    assert again.info == stories.info
    assert stories.spec.target
    assert len(ANSWERS) == stories.spec.require_classes("this test")


def test_typed_stories_are_read(stories: Stories) -> None:
    reader = stories.spec.reader
    assert reader is not None
    text = b"Mary went to the garden. Mary took the milk\nWhere is the milk? Is Mary in the office?\n\n"
    text += b"bill took the book. where is bill?"
    given = reader.read(text, "story.txt")
    assert given.inputs.shape == (3, 3, 8)  # type: ignore[union-attr]
    assert [one["question"] for one in given.labels] == [
        "Where is the milk?",
        "Is Mary in the office?",
        "where is bill?",
    ]
    told = [stories.words.decode(row) for row in given.inputs[1].tolist()]  # type: ignore[index]
    assert told == ["is mary in the office ?", "mary went to the garden", "mary took the milk"]
    assert not given.inputs[2, 2].any()  # type: ignore[index]
    longer = reader.read(b"mary went to the garden.\n" * 30 + b"where is mary?", "long.txt")
    assert longer.inputs.shape == (1, 21, 8)  # type: ignore[union-attr]
    assert "cut to the last 20 sentences" in longer.notes[0]


def test_other_stories_are_refused(stories: Stories) -> None:
    reader = stories.spec.reader
    assert reader is not None
    with pytest.raises(DataError, match=r"story.txt has no question: expected sentences and then a question"):
        reader.read(b"mary went to the garden.", "story.txt")
    with pytest.raises(DataError, match="no sentence before the question 'where is mary"):
        reader.read(b"where is mary?", "-")
    with pytest.raises(ConfigError, match=r"'kitchn' is none of the words .* did you mean 'kitchen'"):
        reader.read(b"mary went to the kitchn. where is mary?", "-")
    with pytest.raises(ConfigError, match="at most 8 words and signs, received 10"):
        reader.read(b"then mary went to the garden and took the milk. where is mary?", "-")
    with pytest.raises(ConfigError, match="received 4, 9 and 9"):
        Stories(most=9, longest=9)
