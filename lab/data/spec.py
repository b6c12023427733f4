"""What a model is told about its data before it is built: the form of the inputs and of the targets."""

from __future__ import annotations

import math
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, ClassVar

from lab.errors import ConfigError, nearest

if TYPE_CHECKING:
    from lab.data.inputs.given import Reader
    from lab.data.tokenizers.base import Tokenizer


@dataclass(frozen=True)
class InputSpec:
    """The form of one example, without the batch axis.

    Args:
        shape: `(C, H, W)` for images, `(F,)` for vectors, `(T, F)`, `(T,)` or `(T, C, H, W)` for sequences of vectors,
            token ids or images. T is the longest sequence there is; a batch may be shorter.
        dtype: what the model receives, `float32` or `int64` (token ids).
        vocab: number of token ids, for `int64` input.
        sample_rate: samples per second, for sound.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    vocab: int | None = None
    sample_rate: int | None = None

    @property
    def size(self) -> int:
        """Numbers in one example."""
        return math.prod(self.shape)

    @property
    def time(self) -> int | None:
        """Steps of the longest sequence; None where there is no time axis."""
        if len(self.shape) == 1:
            return self.shape[0] if self.dtype == "int64" or self.sample_rate else None
        return self.shape[0] if len(self.shape) in (2, 4) else None

    def mismatch(self, other: Spec) -> str | None:
        """Return in one clause why an encoder built for this input cannot take `other`; None where it can."""
        if isinstance(other, dict):
            return f"takes one input of shape {self.shape}, received the parts {', '.join(sorted(other))}"
        if self.dtype != other.dtype:
            return f"takes {self.dtype} inputs, received {other.dtype}"
        if self.vocab != other.vocab:
            return f"takes a vocabulary of {_told(self.vocab, 'token ids')}, received {_told(other.vocab, 'token ids')}"
        if self.sample_rate != other.sample_rate:
            return f"takes a sample rate of {_told(self.sample_rate, 'Hz')}, received {_told(other.sample_rate, 'Hz')}"
        if self.shape == other.shape:
            return None
        if self.time and other.time and self.shape[1:] == other.shape[1:]:
            if other.time <= self.time:
                return None
            return f"takes sequences of at most {self.time} steps, received {other.time}"
        return f"takes inputs of shape {self.shape}, received {other.shape}"

    def require_image(self, who: str) -> tuple[int, int, int]:
        """Return `(C, H, W)`. Raises ConfigError where the input is not an image."""
        if len(self.shape) != 3:
            raise ConfigError(f"{who} needs images of shape (C, H, W), but the input has shape {self.shape}")
        channels, height, width = self.shape
        return channels, height, width

    def require_vocab(self, who: str) -> int:
        """Return the number of token ids. Raises ConfigError where the spec lacks it."""
        if self.vocab is None:
            raise ConfigError(f"{who} needs the number of token ids as the spec's vocab, received none")
        return self.vocab


Spec = InputSpec | dict[str, InputSpec]
"""The form of one input, or of several by name."""


def mismatch(expected: Spec, received: Spec) -> str | None:
    """Return in one clause why an encoder built for `expected` cannot take `received`; None where it can."""
    if isinstance(expected, InputSpec):
        return expected.mismatch(received)
    parts = ", ".join(sorted(expected))
    if isinstance(received, InputSpec):
        return f"takes the parts {parts}, received one input of shape {received.shape}"
    if expected.keys() != received.keys():
        return f"takes the parts {parts}, received {', '.join(sorted(received))}"
    reasons = ((key, expected[key].mismatch(received[key])) for key in sorted(expected))
    return next((f"{reason} in the part {key}" for key, reason in reasons if reason), None)


def require_one_input(spec: Spec, who: str) -> InputSpec:
    """Return the spec. Raises ConfigError where there are several inputs."""
    if isinstance(spec, dict):
        raise ConfigError(
            f"{who} takes one input, but there are several: {', '.join(sorted(spec))}; use Combined, which has an "
            "encoder for each"
        )
    return spec


def shapes(spec: Spec) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
    """Return the shape, or the shape of each part."""
    return spec.shape if isinstance(spec, InputSpec) else {key: part.shape for key, part in spec.items()}


@dataclass(frozen=True)
class Classes:
    """One class per example. Targets are `(B,)`, int64, from 0 to `n - 1`.

    Args:
        n: number of classes.
        names: of the classes, in order; empty where they have none.
    """

    n: int
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.names and len(self.names) != self.n:
            raise ConfigError(f"there are {self.n} classes, but {len(self.names)} names for them")

    @property
    def called(self) -> tuple[str, ...]:
        """The names of the classes; their numbers where they have none."""
        return self.names or tuple(map(str, range(self.n)))


@dataclass(frozen=True)
class Values:
    """Numbers to predict. Targets are `(B, *shape)`, float32.

    Args:
        shape: of one example's values; `()` for a single number.
        names: of the values along the last axis, in order; empty where they have none.
    """

    shape: tuple[int, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tokens:
    """A sequence of token ids. Targets are `(B, T)`, int64, with T at most `length`.

    Args:
        vocab: number of token ids.
        length: of the longest sequence.
        pad: the id that fills a sequence up; no loss is taken there.
        tokenizer: turns ids into texts and back; None where they stand for no text.
    """

    vocab: int
    length: int
    pad: int
    tokenizer: Tokenizer | None = None


@dataclass(frozen=True)
class Tags:
    """One class for each step or node. Targets are `(B, T)`, int64, from 0 to `n - 1`, and -1 for padding and where
    nothing is known. `n` and `names` are as for Classes."""

    n: int
    names: tuple[str, ...] = ()
    NONE: ClassVar = -1


@dataclass(frozen=True)
class Masks:
    """One class for each pixel. Targets are `(B, H, W)`, int64, from 0, the background, to `n - 1`. `n` and `names` are
    as for Classes."""

    n: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Boxes:
    """Things in an image, each with a box and a class. Targets are `(B, M, 5)`, float32: left, top, right and bottom in
    pixels, and the class; all -1 where an image has fewer than M. `n` and `names` are as for Classes."""

    n: int
    names: tuple[str, ...] = ()


Target = Classes | Values | Tokens | Tags | Masks | Boxes
"""The form of the targets."""


@dataclass(frozen=True)
class DataSpec:
    """What a data set gives a model.

    Args:
        input: the form of the inputs.
        target: the form of the targets; None where examples have none.
        classes: short for `target=Classes(classes)`.
        reader: reads a user's file as such inputs, for `lab predict`; None for images and sounds, whose spec is enough.
            `lab.saving.specs` saves those of the lab with the run.
    """

    input: Spec
    target: Target | None = None
    classes: InitVar[int | None] = None
    reader: Reader | None = field(default=None, compare=False, repr=False)

    def __post_init__(self, classes: int | None) -> None:
        if classes is not None:
            if self.target is not None:
                raise ConfigError("DataSpec takes target or classes, not both")
            object.__setattr__(self, "target", Classes(classes))

    def require_one_input(self, who: str) -> InputSpec:
        """Return the input's spec. Raises ConfigError where there are several inputs."""
        return require_one_input(self.input, who)

    def require_classes(self, who: str) -> int:
        """Return the number of classes. Raises ConfigError where the targets are not classes, or there is only one."""
        if isinstance(self.target, Classes):
            if self.target.n < 2:
                name = f": {self.target.names[0]}" if self.target.names else ""
                raise ConfigError(f"{who} needs examples of at least two classes, but this data set has only one{name}")
            return self.target.n
        raise ConfigError(f"{who} needs examples that each have a class, but this data set has {self._targets()}")

    def class_named(self, name: str, who: str) -> int:
        """Return the number of a class by its name, which is its number where classes have none. Raises ConfigError
        where there is none of this name, or the targets are not classes."""
        self.require_classes(who)
        assert isinstance(self.target, Classes)
        names = self.target.called
        if name not in names:
            raise ConfigError(f"there is no class {name!r}{nearest(name, names)}; known are {', '.join(names)}")
        return names.index(name)

    def require_tokens(self, who: str) -> Tokens:
        """Return the form of the targets. Raises ConfigError where they are not sequences of token ids."""
        if isinstance(self.target, Tokens):
            return self.target
        raise ConfigError(f"{who} needs sequences of token ids as targets, but this data set has {self._targets()}")

    def _targets(self) -> str:
        return type(self.target).__name__.lower() if self.target else "no targets"


def _told(number: int | None, unit: str) -> str:
    return ("none" if unit == "Hz" else f"no {unit}") if number is None else f"{number} {unit}"
