from __future__ import annotations

import pytest

from lab.data.spec import Classes, DataSpec, InputSpec, Spec, Tokens, Values, mismatch
from lab.errors import ConfigError

WORDS = InputSpec((20,), "int64", vocab=100)
SOUND = InputSpec((8000,), sample_rate=8000)


@pytest.mark.parametrize(
    ("spec", "steps"),
    [
        (InputSpec((5,)), None),
        (InputSpec((1, 28, 28)), None),
        (InputSpec((), "int64", vocab=3), None),
        (WORDS, 20),
        (SOUND, 8000),
        (InputSpec((7, 3)), 7),
        (InputSpec((7, 1, 8, 8)), 7),
    ],
)
def test_time_axis(spec: InputSpec, steps: int | None) -> None:
    assert spec.time == steps


@pytest.mark.parametrize(
    ("expected", "received"),
    [
        (WORDS, WORDS),
        (WORDS, InputSpec((5,), "int64", vocab=100)),
        (InputSpec((7, 3)), InputSpec((2, 3))),
        ({"a": WORDS, "b": SOUND}, {"b": SOUND, "a": InputSpec((5,), "int64", vocab=100)}),
    ],
)
def test_shorter_sequences_are_accepted(expected: Spec, received: Spec) -> None:
    assert mismatch(expected, received) is None


@pytest.mark.parametrize(
    ("expected", "received", "reason"),
    [
        (WORDS, InputSpec((20,), "int64", vocab=99), "takes a vocabulary of 100 token ids, received 99 token ids"),
        (SOUND, InputSpec((8000,), sample_rate=16000), "takes a sample rate of 8000 Hz, received 16000 Hz"),
        (SOUND, InputSpec((8000,)), "takes a sample rate of 8000 Hz, received none"),
        (WORDS, InputSpec((20,)), "takes int64 inputs, received float32"),
        (WORDS, InputSpec((21,), "int64", vocab=100), "takes sequences of at most 20 steps, received 21"),
        (InputSpec((7, 3)), InputSpec((7, 4)), r"takes inputs of shape (7, 3), received (7, 4)"),
        (InputSpec((7,)), InputSpec((6,)), r"takes inputs of shape (7,), received (6,)"),
        (InputSpec((1, 28, 28)), InputSpec((1, 27, 28)), "takes inputs of shape (1, 28, 28), received (1, 27, 28)"),
        (WORDS, {"a": WORDS}, "takes one input of shape (20,), received the parts a"),
        ({"a": WORDS}, WORDS, "takes the parts a, received one input of shape (20,)"),
        ({"a": WORDS, "b": WORDS}, {"a": WORDS}, "takes the parts a, b, received a"),
        ({"a": SOUND}, {"a": InputSpec((8000,))}, "takes a sample rate of 8000 Hz, received none in the part a"),
    ],
)
def test_other_inputs_are_named(expected: Spec, received: Spec, reason: str) -> None:
    assert mismatch(expected, received) == reason


def test_classes_are_required() -> None:
    assert DataSpec(WORDS, Classes(3)).require_classes("Classifier") == 3
    for target, found in ((None, "no targets"), (Values(()), "values"), (Tokens(3, 4, 0), "tokens")):
        with pytest.raises(ConfigError, match=f"Classifier needs examples that each have a class.*has {found}"):
            DataSpec(WORDS, target).require_classes("Classifier")


def test_classes_by_number() -> None:
    assert DataSpec(WORDS, classes=10) == DataSpec(WORDS, Classes(10))
    with pytest.raises(ConfigError, match="not both"):
        DataSpec(WORDS, Tokens(3, 4, 0), classes=10)


def test_names_fit_the_classes() -> None:
    with pytest.raises(ConfigError, match="there are 3 classes, but 2 names"):
        Classes(3, ("cat", "dog"))


def test_one_input_is_required() -> None:
    assert DataSpec(WORDS).require_one_input("VAE") == WORDS
    with pytest.raises(ConfigError, match="VAE takes one input, but there are several: a, b"):
        DataSpec({"a": WORDS, "b": SOUND}).require_one_input("VAE")
