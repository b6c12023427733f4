"""Settings that name a variable of the environment, `${env:NAME}`: recorded as written, resolved when they are used.

Somebody else's config names none: its environment would see what the variable holds.
"""

from __future__ import annotations

import os
import re
from typing import Any

from jsonargparse import Namespace

from lab.config.types import DataPath
from lab.config.values import Text

VARIABLE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


def resolved(values: Any, found: dict[str, str | None]) -> Any:
    """Return parsed settings with the variables' values in place of their names.

    Args:
        values: as the parser has them.
        found: receives the value of each variable that is named, None for one that is not set.
    """
    if isinstance(values, Namespace):
        copy = values.clone()
        for name, one in vars(values).items():
            setattr(copy, name, resolved(one, found))
        return copy
    if isinstance(values, dict):
        return {name: resolved(one, found) for name, one in values.items()}
    if isinstance(values, list):
        return [resolved(one, found) for one in values]
    if not isinstance(values, str) or not (names := VARIABLE.findall(values)):
        return values
    found |= {name: os.environ.get(name) for name in names}
    text = VARIABLE.sub(lambda match: match[0] if found[match[1]] is None else str(found[match[1]]), values)
    return DataPath(text) if isinstance(values, DataPath) else Text(text)
