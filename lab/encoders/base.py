"""The encoder contract: what every family of experiments may rely on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor, nn

from lab.data.spec import InputSpec
from lab.errors import ConfigError
from lab.nn.decoders import Decoder

if TYPE_CHECKING:
    from lab.encoders.trained_on import TrainedOn


class Encoder(nn.Module, ABC):
    """Turns each example of a batch into one feature vector. It has no head: the model that uses it adds one.

    Built as `Class(spec, *, settings)`. The settings are recorded in `self.settings`, so that an encoder can be
    written to a file and rebuilt from it (`lab.encoders.files`). Where a setting is an encoder, the outer encoder
    replaces it there by the encoder that was built.
    """

    spec: InputSpec
    features_dim: int
    settings: dict[str, Any]
    takes_masks = False
    """Whether `forward` takes masks, and sequences shorter than `spec` says."""
    pretrained = False
    """Whether the weights come from a file. Code that initialises weights must restore these afterwards."""
    frozen = False
    """Whether weights and statistics must not change."""
    trained_on: TrainedOn | None = None
    """What weights from a file rely on beside the form of the inputs; None where it is not known."""

    def __new__(cls, *args: Any, **settings: Any) -> Encoder:
        if missing := cls.__abstractmethods__:
            raise ConfigError(f"the encoder {cls.__name__} lacks the methods {', '.join(sorted(missing))}")
        # Recorded here and not in each subclass: a setting that a subclass forgot would be missed only when somebody
        # loads the file. Stored past nn.Module.__setattr__, which needs __init__ first.
        self: Encoder = super().__new__(cls)
        self.__dict__["settings"] = settings
        return self

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.spec = spec

    def train(self, mode: bool = True) -> Self:
        """Set the mode. A frozen encoder stays in eval mode, or its batch norms would update their statistics."""
        return super().train(mode and not self.frozen)

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encode `x` of shape `(B, *spec.shape)` into `(B, features_dim)`, float32, without changing `x`.

        Where `takes_masks` is true, sequences may be shorter, and `mask`, `(B, T)`, is true where a step is real.
        The steps where it is false, at the end, do not change the result.
        """

    @abstractmethod
    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the map `(B, C, H, W)` or sequence `(B, T, F)` that `forward` pools to a vector."""

    def features_mask(self, mask: Tensor) -> Tensor:
        """Return which steps of `features` are real, `(B, T')`, given which of the input are, `(B, T)`. By default they
        are the same steps."""
        return mask

    def mirror(self, in_features: int, *, batch_norm: bool | None = None) -> Decoder:
        """Return a decoder from `(B, in_features)` to logits of `spec.shape`, shaped like this encoder.

        `batch_norm` is by default as in the encoder. Raises ConfigError where the encoder has no mirror.
        """
        raise ConfigError(f"{type(self).__name__} has no mirrored decoder; name one under model.decoder")

    def layers_in_order(self) -> list[list[nn.Parameter]]:
        """Return the weights of each layer, from input to output. What stands side by side is one layer. By default the
        parts of the network are layers one after the other: linear layers, convolutions, whole blocks and other
        encoders. A norm between them belongs to the part before it."""
        return _stacked(self)

    def refuse_mask(self, mask: Tensor | None) -> None:
        """Raise ConfigError where there is a mask: for encoders that would mistake padding for data."""
        if mask is not None:
            raise ConfigError(f"{type(self).__name__} takes no mask, but sequences of different lengths need one")


def _stacked(network: nn.Module) -> list[list[nn.Parameter]]:
    found: list[list[nn.Parameter]] = []
    for part in network.children():
        if isinstance(part, Encoder):
            found += part.layers_in_order()
        elif isinstance(part, nn.Sequential | nn.ModuleList) or hasattr(part, "blocks"):
            found += _stacked(part)
        elif weights := list(part.parameters()):
            if found and all(one.ndim < 2 for one in weights):
                found[-1] += weights
            else:
                found.append(weights)
    return found


State = tuple[Tensor, ...]
"""The memory of a recurrent encoder: tensors whose first axis is the batch."""


class RecurrentEncoder(Encoder):
    """An encoder that can also go through a sequence step by step, and carries a memory from one step to the next.

    An agent calls `step` while it acts and `unroll` while it learns. Both take single steps: where the spec is that of
    one step, `step_shape` is `spec.shape`; where it is that of a sequence, `step_shape` is without the time axis.
    """

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first step, on the device of the weights."""

    @abstractmethod
    def step(self, x: Tensor, state: State, start: Tensor) -> tuple[Tensor, State]:
        """Take one step: `x` is `(B, *step_shape)`. Return features `(B, features_dim)` and the state after it.

        `start` is `(B,)`, 1 or true where `x` is the first of an episode; the state there is forgotten.
        """

    @abstractmethod
    def unroll(self, x: Tensor, state: State, start: Tensor) -> tuple[Tensor, State]:
        """Take T steps: `x` is `(T, B, *step_shape)`, `start` is `(T, B)` and `state` the one before the first.

        Return features `(T, B, features_dim)` and the state after the last step, as `step` does one by one.
        """


class EncoderSource(ABC):
    """Gives an encoder of any class once the spec is known. A config names it where it may name an encoder."""

    @abstractmethod
    def __call__(self, spec: Any) -> Encoder:
        """Return a new encoder for `spec`, an InputSpec or a dict of them."""


EncoderFactory = Callable[[Any], Encoder] | EncoderSource
"""How a config gives an encoder: a class with its settings, or a source. It is called with the spec, and each call
builds a new encoder. The spec is an InputSpec, or a dict of them for `Combined`.
"""
