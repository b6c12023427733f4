"""Predictions as rows of a table, and as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lab.capabilities import Prediction
from lab.console.plain import plain
from lab.data.spec import Boxes, Target, Tokens, Values

Row = dict[str, Any]

NOTHING = "nothing"
"""Label of the row of an input in which nothing was found."""
NO_TEXT = "(empty)"
"""What stands for a text without characters."""

ACROSS, DOWN = ("left", "right"), ("top", "bottom")
"""Sides of a box, in pixels."""


def in_file(prediction: Prediction, scale: tuple[float, float], target: Target | None) -> Prediction:
    """Return a prediction whose boxes are in pixels of the file's image, not of what it was resized to.

    Args:
        prediction: of a model, which saw the resized image.
        scale: pixels of the file's image for each pixel that the model saw, across and down.
        target: what is predicted.
    """
    if scale == (1, 1) or not isinstance(target, Boxes) or prediction.things is None:
        return prediction
    factors = {**dict.fromkeys(ACROSS, scale[0]), **dict.fromkeys(DOWN, scale[1])}
    things = [
        {name: round(one * factors[name], 1) if name in factors else one for name, one in thing.items()}  # type: ignore[operator]
        for thing in prediction.things
    ]
    return replace(prediction, things=things)


def rows_of(prediction: Prediction, told: Mapping[str, Any], target: Target | None) -> Iterator[Row]:
    """Yield a row for each label, number or thing that was predicted for one input; for a picture alone, a row with it.

    Args:
        prediction: for the input.
        told: what tells the input from others, such as `{"input": "a.csv", "row": 3}`.
        target: what is predicted; steps of a series become a row for each step and column.
    """
    value = prediction.value
    if isinstance(target, Values) and len(target.shape) == 2 and value is not None:
        steps, columns = target.shape
        numbers = value if isinstance(value, list) else [value]
        names = target.names or [str(number + 1) for number in range(columns)]
        for i in range(steps * columns):
            yield {**told, "step": i // columns + 1, "column": names[i % columns], "value": numbers[i]}
        return
    if prediction.things is not None:
        for thing in prediction.things or [{"label": NOTHING}]:
            yield {**told, **thing}
        return
    every = {"label": prediction.label, "text": prediction.text, "probability": prediction.probability, "value": value}
    every["evidence"] = prediction.evidence
    yield {**told, **{name: one for name, one in every.items() if one is not None}}


def line_of(row: Row, target: Target | None) -> str:
    """Return the row as a line: `rows.csv, row 3: malignant, probability 0.93`; `scene.png: 7, score 0.9, left 12`; or
    where the picture is that was made of the input."""
    predicted = {name: row[name] for name in ("label", "text", "probability", "value") if name in row}
    others = {name: one for name, one in row.items() if name not in {"input", "picture", "evidence", *predicted}}
    if "label" in row and "probability" not in row:  # one of several things
        words = [f"{name} {one}" for name, one in others.items() if isinstance(one, str)]
        told = [str(row["label"]), *(f"{name} {one:.6g}" for name, one in others.items() if not isinstance(one, str))]
        return plain(f"{', '.join([str(row['input']), *words])}: {', '.join(told)}")
    if not predicted and "picture" in row:
        return plain(f"{row['input']}: {row['picture']}")
    where = [str(row["input"]), *(f"{name} {one}" for name, one in others.items())]
    label, value = predicted.get("label"), predicted.get("value")
    said = f"{value:.6g}" if isinstance(value, float) else str(value)
    if label is not None:
        said = f"next {label!r}" if isinstance(target, Tokens) else str(label)
    if "text" in predicted:
        said = str(predicted["text"]) or NO_TEXT
    if "probability" in predicted:
        said += f", probability {predicted['probability']:.4g}"
    if "evidence" in row:
        said += f"; looked at: {row['evidence']}"
    return plain(f"{', '.join(where)}: {said}")
