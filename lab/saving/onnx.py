"""A network as an ONNX file, which other programs run without PyTorch and without the lab."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lab.console.wording import install
from lab.errors import ConfigError, LabError, not_written
from lab.runs.summary import versions
from lab.saving.recurrence import TRANSLATIONS, with_plain_recurrence
from lab.system.files import write_atomic
from lab.system.randomness import own_randomness

NEEDED = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4
"""Largest difference from torch's results, absolute for small numbers and relative for large ones."""
TRACED, CHECKED = 2, 5  # examples of the batches that are traced, and then compared


def write_onnx(
    network: nn.Module,
    path: Path,
    examples: Mapping[str, Tensor],
    *,
    results: Sequence[str],
    sequences: Collection[str] = (),
    told: Mapping[str, Any] | None = None,
) -> None:
    """Write `path`: the network in eval mode, with these inputs and results, for batches of any size.

    The file is compared with torch before it is written, by onnxruntime, on a batch of another size, and of another
    length where sequences may be shorter.

    Args:
        network: its `forward` takes the inputs in order.
        examples: at least 5 examples `(B, ...)` of each input by its name in the file, of the longest length.
        results: names of the tensors that `forward` returns, in order.
        sequences: inputs whose second axis is the time of a sequence, which may be shorter.
        told: metadata of the file, each value as JSON.

    Raises ConfigError without the extra `onnx`, and LabError where the network cannot be written, or the file gives
    other results.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ConfigError(f"an ONNX file needs the extra onnx ({', '.join(missing)}): {install('onnx')}")
    alone = _Alone(with_plain_recurrence(copy.deepcopy(network).cpu().eval()))
    axes = [{0: "batch", 1: time_of(name, examples)} if name in sequences else {0: "batch"} for name in examples]
    given = {name: example.cpu() for name, example in examples.items()}
    with own_randomness(torch.device("cpu"), 0), _quiet():
        try:
            program = torch.onnx.export(
                alone,
                tuple(example[:TRACED] for example in given.values()),
                dynamo=True,
                input_names=list(given),
                output_names=list(results),
                dynamic_shapes=(tuple(axes),),
                custom_translation_table=TRANSLATIONS,
                verbose=False,
            )
        except Exception as error:
            raise _refused(f"torch cannot trace it ({' '.join(str(error).split())[-160:]})") from error
    assert program is not None
    model = program.model_proto
    for name, value in {**(told or {}), "versions": versions()}.items():
        model.metadata_props.add(key=name, value=json.dumps(value))
    content = model.SerializeToString()
    parts = {name: example[:CHECKED] for name, example in given.items()}
    shorter = {name: parts[name][:, : parts[name].shape[1] * 2 // 3] for name in sequences}
    _require_same(content, alone, {**parts, **shorter})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise not_written(path, error) from error


def time_of(name: str, inputs: Collection[str]) -> str:
    """Return what the time of an input is called in a file with these inputs."""
    return "time" if len(inputs) == 1 else f"{name}_time"


class _Alone(nn.Module):
    """A network without the other arguments of its `forward`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Any:
        return self.network(*inputs)


def _require_same(content: bytes, network: nn.Module, given: Mapping[str, Tensor]) -> None:
    import onnxruntime

    with torch.no_grad():
        found = network(*given.values())
    wanted = found if isinstance(found, tuple) else (found,)
    try:
        session = onnxruntime.InferenceSession(content, _silent())
        results = session.run(None, {name: one.numpy() for name, one in given.items()})
    except Exception as error:  # onnxruntime has many of its own
        shapes = ", ".join(str(tuple(one.shape)) for one in given.values())
        raise _refused(f"its file fails on inputs of shape {shapes}: {' '.join(str(error).split())[:160]}") from error
    for ours, theirs in zip(wanted, map(torch.from_numpy, results), strict=True):
        if ours.shape != theirs.shape:
            raise _refused(f"its file gives shape {tuple(theirs.shape)} where torch gives {tuple(ours.shape)}")
        if not torch.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE):
            raise _refused(f"its file differs from torch by {float((ours - theirs).abs().max()):.3g}")


def _refused(why: str) -> LabError:
    return LabError(f"this model cannot be exported to ONNX: {why}")


def _silent() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    return options


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch's exporter says of itself: it misses torchvision, and warns of its own deprecations."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
