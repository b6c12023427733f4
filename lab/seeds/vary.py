"""Which settings several runs vary: read from the command line, checked, and combined."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Any

from lab.config.values import word as as_word
from lab.errors import ConfigError

SEED = "seed"
MOST_RUNS = 1_000  # of one command
EXAMPLE = "seed=0-4 or trainer.optimizer.lr=1e-3,1e-4"

Settings = dict[str, Any]

_RANGE = re.compile(r"(\d{1,10})-(\d{1,10})")


def read_vary(words: Sequence[str]) -> dict[str, list[Any]]:
    """Read words like `seed=0-4` and `trainer.optimizer.lr=1e-3,1e-4` as values by setting.

    `0-4` means the numbers 0 to 4; commas inside brackets and quotes separate nothing. Raises ConfigError for anything
    else.
    """
    found: dict[str, list[Any]] = {}
    for word in words:
        name, equals, listed = word.partition("=")
        name = name.removeprefix("--")
        if not equals or not re.fullmatch(r"\w+(\.\w+)*", name):
            raise ConfigError(f"--vary expects KEY=VALUES such as {EXAMPLE}, received {word!r}")
        if name in found:
            raise ConfigError(f"--vary expects each setting once, received {name} twice")
        found[name] = _values(listed, word)
    return found


def combinations(vary: Mapping[str, Sequence[Any]]) -> list[Settings]:
    """Return every combination of the values, the first setting changing slowest.

    Raises ConfigError for no setting, a setting with no value or the same value twice, seeds that are none, and more
    than 1,000 combinations.
    """
    values = {name: [_unwrapped(value) for value in each] for name, each in vary.items()}
    if SEED in values:
        values[SEED] = _seeds(values[SEED])
    if not values:
        raise ConfigError(f"there is no setting to vary; expected some such as {EXAMPLE}")
    runs = 1
    for name, each in values.items():
        if len({_meant(value) for value in each}) < max(len(each), 1):
            raise ConfigError(f"{name} must be varied over different values, at least one; received {each}")
        runs *= len(each)
    if runs > MOST_RUNS:
        raise ConfigError(f"one command makes at most {MOST_RUNS:,} runs; these settings have {runs:,} combinations")
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


def named(settings: Mapping[str, Any]) -> str:
    """Return the settings of one run in words: `seed 0`, or `seed 0, fold 3`."""
    return ", ".join(f"{name.rpartition('.')[2]} {_told(value)}" for name, value in settings.items())


def as_words(settings: Mapping[str, Any]) -> list[str]:
    """Return the settings as words of a command: `--trainer.optimizer.lr=0.001`."""
    return [f"--{name}={_told(value)}" for name, value in settings.items()]


def _meant(value: Any) -> str:
    """Return the same text for all spellings of a number, and for the number itself."""
    try:
        return str(Decimal(str(value)).normalize())
    except InvalidOperation:
        return repr(value)


def _values(listed: str, word: str) -> list[Any]:
    found: list[Any] = []
    for part in _parts(listed):
        if match := _RANGE.fullmatch(part):
            first, last = int(match[1]), int(match[2])
            if last < first:
                raise ConfigError(f"--vary expects the smaller number first, as in {last}-{first}, received {part!r}")
            if last - first >= MOST_RUNS:
                raise ConfigError(f"--vary expects at most {MOST_RUNS:,} values of a setting, received {word!r}")
            found += range(first, last + 1)
        else:
            found.append(part)
    if not found:
        raise ConfigError(f"--vary expects values such as {EXAMPLE}, received {word!r}")
    return found


def _parts(listed: str) -> list[str]:
    """Cut a list at its commas, but not at those inside brackets and quotes. A quote begins a value, as in YAML: in
    `don't` it is a letter."""
    parts, level, quote, before = [""], 0, "", ","
    for letter in listed:
        if letter == "," and not level and not quote:
            parts.append("")
        else:
            parts[-1] += letter
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and before in ",[{:":
            quote = letter
        else:
            level = max(0, level + (letter in "[{") - (letter in "]}"))
        before = before if letter.isspace() else letter
    return [part for part in parts if part]


def _seeds(values: Sequence[Any]) -> list[int]:
    numbers = [int(value) if isinstance(value, str) and value.isdecimal() else value for value in values]
    fit = all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 2**32 for one in numbers)
    if not numbers or len(set(numbers)) < len(numbers) or not fit:
        raise ConfigError(f"seeds must be different numbers from 0 to {2**32 - 1}, at least one; received {numbers}")
    return numbers


def _unwrapped(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value  # a number of numpy's


def _told(value: Any) -> str:
    return value if isinstance(value, str) else as_word(value)
