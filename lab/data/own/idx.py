"""IDX files (LeCun et al. 1998): the form of MNIST and of the data sets made after it."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lab.data.files.picture import Size, resized, written
from lab.data.own.examples import Labelled, Split
from lab.data.own.folders import natural, read_bytes
from lab.data.own.kinds import IDX
from lab.data.own.splits import Examples, by_hash, to_test
from lab.errors import ConfigError, DataError
from lab.system.memory import require_memory

GZIP = b"\x1f\x8b"


def read_idx(path: Path) -> Tensor:
    """Read an IDX file of bytes, gzipped or not: two zeros, the type 8, the number of axes, their lengths, the data.

    Raises DataError where it is damaged, is none, or needs more memory than is free.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            start = file.read(4)
            axes = start[3] if len(start) == 4 else 0
            lengths = file.read(4 * axes)
            if start[:3] != b"\0\0\x08" or not 1 <= axes <= 4 or len(lengths) != 4 * axes:
                raise DataError(f"{path} is not an IDX file of bytes")
            shape = np.frombuffer(lengths, ">u4").tolist()
            count = int(np.prod(shape, dtype=object))
            require_memory(count, f"{path.name} needs")
            content = bytearray(file.read(count + 1))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise DataError(f"{path} cannot be read as an IDX file: {reason}") from error
    if len(content) != count:
        told = "more" if len(content) > count else f"only {len(content):,}"
        raise DataError(f"{path} is not an IDX file of bytes: it says {count:,} of them, and has {told}")
    return torch.from_numpy(np.frombuffer(content, np.uint8).reshape(shape))


def read_idx_folder(place: Path, size: Size | None = None) -> Labelled:
    """Return the images in a folder with IDX files: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and the same
    for `t10k`. All may have one prefix, and end in `.gz`. Where those for `t10k` are missing, a fifth is tested.

    Args:
        place: the folder.
        size: that the images are stretched or shrunk to; None for their own.

    Raises ConfigError or DataError where files are missing, are damaged, or contradict each other.
    """
    files, prefix = _files(place)
    train = _split(files, "train", place, prefix)
    given = any(split == "test" for split, _ in files)
    test = _split(files, "test", place, prefix) if given else None
    if test and train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(f"the training images of {place} have {_size(train)} pixels, but the test images {_size(test)}")
    numbers = sorted({*train.labels.tolist(), *(test.labels.tolist() if test else ())})
    if test and (unknown := set(test.labels.tolist()) - set(train.labels.tolist())):
        raise DataError(f"the test labels of {place} have the class {min(unknown)}, which the training labels lack")
    place_of = torch.zeros(256, dtype=torch.int64)
    place_of[numbers] = torch.arange(len(numbers))
    classes, notes = tuple(str(number) for number in numbers), list[str]()
    if size and (train.images.shape[2], train.images.shape[3]) != size:
        notes.append(f"all images were resized from {_size(train)} to {written(size)}, as data.image_size says")
    train = Split(_resized(train.images, size), place_of[train.labels])
    contents = [hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in train.images]
    if test is not None:
        test = Split(_resized(test.images, size), place_of[test.labels])
    else:
        chosen = torch.tensor(to_test(Examples(train.labels.tolist(), contents, classes), "image"))
        notes.append(by_hash(int(chosen.sum()), len(chosen), "image"))
        test = Split(train.images[chosen], train.labels[chosen])
        train = Split(train.images[~chosen], train.labels[~chosen])
        contents = [content for content, one in zip(contents, chosen.tolist(), strict=True) if not one]
    digests = sorted(hashlib.sha256(read_bytes(path)).hexdigest() + "  ".join(key) for key, path in files.items())
    return Labelled(
        train, test, classes, hashlib.sha256("\n".join(digests).encode()).hexdigest(), None, contents, notes
    )


def _files(place: Path) -> tuple[Mapping[tuple[str, str], Path], str]:
    """Return the files by split and content (`images`, `labels`), and the prefix of their names."""
    found: dict[str, dict[tuple[str, str], Path]] = {}
    for path in sorted(place.iterdir()):
        if (name := IDX.fullmatch(path.name)) and path.is_file():
            split = "train" if name["split"] == "train" else "test"
            found.setdefault(name["prefix"], {}).setdefault((split, name["what"]), path)
    if len(found) > 1:
        prefixes = ", ".join(repr(prefix) for prefix in sorted(found, key=natural))
        raise ConfigError(
            f"data.path: {place} holds {len(found)} data sets, with the prefixes {prefixes}; put each into a folder of "
            "its own"
        )
    prefix, files = next(iter(found.items()))
    return files, prefix


def _split(files: Mapping[tuple[str, str], Path], split: str, place: Path, prefix: str) -> Split:
    stem = f"{prefix}{'train' if split == 'train' else 't10k'}"
    for what, axes in (("images", 3), ("labels", 1)):
        if (split, what) not in files:
            raise DataError(f"{place} lacks {stem}-{what}-idx{axes}-ubyte, with or without .gz")
    images, labels = read_idx(files[split, "images"]), read_idx(files[split, "labels"])
    for what, axes, tensor in (("images", 3, images), ("labels", 1, labels)):
        if tensor.ndim != axes:
            raise DataError(f"{files[split, what]} must have {axes} axes, received {tensor.ndim}")
    if not len(images):
        raise DataError(f"{files[split, 'images']} has no images")
    if len(images) != len(labels):
        raise DataError(
            f"{files[split, 'images']} has {len(images):,} images, but {files[split, 'labels'].name} has "
            f"{len(labels):,} labels"
        )
    return Split(images.unsqueeze(1), labels.long())


def _resized(images: Tensor, size: Size | None) -> Tensor:
    if size is None:
        return images
    return torch.from_numpy(np.stack([resized(image, size) for image in images[:, 0].numpy()]))[:, None]


def _size(split: Split) -> str:
    return written((split.images.shape[2], split.images.shape[3]))
