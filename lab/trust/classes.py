"""The classes that somebody else's config may name: the lab's own, PyTorch's optimizers, and some wrappers."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path

from lab.config.imports import import_class, present_name
from lab.config.shipped import families
from lab.errors import ConfigError

ROOT = Path(__file__).parents[2]
"""Folder of the lab's own packages."""

KINDS = {
    "lab.experiment.base.Experiment",
    "lab.training.model.Model",
    "lab.data.base.DataModule",
    "lab.encoders.base.Encoder",
    "lab.encoders.base.EncoderSource",
    "lab.config.types.Setting",
    "lab.nn.decoders.Decoder",
    "lab.nn.sequences.decoders.SequenceDecoder",
    "lab.nn.unet.UNet",
    "torch.optim.optimizer.Optimizer",
    "stable_baselines3.common.base_class.BaseAlgorithm",
    "gymnasium.core.Wrapper",
}
"""Base classes of what configs are about. The lab has other classes, which do other things when they are built."""

WRAPPERS = {
    *("AddRenderObservation", "AddWhiteNoise", "AtariPreprocessing", "ClipAction", "ClipReward", "DelayObservation"),
    *("DiscretizeAction", "DiscretizeObservation", "FilterObservation", "FlattenObservation", "FrameStackObservation"),
    *("GrayscaleObservation", "MaxAndSkipObservation", "NormalizeObservation", "NormalizeReward", "ObstructView"),
    *("OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics", "RepeatAction", "RescaleAction"),
    *("RescaleObservation", "ReshapeObservation", "ResizeObservation", "StickyAction", "TimeAwareObservation"),
    "TimeLimit",
}
"""Gymnasium's wrappers that hold no function and touch no file."""

OTHERS = {"torch.optim": None, "gymnasium.wrappers": WRAPPERS}
"""Packages of other libraries, and which of their classes; None for all optimizers."""


def is_ours(module: str) -> bool:
    """Whether a module is a file of this installation of the lab, and no program. Nothing is imported."""
    root, *rest = module.split(".")
    if root not in ("lab", *families()) or not all(part.isidentifier() for part in rest) or "__main__" in rest:
        return False
    place = ROOT.joinpath(root, *rest)
    return _is_installed(root) and (place.with_suffix(".py").is_file() or (place / "__init__.py").is_file())


def is_listed(class_path: str) -> bool:
    """Whether a class path leads to a module on the list; which class it is, is not looked at. Nothing is imported."""
    module = present_name(class_path).rpartition(".")[0]
    return is_ours(module) or any(f"{module}.".startswith(f"{package}.") for package in OTHERS)


def refused(class_path: str) -> str | None:
    """Return why somebody else's config may not name this class, as the end of a sentence; None if it may.

    Nothing but the lab's own modules, PyTorch and Gymnasium is imported.
    """
    name = present_name(class_path)
    module, _, last = name.rpartition(".")
    others = next((package for package in OTHERS if f"{module}.".startswith(f"{package}.")), None)
    stranger = f"names {class_path}, which is none of the lab's own classes"
    if not all(part.isidentifier() for part in name.split(".")) or not (others or is_ours(module)):
        return stranger
    if others:
        found = getattr(importlib.import_module(others), last, None)
        allowed = isinstance(found, type) and (name == f"{others}.{last}" or name == f"{found.__module__}.{last}")
        known = OTHERS[others]
        return None if allowed and (last in known if known else _is_optimizer(found)) else stranger
    try:
        found = import_class(name, "a config")
    except ConfigError:
        return stranger
    if not isinstance(found, type) or not is_ours(found.__module__):
        return stranger
    bases = {f"{base.__module__}.{base.__qualname__}" for base in found.__mro__}
    return None if bases & KINDS else f"names {class_path}, which is no class for a config"


def _is_optimizer(found: object) -> bool:
    from torch.optim import Optimizer

    return isinstance(found, type) and issubclass(found, Optimizer)


@cache
def _is_installed(root: str) -> bool:
    """Whether the name of a package means ours: others are called `agents` too, and a folder can hide it."""
    package = sys.modules.get(root)
    spec = package.__spec__ if package else importlib.util.find_spec(root)
    return bool(spec and spec.origin and Path(spec.origin).resolve() == (ROOT / root / "__init__.py").resolve())
