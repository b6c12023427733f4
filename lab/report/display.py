"""How a report writes figures, times and speeds."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lab.console.wording import duration

NONE = "\N{EN DASH}"


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping, empty for anything else."""
    return value if isinstance(value, Mapping) else {}


def moment(value: Any) -> datetime | None:
    """Return a summary's `started` in local time, or None."""
    try:
        return datetime.strptime(str(value), "%Y-%m-%dT%H:%M:%S%z").astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def when(value: datetime | None) -> str:
    """Return date and time with their zone: `21 Nov 2026, 19:06 UTC`."""
    if value is None:
        return NONE
    return f"{value.day} {value:%b %Y, %H:%M} {value:%Z}".rstrip()


def now() -> datetime:
    """Return the present moment in local time."""
    return datetime.fromtimestamp(time.time()).astimezone()


def figure(value: float | None, digits: int = 5) -> str:
    """Return a figure with so many significant digits, with thousands separators, and with a power of ten if needed."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size > 14:
        return f"{value:.{digits - 1}e}"
    places = max(0, digits - 1 - size)
    text = f"{value:,.{places}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "\N{MINUS SIGN}")


def with_reach(mean: float, reach: float | None) -> str:
    """Return `mean ± reach`, both rounded to the second digit of the reach."""
    if reach is None or not math.isfinite(reach):
        return figure(mean)
    if reach == 0:
        return f"{figure(mean)} ± 0"
    places = _places(reach)
    return f"{mean:,.{places}f} ± {reach:,.{places}f}".replace("-", "\N{MINUS SIGN}")


def within(value: float, low: float, high: float) -> str:
    """Return the value with the precision of the interval that it lies in."""
    if low == high:
        return figure(value)
    return f"{value:,.{_places(high - low)}f}".replace("-", "\N{MINUS SIGN}")


def span(low: float, high: float) -> str:
    """Return `low to high`, with enough digits to tell them apart."""
    if low == high:
        return figure(low)
    places = _places(high - low)
    return f"{low:,.{places}f} to {high:,.{places}f}".replace("-", "\N{MINUS SIGN}")


def _places(width: float) -> int:
    """Decimal places that show two digits of `width`."""
    return min(8, max(0, 1 - math.floor(math.log10(width))))


def took(seconds: float | None) -> str:
    """Return a duration, in hours and minutes from an hour on."""
    if seconds is None:
        return NONE
    if seconds < 3600:
        return duration(seconds)
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"


def rate(value: float | None, unit: str = "") -> str:
    """Return a speed: `6,515 env steps/s`."""
    if value is None:
        return NONE
    return f"{figure(value, 3) if value < 100 else f'{value:,.0f}'} {unit}".rstrip()
