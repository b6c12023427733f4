"""Buffers that are larger than the machine's memory are refused."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from agents.spaces.observations import arrays
from lab.console.wording import size
from lab.errors import ConfigError
from lab.system.memory import all_memory


def require_memory(setting: str, unit: str, space: spaces.Space[Any], count: int, *, copies: int = 1) -> None:
    """Raise ConfigError if observations take more memory than the machine has: the run would end once they fill it.

    Args:
        setting: that the number follows from, for the message.
        unit: what is counted, for the message.
        space: of one observation.
        count: number of steps or transitions.
        copies: observations kept for each of them.
    """
    row = arrays(space, 1)
    needed = copies * count * sum(part.nbytes for part in (row.values() if isinstance(row, dict) else (row,)))
    there = all_memory()
    if there is not None and needed > there:
        raise ConfigError(
            f"{setting}: {count:,} {unit} take {size(needed)} of memory, and this machine has {size(there)}; "
            f"there can be at most {int(count * there / needed):,}"
        )
