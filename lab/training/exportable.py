"""Models that other programs can run: `lab export` writes what their `forward` computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from lab.data.spec import InputSpec
from lab.errors import ConfigError
from lab.saving.onnx import CHECKED, write_onnx
from lab.training.model import Model


class Exportable(Model):
    """A model whose `forward` takes one tensor of inputs, and can be an ONNX file."""

    export_formats: ClassVar[Mapping[str, str]] = {"onnx": ".onnx"}
    results: ClassVar[Sequence[str]]
    """Names of the tensors that `forward` returns, in order."""

    @property
    def takes(self) -> InputSpec:
        """The form of what `forward` takes; by default that of the data. Raises ConfigError where that has parts."""
        if isinstance(self.spec.input, dict):
            parts = ", ".join(sorted(self.spec.input))
            raise ConfigError(f"an ONNX file is for models with one input, but this one takes the parts {parts}")
        return self.spec.require_one_input(type(self).__name__)

    def told(self) -> Mapping[str, Any]:
        """Return what else the file's metadata should say, each value as JSON."""
        return {}

    def export(self, path: Path) -> Sequence[str]:
        """Write `path`, an ONNX file for batches of any size, and sequences of any length up to the longest of the data
        where the encoder takes these.

        Raises ConfigError without the extra `onnx`, and LabError where the file would not compute the same.
        """
        form, encoder = self.takes, getattr(self, "encoder", None)
        time = bool(form.time and form.time > 1 and getattr(encoder, "takes_masks", False))
        names = list(getattr(self.spec.target, "names", ()))
        told = {"model": type(self).__name__, **({"classes": names} if names else {}), **self.told()}
        write_onnx(self, path, _examples(form), results=self.results, time=time, told=told)
        axes = ["batch", *("time" if time and not i else str(side) for i, side in enumerate(form.shape))]
        notes = [f"input ({', '.join(axes)}), {form.dtype}; results: {', '.join(self.results)}"]
        if time:
            notes.append(f"sequences have up to {form.shape[0]:,} steps; those of a batch are all of one length")
        return notes


def _examples(form: InputSpec) -> Tensor:
    """Return random inputs `(B, *shape)`: token ids, or numbers from 0 to 1."""
    numbers = torch.rand(CHECKED, *form.shape, generator=torch.Generator().manual_seed(0))
    return (numbers * (form.vocab or 1)).long() if form.dtype == "int64" else numbers
