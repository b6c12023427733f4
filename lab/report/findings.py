"""What a careful reviewer would ask about a set of runs, found by itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One question to the runs.

    Args:
        title: what is asked, in a few words: "one seed only".
        text: one or two plain sentences with the figures, and what would settle it.
        runs: ids of the runs it is about.
    """

    title: str
    text: str
    runs: tuple[str, ...]
