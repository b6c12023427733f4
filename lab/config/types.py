"""Number types for settings: jsonargparse checks them and names the bound in its message.

For a type checker they are plain `int` and `float`; at run time they refuse NaN, infinities and values out of range.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    PositiveInt = int
    NonNegativeInt = int
    PositiveFloat = float
    NonNegativeFloat = float
    Fraction = float
    Probability = float
    Seed = int
else:
    from jsonargparse.typing import ClosedUnitInterval as Fraction
    from jsonargparse.typing import NonNegativeInt, PositiveInt, restricted_number_type

    _finite = ("<", math.inf)
    PositiveFloat = restricted_number_type("FinitePositiveFloat", float, [(">", 0), _finite])
    NonNegativeFloat = restricted_number_type("FiniteNonNegativeFloat", float, [(">=", 0), _finite])
    Seed = restricted_number_type("Seed", int, [(">=", 0), ("<", 2**32)])
    Probability = restricted_number_type("Probability", float, [(">=", 0), ("<", 1)])

__all__ = ["Fraction", "NonNegativeFloat", "NonNegativeInt", "PositiveFloat", "PositiveInt", "Probability", "Seed"]
