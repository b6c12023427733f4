"""The user's own sounds: a folder of wav files for each class, at any rate and of any length."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path

from lab.console.wording import count, some
from lab.data.own.examples import Clip, Recordings
from lab.data.own.folders import by_class, content_hash, read_bytes
from lab.data.own.kinds import require_kind
from lab.data.own.splits import Examples, divided, held_out
from lab.data.sound import read_wav, resampled
from lab.system.memory import require_memory

ENDINGS = (".wav",)


def read_sounds(place: Path, rate: int | None = None) -> Recordings:
    """Return the sounds in a folder with a folder of wav files for each class.

    All sounds get the rate that most of them have, unless `rate` (samples per second) is given. Where no folder holds
    the validation split, a tenth of the training sounds of each class is held out.

    Raises ConfigError where the folder holds something else, DataError where a file is damaged, a class has too few
    sounds, or all of them need more memory than is free.
    """
    require_kind(place, "sounds")
    folder = by_class(place, ENDINGS, "sound")
    require_memory(sum(file.path.stat().st_size for file in folder.files), f"{count(len(folder.files), 'sound')} need")
    read, contents = [], list[str]()
    for file in folder.files:
        content = read_bytes(file.path)
        contents.append(hashlib.sha256(content).hexdigest())
        read.append(read_wav(io.BytesIO(content), file.name))
    rates = [own for _, own in read]
    chosen = rate or _most_common(rates)
    sides, notes = divided(folder, contents, "sound")
    if "validation" not in sides:
        here = [i for i, side in enumerate(sides) if side == "train"]
        examples = Examples([folder.files[i].label for i in here], [contents[i] for i in here], folder.classes)
        out = [i for i, held in zip(here, held_out(examples, len(here) // 10), strict=True) if held]
        for i in out:
            sides[i] = "validation"
        notes.append(f"{len(out):,} of {len(here):,} training sounds are held out for validation")
    numbers = Counter[int]()
    clips = []
    for file, (samples, own), side in zip(folder.files, read, sides, strict=True):
        clips.append(Clip(resampled(samples, own, chosen), file.label, "", numbers[file.label], side))
        numbers[file.label] += 1
    notes = [*folder.notes, *_changes(rates, chosen, given=rate is not None), *notes]
    # Their own order is that of the classes, and the first examples of a split are drawn: the hash mixes them.
    clips = [clip for _, clip in sorted(zip(contents, clips, strict=True), key=itemgetter(0))]
    return Recordings(clips, chosen, folder.classes, content_hash(folder.files, contents), notes)


def _most_common(rates: Sequence[int]) -> int:
    """Return the rate that most sounds have; of equals, the lowest, which invents nothing."""
    counts = Counter(rates)
    return min(counts, key=lambda rate: (-counts[rate], rate))


def _changes(rates: Sequence[int], rate: int, *, given: bool) -> Iterator[str]:
    """Yield what was done to the sounds, one sentence each."""
    if others := Counter(one for one in rates if one != rate):
        wanted = "as data.sample_rate says" if given else "the most common rate; --data.sample_rate chooses another"
        which = some([f"{one:,}" for one, _ in others.most_common()])
        total = count(len(rates), "sound")
        yield f"{sum(others.values()):,} of {total} were resampled to {rate:,} Hz ({which}), {wanted}"
