"""Tasks on texts: each answer is right, and none of the test is known from training."""

from __future__ import annotations

from datetime import datetime

import pytest
import torch

from lab.data import TextTasks
from lab.data.generated.tasks import plural

FORMS = ("%d %B %Y", "%B %d, %Y", "%d.%m.%Y")


@pytest.fixture(scope="module")
def data() -> TextTasks:
    made = TextTasks(train_size=4_000, val_size=100, test_size=500)
    made.prepare()
    return made


def parsed(text: str) -> str:
    """The day in one of three forms, as ISO has it. Years of five digits lose their first."""
    text = text[:-5] + text[-4:] if text[-5].isdigit() else text
    for form in FORMS:
        try:
            return datetime.strptime(text, form).strftime("%Y-%m-%d")  # days have no time zone
        except ValueError:
            continue
    raise AssertionError(text)


def test_answers_are_right(data: TextTasks) -> None:
    for part in data.parts:
        for source, target in part:
            task, _, given = source.partition(": ")
            expected = {
                "reverse": lambda text: text[::-1],
                "sort": lambda text: "".join(sorted(text)),
                "add": lambda text: str(sum(map(int, text.split("+")))),
                "date": parsed,
                "plural": plural,
            }[task](given)
            assert (target.removeprefix("1") if task == "date" and len(target) == 11 else target) == expected


@pytest.mark.parametrize(
    ("word", "words"),
    [("dog", "dogs"), ("box", "boxes"), ("dish", "dishes"), ("kiss", "kisses"), ("lady", "ladies"), ("toy", "toys")],
)
def test_nouns_are_spelled_as_in_english(word: str, words: str) -> None:
    assert plural(word) == words


def test_nothing_of_the_test_is_trained_on(data: TextTasks) -> None:
    train, validation, test, _ = data.parts
    asked = [{source for source, _ in part} for part in (train, validation, test)]
    assert not asked[0] & asked[1] | asked[0] & asked[2] | asked[1] & asked[2]
    assert len(asked[1]) == 100
    assert len(asked[2]) == 500
    days = [{target for source, target in part if source.startswith("date")} for part in (train, validation, test)]
    assert not days[0] & days[1] | days[0] & days[2] | days[1] & days[2], "in another form"


def test_longer_texts_are_longer(data: TextTasks) -> None:
    longest = {task: max(len(s) for s, _ in data.parts[0] if s.startswith(f"{task}:")) for task in ("reverse", "sort")}
    assert longest == {"reverse": 9 + 8, "sort": 6 + 8}
    for source, target in data.parts[3]:
        task, _, given = source.partition(": ")
        if task in longest:
            assert len(given) == 9
        elif task == "add":
            assert [*map(len, given.split("+"))] == [3, 3]
        elif task == "date":
            assert len(target) == 11


def test_tasks_have_equal_shares(data: TextTasks) -> None:
    """Of validation and test; additions are trained on more often."""
    assert sum(source.startswith("add:") for source, _ in data.parts[0]) == pytest.approx(4_000 * 3 / 7, abs=1)
    for part in data.parts[1:3]:
        counts = [sum(source.startswith(f"{task}:") for source, _ in part) for task in data.tasks]
        assert len(set(counts)) == 1
        assert sum(counts) == len(part)


def test_vocabulary_has_marks_first(data: TextTasks) -> None:
    (batch, *_) = data.test(torch.device("cpu"))
    assert isinstance(batch.inputs, dict)
    assert data.characters.decode(batch.inputs["source"][0].tolist()) == data.parts[2][0][0]
    assert len(data.characters) == 3 + 26 + 17
