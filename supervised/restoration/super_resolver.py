"""Super-resolution by regression."""

from __future__ import annotations

from lab.config.types import PositiveInt
from lab.data.spec import DataSpec, InputSpec
from lab.nn.superresolution import SuperResolution
from supervised.restoration.damage import Shrink
from supervised.restoration.restorer import Error, Restorer


class SuperResolver(Restorer):
    """Enlarges images whose pixels are means over squares of those of real ones (`lab.nn.superresolution`).

    Args:
        factor: by which height and width are divided, and multiplied again; a power of 2.
        filters: of the maps in the network.
        blocks: residual blocks on the small image.
        loss: `squared` error of the pixels, or `absolute`.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        factor: PositiveInt = 4,
        filters: PositiveInt = 32,
        blocks: PositiveInt = 4,
        loss: Error = "squared",
    ) -> None:
        channels, *_ = spec.require_one_input("SuperResolver").require_image("SuperResolver")
        network = SuperResolution(channels, factor=factor, filters=filters, blocks=blocks)
        super().__init__(spec, network=network, damage=Shrink(factor), loss=loss)
        self.factor = factor

    @property
    def takes(self) -> InputSpec:
        """The form of the small images."""
        channels, height, width = super().takes.shape
        return InputSpec((channels, height // self.factor, width // self.factor))
