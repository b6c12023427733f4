"""One batch of examples, whatever their modality."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lab.errors import DataError

Tensors = Tensor | dict[str, Tensor]
"""One tensor, or several by name. The first axis of each is the batch."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Examples with their targets. It unpacks as `inputs, targets = batch`.

    Args:
        inputs: `(B, *spec.input.shape)`, or a dict of such tensors where `spec.input` is a dict. Sequences may be
            shorter than the spec says.
        targets: what the model is to predict, in the form that `spec.target` describes; None where there is none.
        mask: `(B, T)`, true where a sequence is real and false where it is padding; None where nothing is padded.
            A dict with the same keys where `inputs` is one.
        weight: how many things a mean over this batch is taken over, such as real tokens; by default its examples.
            Means over an epoch weigh batches by it.
    """

    inputs: Tensors
    targets: Tensors | None = None
    mask: Tensors | None = None
    weight: int = -1

    def __post_init__(self) -> None:
        if self.weight < 0:
            object.__setattr__(self, "weight", len(self))

    def __len__(self) -> int:
        """Return the number of examples."""
        inputs = self.inputs
        return len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)

    def __iter__(self) -> Iterator[Any]:
        yield self.inputs
        yield self.targets

    @property
    def nbytes(self) -> int:
        """Bytes of all its tensors."""
        return sum(tensor.nbytes for tensor in self._tensors())

    def to(self, device: Any, non_blocking: bool = False) -> Batch:
        """Return the batch on `device`. Lightning calls this."""
        if self._is_on(torch.device(device)):
            return self

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=non_blocking)

        return Batch(mapped(self.inputs, moved), mapped(self.targets, moved), mapped(self.mask, moved), self.weight)

    def _is_on(self, device: torch.device) -> bool:
        return all(tensor.device == device for tensor in self._tensors())

    def _tensors(self) -> Iterator[Tensor]:
        for part in (self.inputs, self.targets, self.mask):
            if isinstance(part, dict):
                yield from part.values()
            elif part is not None:
                yield part


def mapped(tensors: Tensors | None, change: Callable[[Tensor], Tensor]) -> Any:
    """Return what `change` makes of a tensor, or of each of several; None for None."""
    if isinstance(tensors, dict):
        return {key: change(tensor) for key, tensor in tensors.items()}
    return None if tensors is None else change(tensors)


def as_batch(given: Any) -> Batch:
    """Return `given` as a Batch: it is one, or `(inputs, targets)`, or inputs alone. Raises DataError for others."""
    if isinstance(given, Batch):
        return given
    if isinstance(given, Tensor):
        return Batch(given)
    if isinstance(given, tuple | list) and len(given) == 2 and all(isinstance(part, Tensor | dict) for part in given):
        return Batch(*given)
    raise DataError(f"a batch must be lab.data.Batch or a pair (inputs, targets) of tensors, received {_told(given)}")


def _told(given: Any) -> str:
    if isinstance(given, tuple | list):
        return f"a {type(given).__name__} of {', '.join(type(part).__name__ for part in given) or 'nothing'}"
    return f"a {type(given).__name__}"
