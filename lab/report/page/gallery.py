"""Which media of many runs a page contains, so that it stays small enough to be sent by mail."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.console.wording import size
from lab.report.display import mapping
from lab.report.material import short
from lab.report.media import LARGEST, Medium
from lab.runs.select import Run
from lab.system.opening import read_plain

LONGEST = 200  # letters of what a picture is


@dataclass(frozen=True)
class Shots:
    """What a run showed under one name.

    Args:
        name: as logged.
        run: the run's place in the report.
        lead: whether the page shows it at first: the first of its group.
        frames: from the first to the latest, each with the key of its content.
    """

    name: str
    run: int
    lead: bool
    frames: tuple[tuple[Medium, str], ...]


@dataclass
class Gallery:
    """The media of a page.

    Args:
        shots: by run, and by name in the order of the run's journal.
        contents: `data:` URIs by key. Equal files are there once.
        left_out: how many files of each run are missing, by reason.
    """

    shots: list[Shots] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)
    left_out: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def gallery(media: Sequence[Medium], groups: Sequence[int], *, most: int) -> Gallery:
    """Choose what fits into `most` bytes of page, and read it.

    First comes the latest of every name from the first run of every group that has one, then that from the second runs,
    and so on; older ones come in between, two steps back for each run further. `groups` are the groups' numbers by the
    place of the run.
    """
    found = Gallery()
    by_name: dict[tuple[int, str], list[Medium]] = {}
    for one in media:
        by_name.setdefault((one.run, one.name), []).append(one)
    nth: dict[tuple[int, str], int] = {}
    counted: Counter[tuple[int, str]] = Counter()
    for run, name in by_name:
        nth[run, name] = counted[groups[run], name]
        counted[groups[run], name] += 1
    waiting: list[tuple[float, int, Medium]] = []
    for key, frames in by_name.items():
        frames.sort(key=lambda one: one.at)
        waiting += [(nth[key] + back / 2, back, one) for back, one in enumerate(reversed(frames))]
    kept: dict[tuple[int, str], list[tuple[Medium, str]]] = {}
    spent = 0
    for *_, one in sorted(waiting, key=lambda item: item[:2]):
        try:
            content = read_plain(one.path, one.path.parents[1], LARGEST)  # it may be another file by now
        except OSError:
            found.left_out[one.run]["that could not be read"] += 1
            continue
        key_of_content = hashlib.sha256(content).hexdigest()[:16]
        if key_of_content not in found.contents:
            uri = f"data:{one.mime};base64,{base64.b64encode(content).decode()}"
            if spent + len(uri) > most:
                found.left_out[one.run][f"beyond the {size(most)} that the page has for media"] += 1
                continue
            found.contents[key_of_content] = uri
            spent += len(uri)
        kept.setdefault((one.run, one.name), []).append((one, key_of_content))
    for run, name in by_name:
        if frames_kept := kept.get((run, name)):
            frames_kept.sort(key=lambda pair: pair[0].at)
            found.shots.append(Shots(name, run, nth[run, name] == 0, tuple(frames_kept)))
    return found


def apology(left_out: Mapping[str, int]) -> str:
    """What was left out and why, in words; empty for nothing."""
    return "; ".join(f"{n:,} file{'s' if n > 1 else ''} {why}" for why, n in left_out.items())


def meaning(name: str, runs: Sequence[Run]) -> str:
    """Return what media of that name show, as one of the runs says it; empty where none does."""
    found = (mapping(run.record.descriptions).get(name) for run in runs)
    return short(next((text for text in found if isinstance(text, str)), ""), LONGEST).rstrip(".")
