"""Multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lab.config.roles import Roles
from lab.config.types import PositiveInt, Probability
from lab.data.spec import InputSpec, require_one_input
from lab.encoders.base import Encoder
from lab.errors import ConfigError
from lab.nn.decoders import Decoder, MLPDecoder
from lab.nn.layers import Activation, ResidualLayer, dense


class MLP(Encoder):
    """Fully connected layers over the flattened input.

    Args:
        hidden: width of each layer; the last is `features_dim`. Where it is empty, the vector is the flattened input.
        activation: after every layer.
        batch_norm: batch normalisation (Ioffe & Szegedy 2015) between each layer and its activation.
        layer_norm: layer normalisation (Ba et al. 2016) there instead.
        dropout: probability of dropping a unit (Srivastava et al. 2014), after each activation.
        residual: whether each layer after the first, with a layer norm before it, is added to its input, which needs
            layers of one width: so that gradients reach the first of many.
    """

    roles = Roles(added={"residual": False, "layer_norm": False})

    def __init__(
        self,
        spec: InputSpec,
        *,
        hidden: Sequence[PositiveInt] = (64, 64),
        activation: Activation = "relu",
        batch_norm: bool = False,
        layer_norm: bool = False,
        dropout: Probability = 0.0,
        residual: bool = False,
    ) -> None:
        require_one_input(spec, "MLP")
        super().__init__(spec)
        if batch_norm and layer_norm:
            raise ConfigError("an MLP has batch_norm or layer_norm, received both")
        if residual and (len(set(hidden)) != 1 or batch_norm):
            raise ConfigError(
                "an MLP with residual layers needs layers of one width and no batch norm, received "
                f"hidden {list(hidden)}, batch_norm {batch_norm}"
            )
        self.hidden, self.activation, self.batch_norm = list(hidden), activation, batch_norm
        first = hidden[:1] if residual else hidden
        self.layers = dense(spec.size, first, activation, batch_norm=batch_norm, layer_norm=layer_norm, dropout=dropout)
        if residual:
            self.layers.extend(ResidualLayer(width, activation, dropout) for width in hidden[1:])
        self.features_dim = self.hidden[-1] if self.hidden else spec.size

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.refuse_mask(mask)
        return self.layers(x.flatten(1))  # type: ignore[no-any-return]

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The same vector as `forward`: an MLP keeps no position."""
        return self(x, mask)  # type: ignore[no-any-return]

    def mirror(self, in_features: int, *, batch_norm: bool | None = None) -> Decoder:
        return MLPDecoder(
            self.spec,
            in_features,
            hidden=self.hidden[::-1],
            activation=self.activation,
            batch_norm=self.batch_norm if batch_norm is None else batch_norm,
        )
