"""What a trained model or agent can do, as small protocols.

`lab play`, `eval --episodes`, `sample`, `predict`, `reconstruct`, `traverse` and `export` rest on them. They
are implemented by the object that an experiment returns as `trained`. None of them is required.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from lab.data.sound import Sound
from lab.errors import ConfigError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from lab.data.batch import Tensors


@dataclass(frozen=True)
class Prediction:
    """The prediction for one input.

    Args:
        label: name of the most probable class, or the most probable next token; None for values.
        probability: of that class, from 0 to 1.
        value: the predicted number or numbers; None for classes.
        things: what was found in the input, each as named values, such as a label and the sides of a box; None where
            nothing is looked for.
        picture: the prediction drawn: boxes on the image, the class of each pixel in colours, or the restored image.
        text: that was made of the input, such as a transcript; None where no text is made.
        evidence: what in the input the prediction rests on, in words, such as sentences of a story.
    """

    label: str | None = None
    probability: float | None = None
    value: float | list[float] | None = None
    things: Sequence[Mapping[str, str | float]] | None = None
    picture: Image | None = None
    text: str | None = None
    evidence: str | None = None


class Episode(NamedTuple):
    """One episode: the seed its environment was reset with, its undiscounted return, and its steps."""

    seed: int
    total: float
    length: int


@dataclass(frozen=True)
class Showing:
    """How to show episodes.

    Args:
        seeds: seeds of the environment, one for each episode.
        otherwise: path of the film, without its ending, if no `output` is given and no window can be opened.
        output: path of the film, `.mp4` or `.gif`.
        window: whether a window is required.
        told: called at the end of each episode.
    """

    seeds: Sequence[int]
    otherwise: Path
    output: Path | None = None
    window: bool = False
    told: Callable[[Episode], None] = lambda episode: None


@runtime_checkable
class Acts(Protocol):
    """Acts in an environment. Where not the run's own seed but another gave the episodes of its recorded figures, that
    one is its `judged_seed`."""

    def act(self, observation: Any) -> Any:
        """Return the action for one observation, both in the environment's own form. A recurrent agent keeps its state
        between calls until `reset`."""

    def reset(self) -> None:
        """Forget the state of a recurrent agent, at the start of an episode."""

    def episodes(self, seed: int, count: int | None = None) -> Sequence[Episode]:
        """Play `count` deterministic episodes, or as many as the config says for None. They depend only on `seed`, and
        differ from those of training. The run's own seed, or `judged_seed`, gives those of its recorded figures."""

    def play(self, showing: Showing) -> Path | None:
        """Show one deterministic episode from each seed; return the film, or None for a window.

        Raises ConfigError where the environment cannot be shown that way.
        """


@runtime_checkable
class Samples(Protocol):
    """Draws new examples. A model that draws token by token may also take how, under the names of `DRAWING`."""

    def sample(self, count: int, *, prompt: str | None = None, seed: int = 0) -> list[Image | str | Sound]:
        """Return `count` samples, which depend only on `seed`. Raises ConfigError if the model takes no prompt."""


@runtime_checkable
class Predicts(Protocol):
    """Predicts classes or values, finds things, or restores images. Where a model of images has `any_size = True`,
    `lab predict` gives it images of their own size."""

    def predict(self, inputs: Tensors) -> list[Prediction]:
        """Return one prediction for each of `inputs`, `(B, *spec.input.shape)`, or a dict of them. Images are in
        [0, 1]. A model of texts takes a mask too, `(B, T)`, which is true where a text is real."""


@runtime_checkable
class Reconstructs(Protocol):
    """Keeps a code of an image, from which it draws the image again."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return what the model makes of images `(B, C, H, W)` in [0, 1], of the same shape and range."""


@runtime_checkable
class Traverses(Protocol):
    """Has latents, each a real number, that images are decoded from."""

    def latents_of(self, images: Tensor) -> Tensor:
        """Return latents `(B, Z)` of images `(B, C, H, W)` in [0, 1]."""

    def images_of(self, latents: Tensor) -> Tensor:
        """Return images `(B, C, H, W)` in [0, 1] for latents `(B, Z)`."""


@runtime_checkable
class Exports(Protocol):
    """Can be written as a file for another library."""

    export_formats: ClassVar[Mapping[str, str]]
    """The ending of a file by the name of its format: `{"onnx": ".onnx"}`. The first is usual."""

    def export(self, path: Path) -> Sequence[str]:
        """Write `path` in the format of its ending, and return notes for its user, one sentence each."""


DRAWING = ("temperature", "top_k", "top_p", "max_tokens")
"""Settings by keyword of a `sample` that draws token by token; None is as the model has it."""

CAPABILITIES: dict[str, type] = {
    "act": Acts,
    "sample": Samples,
    "predict": Predicts,
    "reconstruct": Reconstructs,
    "traverse": Traverses,
    "export": Exports,
}


def refuse_prompt(prompt: str | None, who: str) -> None:
    """Raise ConfigError if a prompt is given; for models that take none."""
    if prompt is not None:
        raise ConfigError(f"{who} takes no prompt, received {prompt!r}")


def capabilities_of(trained: object) -> list[str]:
    """Return the names of the capabilities of `trained`."""
    return [name for name, protocol in CAPABILITIES.items() if isinstance(trained, protocol)]
