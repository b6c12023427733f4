"""The names that users' scripts, classes and configs rely on. They may gain company, and none may go."""

from __future__ import annotations

import importlib
import inspect

import pytest

import lab
from lab.config.imports import import_class, present_name, public_name

NAMES = {
    "lab": ("evaluate", "load", "resume", "run", "run_seeds", "run_varied"),
    "lab.encoders": (
        *("Encoder", "EncoderFactory", "InputSpec", "Pretrained", "Combined"),
        *("ByShape", "Conv", "ConvStage", "MLP", "Recurrent", "RecurrentEncoder", "ResNet", "Transformer"),
        *("Embedding", "Inception", "LogMel", "TemporalConv", "TextConv", "Tree", "ViT"),
    ),
    "lab.data": (
        "Batch",
        "Batches",
        "DataModule",
        "DataSpec",
        "DatasetInfo",
        "Images",
        "InputSpec",
        "ListOps",
        "Ratings",
        "Recorded",
        "Sentences",
        "Series",
        "Sounds",
        "Sprites",
        "Stories",
        "Table",
        "Tagged",
        "Text",
        "TextTasks",
        "Translations",
        "WordContexts",
        "Treebank",
    ),
    "lab.model": ("Model",),
    "lab.training": ("Model", "Training"),
    "lab.experiment": ("Experiment", "RunContext", "Throughput"),
    "lab.errors": ("LabError", "ConfigError"),
    "agents.ppo": ("PPO",),
    "agents.dqn": ("DQN",),
    "agents.experiment": ("AgentExperiment",),
    "agents.environments.wrappers": ("FrameSkip",),
    "generative.autoregressive": ("LanguageModel", "PixelCNN"),
    "generative.energy": ("EBM", "RBM"),
    "generative.diffusion": ("DDPM", "FlowMatching"),
    "generative.flows": ("RealNVP",),
    "generative.gan": ("GAN",),
    "generative.vae": ("IWAE", "VAE", "ConditionalVAE", "HierarchicalVAE", "VampVAE"),
    "supervised.classifier": ("Classifier",),
    "supervised.language": ("MaskedLanguageModel", "MemoryNetwork", "SkipGram"),
    "supervised.forecasting": ("DLinear", "Forecaster"),
    "supervised.screening": ("Screening",),
    "supervised.translation": ("Text2Text", "Translator"),
    "supervised.tagging": ("Tagger",),
    "supervised.trees": ("Evaluator", "NodeClassifier"),
}
"""Modules, each with the names that it hands out."""

MOVED = {
    "lab.encoders.conv.Conv": "lab.encoders.Conv",
    "lab.encoders.mlp.MLP": "lab.encoders.MLP",
    "lab.encoders.recurrent.Recurrent": "lab.encoders.Recurrent",
    "lab.encoders.resnet.ResNet": "lab.encoders.ResNet",
    "agents.cartpole.CartPoleMasked": "agents.environments.cartpole.CartPoleMasked",
    "agents.wrappers.FrameSkip": "agents.environments.wrappers.FrameSkip",
}
"""Names of version 0.1.0 that stand in recorded runs, and what they are called now."""

EACH = [(module, name) for module, names in NAMES.items() for name in names]


@pytest.mark.parametrize(("module", "name"), EACH, ids=[f"{module}.{name}" for module, name in EACH])
def test_public_name_stays(module: str, name: str) -> None:
    found = getattr(importlib.import_module(module), name)
    assert found is not None
    if inspect.isclass(found) and module.startswith(("lab.encoders", "generative", "agents.ppo", "agents.dqn")):
        assert public_name(found).endswith(f".{name}"), "configs would be written with another name"


@pytest.mark.parametrize(("old", "new"), MOVED.items(), ids=MOVED)
def test_moved_name_is_found(old: str, new: str) -> None:
    assert present_name(old) == new
    assert import_class(old, "here") is import_class(new, "here")


def test_unknown_attribute_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'rnu'"):
        lab.rnu  # noqa: B018


@pytest.mark.parametrize("module", [module for module in NAMES if "." not in module or module.count(".") == 1])
def test_promised_names_are_declared(module: str) -> None:
    """A package that hands names out lazily lists them, so that editors and type checkers find them."""
    declared = getattr(importlib.import_module(module), "__all__", None)
    if declared is not None:
        assert set(declared) >= set(NAMES[module])
