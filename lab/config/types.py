"""Number types for settings: whole or real numbers within bounds.

For a type checker they are plain `int` and `float`. At run time they refuse NaN, infinities and numbers out of bounds.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

COMPARISONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


class BadNumberError(ValueError):
    """A setting is not a number, or not within its bounds.

    Args:
        expected: what was expected, in words: `> 0`.
        received: what was given, as it is to be printed.
    """

    def __init__(self, expected: str, received: str) -> None:
        super().__init__(f"expected {expected}, received {received}")
        self.expected, self.received = expected, received


def _number(name: str, base: type[int] | type[float], *bounds: tuple[str, float]) -> Any:
    """Return a class of numbers within `bounds`, which jsonargparse takes as the type of a setting."""
    from jsonargparse.typing import register_type

    def new(cls: Any, value: Any) -> Any:
        try:
            number = base(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadNumberError(f"a number ({name})", repr(value)) from error
        if isinstance(value, bool) or (isinstance(value, float) and number != value and not math.isnan(value)):
            raise BadNumberError(f"a number ({name})", repr(value))
        if not all(COMPARISONS[sign](number, bound) for sign, bound in bounds):
            raise BadNumberError(" and ".join(f"{sign} {bound}" for sign, bound in bounds), str(number))
        return base.__new__(cls, number)

    made = type(name, (base,), {"__new__": new, "__module__": __name__})
    register_type(made, base)
    return made


if TYPE_CHECKING:
    PositiveInt = int
    NonNegativeInt = int
    PositiveFloat = float
    NonNegativeFloat = float
    Fraction = float
    Probability = float
    Seed = int
else:
    PositiveInt = _number("PositiveInt", int, (">", 0))
    NonNegativeInt = _number("NonNegativeInt", int, (">=", 0))
    PositiveFloat = _number("PositiveFloat", float, (">", 0), ("<", math.inf))
    NonNegativeFloat = _number("NonNegativeFloat", float, (">=", 0), ("<", math.inf))
    Fraction = _number("Fraction", float, (">=", 0), ("<=", 1))
    Probability = _number("Probability", float, (">=", 0), ("<", 1))
    Seed = _number("Seed", int, (">=", 0), ("<", 2**32))

__all__ = [
    "BadNumberError",
    "Fraction",
    "NonNegativeFloat",
    "NonNegativeInt",
    "PositiveFloat",
    "PositiveInt",
    "Probability",
    "Seed",
]
