"""Dates in the cells of a file, and the time of the year as numbers."""

from __future__ import annotations

import calendar
import math
from collections.abc import Sequence
from datetime import datetime

import torch
from torch import Tensor


def dates_of(times: Sequence[str]) -> list[datetime]:
    """Return the times as dates; none where they are no ISO dates, all with a time zone or all without."""
    try:
        dates = [datetime.fromisoformat(time if len(time) != 7 else f"{time}-01") for time in times]
    except ValueError:
        return []
    return dates if len({date.tzinfo is None for date in dates}) == 1 else []


def harmonics_of_the_year(dates: Sequence[datetime], count: int) -> Tensor:
    """Return `(N, 2 * count)`, float32: cosine and sine of the time of the year, and of its multiples up to `count`.

    They are the regressors of a harmonic regression (Harvey 1989, section 2.3.4). A year is one turn, whether it is a
    leap year or not.
    """
    turns = torch.tensor([_share_of_year(date) for date in dates], dtype=torch.float64)
    angles = math.tau * turns[:, None] * torch.arange(1, count + 1)  # (N, count)
    return torch.stack([angles.cos(), angles.sin()], 2).flatten(1).float()


def _share_of_year(date: datetime) -> float:
    start = date.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return (date - start).total_seconds() / 86_400 / (366 if calendar.isleap(date.year) else 365)
