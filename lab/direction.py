"""Whether more or less of a metric is better."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from lab.fields import MEAN
from lab.selection import Run

Direction = Literal["max", "min"]

LESS = frozenset(
    {"loss", "nll", "error", "fid", "distance", "mse", "mae", "rmse", "perplexity", "kl", "std", "seconds"}
)
"""Words in a metric's name of which less is better, where no reference says so."""


def direction(metric: str, runs: Iterable[Run]) -> tuple[Direction, str]:
    """Return whether more (`max`) or less (`min`) of a metric is better, and how that is known, in words.

    The runs' published references say it of their own metric; where none does, or two contradict each other, the
    words of its name do.
    """
    references = [run.record.reference for run in runs]
    said = {one.get("direction") for one in references if one.get("metric") in (metric, metric + MEAN)}
    if said == {"max"} or said == {"min"}:
        (known,) = said
        return ("max" if known == "max" else "min"), "as the published reference says"
    words = [word for word in re.split(r"[/_.\-]", metric) if word in LESS]
    if words:
        return "min", f"judged by {words[0]!r} in its name"
    return "max", "since nothing in its name says otherwise"
