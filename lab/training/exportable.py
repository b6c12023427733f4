"""Models that other programs can run: `lab export` writes what their `forward` computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from lab.data.spec import Boxes, Classes, InputSpec, Masks, Tags, Values
from lab.errors import ConfigError
from lab.saving.onnx import CHECKED, time_of, write_onnx
from lab.training.model import Model


class Exportable(Model):
    """A model whose `forward` takes tensors alone, most often one, and can be an ONNX file."""

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

    @property
    def arguments(self) -> Mapping[str, InputSpec]:
        """The form of each tensor that `forward` takes, in order, by its name in the file."""
        return {"input": self.takes}

    def told(self) -> Mapping[str, Any]:
        """Return what else the file's metadata should say, each value as JSON."""
        return {}

    def metadata(self) -> Mapping[str, Any]:
        """Return what the file says of the model, each value as JSON: its class, the names of the classes or columns
        that it predicts, those of the numbers that it takes, and `told`."""
        names = {"features": getattr(self.spec.reader, "features", ())}
        if isinstance(target := self.spec.target, Classes | Tags | Masks | Boxes | Values):
            names["columns" if isinstance(target, Values) else "classes"] = target.names
        known = {what: list(found) for what, found in names.items() if found}
        return {"model": type(self).__name__, **known, **self.told()}

    def export(self, path: Path) -> Sequence[str]:
        """Write `path`, an ONNX file for batches of any size, and sequences of any length up to the longest of the data
        where the encoder takes these.

        Raises ConfigError without the extra `onnx`, and LabError where the file would not compute the same.
        """
        arguments, encoder = self.arguments, getattr(self, "encoder", None)
        shorter = getattr(encoder, "takes_masks", False)
        sequences = [name for name, form in arguments.items() if shorter and form.time and form.time > 1]
        examples = {name: _examples(form) for name, form in arguments.items()}
        write_onnx(self, path, examples, results=self.results, sequences=sequences, told=self.metadata())
        inputs = []
        for name, form in arguments.items():
            axes = [time_of(name, arguments) if name in sequences else str(form.shape[0]), *map(str, form.shape[1:])]
            inputs.append(f"{name} ({', '.join(['batch', *axes])}), {form.dtype}")
        notes = [f"{'; '.join(inputs)}; results: {', '.join(self.results)}"]
        for name in sequences:
            steps = f"up to {arguments[name].shape[0]:,} steps; those of a batch are all of one length"
            notes.append(f"{'sequences' if len(arguments) == 1 else f'sequences of {name}'} have {steps}")
        return notes


def _examples(form: InputSpec) -> Tensor:
    """Return random inputs `(B, *shape)`: token ids, or numbers from 0 to 1."""
    numbers = torch.rand(CHECKED, *form.shape, generator=torch.Generator().manual_seed(0))
    return (numbers * (form.vocab or 1)).long() if form.dtype == "int64" else numbers
