"""What every LightningModule of the lab shares: built from a DataSpec, trained by one Optimization."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor

from lab.data.base import DataModule
from lab.data.batch import Batch
from lab.data.spec import DataSpec
from lab.encoders.base import Encoder
from lab.encoders.files import save_encoder
from lab.errors import DivergedError
from lab.training.optimization import Optimization

if TYPE_CHECKING:
    from PIL.Image import Image


class Model(pl.LightningModule, ABC):
    """Base of the lab's Lightning models. A subclass builds `self.encoder` and says what its losses are.

    Args:
        spec: of the data, given by the run; everything else is a setting.
    """

    family: ClassVar[str] = "supervised"
    encoder: Encoder
    descriptions: Mapping[str, str] = {}
    """What the metrics mean where the name alone does not say."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec
        self.optimization = Optimization()

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return scalars for one batch: `loss`, which is minimised, and whatever else is worth a curve."""

    def pictures(self, batch: Batch) -> dict[str, Image]:
        """Return pictures by name (`samples`, `reconstructions`); drawn in eval mode without gradients."""
        return {}

    def artifacts(self) -> Mapping[str, Callable[[Path], None]]:
        """Return what others can use of the model: name -> what writes it. By default that is its encoder, if any."""
        encoder = getattr(self, "encoder", None)
        return {"encoder": partial(save_encoder, encoder)} if isinstance(encoder, Encoder) else {}

    def baselines(self, data: DataModule) -> Mapping[str, Mapping[str, float]]:
        """Return test metrics of the simplest things one would try, on the same split, by the baseline's name."""
        return {}

    def prepare_test(self, data: DataModule, device: torch.device, *, fast_dev_run: bool = False) -> None:
        """Called before the test: the place to build what judges the model, such as statistics of the data."""

    def training_step(self, batch: Batch, batch_index: int) -> Any:
        losses = self.losses(batch)
        losses["loss"] = losses["loss"] + self.optimization.penalty(self.parameters())
        self.require_finite(losses)
        return losses

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        self.log_dict({f"val/{name}": value for name, value in self.losses(batch).items()}, batch_size=batch.weight)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        self.log_dict({f"test/{name}": value for name, value in self.losses(batch).items()}, batch_size=batch.weight)

    def configure_optimizers(self) -> Any:
        optimizer, schedule = self.optimization.build(self.parameters(), int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clip by the setting of our own: Lightning's refuses models that optimise by hand."""
        if self.optimization.gradient_clip_norm is not None:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.optimization.gradient_clip_norm)

    def require_finite(self, losses: Mapping[str, Tensor]) -> None:
        """Raise DivergedError before a NaN reaches the weights. On the CPU alone: elsewhere each look is a wait,
        and the reporter looks at every row it logs, and at the end of every epoch."""
        if self.device.type == "cpu":
            for name, value in losses.items():
                if not math.isfinite(value.item()):
                    raise DivergedError(f"train/{name} became {value.item()} in epoch {self.current_epoch + 1}")


ModelFactory = Callable[[DataSpec], Model]
"""How a config gives a model: a class and its settings, still waiting for the spec of the data."""
