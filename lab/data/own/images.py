"""The user's own images: a folder for each class, with pictures of any size and form."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lab.console.wording import count, some
from lab.data.files.picture import ENDINGS, Header, Size, changes, header, pixels, quietly, written
from lab.data.own.examples import Labelled, Split
from lab.data.own.folders import File, by_class, content_hash, read_bytes
from lab.data.own.idx import read_idx_folder
from lab.data.own.kinds import require_kind
from lab.data.own.splits import divided
from lab.errors import DataError
from lab.system.memory import require_memory

HINT = "make the images smaller with --data.image_size=64"
LARGEST = 512 * 512  # pixels of an image, unless a size is given: networks for more are not made by accident
WORTH_THREADS = 100 * 100  # pixels of an image


def read_images(place: Path, size: Size | None = None) -> Labelled:
    """Return the labelled images in a folder: a folder for each class, or four IDX files.

    All images get the size that most of them have, unless `size` is given. They have one channel where none of them
    has a colour, and three otherwise.

    Raises ConfigError where the folder holds something else, DataError where a file is damaged, a class has too few
    images, or all of them need more memory than is free.
    """
    return read_idx_folder(place, size) if require_kind(place, "images", "idx") == "idx" else _read_folder(place, size)


def _read_folder(place: Path, size: Size | None) -> Labelled:
    folder = by_class(place, ENDINGS, "image")
    with quietly(), ThreadPoolExecutor() as pool:
        headers = [header(read_bytes(file.path), file.name) for file in folder.files]
        chosen = size or _most_common(headers)
        if not size and chosen[0] * chosen[1] > LARGEST:
            raise DataError(
                f"most images in {place} have {written(chosen)} pixels, which is too large to train on unawares; "
                f"{HINT}, or confirm their size with --data.image_size=[{chosen[0]},{chosen[1]}]"
            )
        channels = 1 if all(one.grey for one in headers) else 3
        shape = (len(headers), channels, *chosen)
        require_memory(int(np.prod(shape)), f"{count(len(headers), 'image')} of {written(chosen)} need", hint=HINT)
        images, contents = np.empty(shape, np.uint8), list[str]()
        coloured = False
        # Threads decode photos faster, but small images more slowly than one alone.
        every = pool.map if _mean_pixels(headers) > WORTH_THREADS else map
        for i, (image, content) in enumerate(every(lambda file: _decoded(file, chosen), folder.files)):
            images[i] = image if image.ndim == 2 else image.transpose(2, 0, 1)
            coloured = coloured or (image.ndim == 3 and bool((image != image[..., :1]).any()))
            contents.append(content)
    kept = torch.from_numpy(images if coloured else images[:, :1].copy())
    sides, notes = divided(folder, contents, "image")
    labels = torch.tensor([file.label for file in folder.files])
    # Their own order is that of the classes, and the first examples of a split are drawn: the hash mixes them.
    order = sorted(range(len(contents)), key=contents.__getitem__)
    at = {side: [i for i in order if sides[i] == side] for side in ("train", "validation", "test")}
    return Labelled(
        Split(kept[at["train"]], labels[at["train"]]),
        Split(kept[at["test"]], labels[at["test"]]),
        folder.classes,
        content_hash(folder.files, contents),
        Split(kept[at["validation"]], labels[at["validation"]]) if at["validation"] else None,
        [contents[i] for i in at["train"]],
        [*folder.notes, *_changes(headers, chosen, given=size is not None), *notes],
    )


def _decoded(file: File, size: Size) -> tuple[NDArray[np.uint8], str]:
    """Return `(H, W)` or `(H, W, 3)`, and the hash of the file."""
    content = read_bytes(file.path)
    return pixels(content, file.name, size=size), hashlib.sha256(content).hexdigest()


def _mean_pixels(headers: Sequence[Header]) -> float:
    return sum(one.size[0] * one.size[1] for one in headers) / len(headers)


def _most_common(headers: Sequence[Header]) -> Size:
    """Return the size that most images have; of equals, that in the middle."""
    sizes = Counter(one.size for one in headers)
    most = max(sizes.values())
    equal = sorted((size for size in sizes if sizes[size] == most), key=lambda size: (size[0] * size[1], size))
    return equal[len(equal) // 2]


def _changes(headers: Sequence[Header], size: Size, *, given: bool) -> Iterator[str]:
    """Yield what was done to the images, one sentence each."""
    total = len(headers)
    sizes = Counter(one.size for one in headers if one.size != size)
    if sizes:
        wanted = "as data.image_size says" if given else "the most common size; --data.image_size chooses another"
        which = some([written(one) for one, _ in sizes.most_common()])
        yield f"{sum(sizes.values()):,} of {count(total, 'image')} were resized to {written(size)} ({which}), {wanted}"
    yield from changes(headers, size)
