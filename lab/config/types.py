"""Types for settings: whole or real numbers within bounds, and paths that are absolute.

For a type checker they are plain `int`, `float` and `str`. At run time numbers refuse NaN, infinities and what is out
of bounds, and a path is recorded so that the run finds it from any folder.
"""

from __future__ import annotations

import math
import operator
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

WHOLE = range(-(2**63), 2**63)
"""What every library takes as a whole number."""
COMPARISONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


class Setting:
    """Base of small classes that a config may name although they are no model, data or encoder of their own.

    Building one does nothing but keep its settings: whoever opens a stranger's run builds them.
    """


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
            number = _whole(value) if base is int and isinstance(value, str) else base(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadNumberError(f"a number ({name})", repr(value)) from error
        if isinstance(value, bool) or (isinstance(value, float) and number != value and not math.isnan(value)):
            raise BadNumberError(f"a number ({name})", repr(value))
        if base is int and number not in WHOLE:
            raise BadNumberError("a whole number of at most 64 bits", repr(value)[:60])
        if not all(COMPARISONS[sign](number, bound) for sign, bound in bounds):
            raise BadNumberError(" and ".join(f"{sign} {bound}" for sign, bound in bounds), str(number))
        return base.__new__(cls, number)

    made = type(name, (base,), {"__new__": new, "__module__": __name__})
    register_type(made, base)
    return made


def _whole(text: str) -> int:
    """Read a whole number, also one like 1e6. Raises ValueError for any other text."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise
        return int(number)


def _path() -> Any:
    """Return a class of paths that are absolute, which jsonargparse takes as the type of a setting."""
    from jsonargparse.typing import register_type

    def new(cls: Any, value: Any) -> Any:
        if not isinstance(value, str | os.PathLike) or not str(value) or "://" in str(value):  # no address on the web
            raise BadNumberError("the path of a file or folder", repr(value))
        if str(value).startswith("${env:"):  # the variable's value says where it lies
            return str.__new__(cls, value)
        return str.__new__(cls, os.path.abspath(os.path.expanduser(value)))

    made = type("DataPath", (str,), {"__new__": new, "__module__": __name__})
    register_type(made, str)
    return made


if TYPE_CHECKING:
    DataPath = str
    PositiveInt = int
    Count = int
    NonNegativeInt = int
    PositiveFloat = float
    NonNegativeFloat = float
    Fraction = float
    Probability = float
    Seed = int
else:
    DataPath = _path()
    PositiveInt = _number("PositiveInt", int, (">", 0))
    Count = _number("Count", int, (">", 0), ("<=", 1_000_000))  # of things that are all kept at once
    NonNegativeInt = _number("NonNegativeInt", int, (">=", 0))
    PositiveFloat = _number("PositiveFloat", float, (">", 0), ("<", math.inf))
    NonNegativeFloat = _number("NonNegativeFloat", float, (">=", 0), ("<", math.inf))
    Fraction = _number("Fraction", float, (">=", 0), ("<=", 1))
    Probability = _number("Probability", float, (">=", 0), ("<", 1))
    Seed = _number("Seed", int, (">=", 0), ("<", 2**32))


@dataclass(frozen=True)
class FromRun:
    """An artifact of another run. Its folder is found before anything is built.

    Args:
        run: a run's folder or id, or an experiment, which means its newest completed run.
        name: of the artifact.
    """

    run: str
    name: str = "encoder"


Artifact = FromRun | str
"""Type of a setting that needs an artifact: the path of its folder, or of a run's folder for the artifact that
`FromRun` means by default, or a `FromRun`."""


@dataclass(frozen=True)
class Collected:
    """A data set that a command of the lab makes, such as recorded episodes. `lab run NAME --make-needed` makes it.

    Args:
        name: of the data set, and of its folder in the data folder.
        options: of the command, by name. They decide every number of the data set.
        command: that makes it.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    command: str = "collect"


__all__ = [
    "Artifact",
    "BadNumberError",
    "Collected",
    "Count",
    "DataPath",
    "Fraction",
    "FromRun",
    "NonNegativeFloat",
    "NonNegativeInt",
    "PositiveFloat",
    "PositiveInt",
    "Probability",
    "Seed",
]
