"""What the readers of labelled images, sounds and texts return, both of published data sets and of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from lab.data.own.folders import Side


class Split(NamedTuple):
    """Images `(N, C, H, W)`, uint8, and their classes `(N,)`, int64."""

    images: Tensor
    labels: Tensor


class Labelled(NamedTuple):
    """Labelled images.

    Args:
        train: to train on, those to be held out for validation included.
        test: to test on.
        classes: names of the classes.
        sha256: hash of all that.
        validation: where it is given; None where it is to be held out.
        contents: hash of each training image, by which they are held out; empty where the published order says which.
        notes: what the user should know, one sentence each.
    """

    train: Split
    test: Split
    classes: tuple[str, ...]
    sha256: str
    validation: Split | None = None
    contents: Sequence[str] = ()
    notes: Sequence[str] = ()


class Clip(NamedTuple):
    """One sound.

    Args:
        samples: `(T,)`, int16.
        label: number of its class.
        speaker: whose voice it is; empty where nobody knows.
        number: which of the recordings of speaker and class.
        side: its split; None where speaker and number say it.
    """

    samples: Tensor
    label: int
    speaker: str
    number: int
    side: Side | None = None


class Recordings(NamedTuple):
    """Sounds.

    Args:
        clips: in a fixed order.
        rate: samples per second.
        classes: names of the classes.
        sha256: hash of all that.
        notes: what the user should know, one sentence each.
    """

    clips: Sequence[Clip]
    rate: int
    classes: tuple[str, ...]
    sha256: str
    notes: Sequence[str] = ()


class Texts(NamedTuple):
    """Texts with a class each.

    Args:
        texts: in a fixed order.
        labels: numbers of their classes, `(N,)`, int64.
        classes: names of the classes.
        sha256: hash of all that.
        contents: hash of each text, by which copies are found; empty where there are none.
        sides: split of each text; empty where nothing says it.
        notes: what the user should know, one sentence each.
    """

    texts: Sequence[str]
    labels: Tensor
    classes: tuple[str, ...]
    sha256: str
    contents: Sequence[str] = ()
    sides: Sequence[Side] = ()
    notes: Sequence[str] = ()
