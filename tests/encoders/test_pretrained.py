"""An encoder that was trained once, carried into other experiments."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from lab.config.types import FromRun
from lab.configuration import load
from lab.encoders import MLP, InputSpec, Pretrained, Recurrent
from lab.encoders.contract import build_encoder
from lab.encoders.files import load_encoder, plain_state, save_encoder
from lab.errors import ConfigError
from lab.runs.summary import Summary

DIGITS = {"data.name": "digits", "data.batch_size": 32, "threads": 1}
SMALL = {"model.encoder.stages": [{"channels": 4, "stride": 4}]}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return plain_state(load_encoder(folder / "artifacts" / "encoder"))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def carry(source: Summary, name: str, freeze: bool, **overrides: Any) -> Summary:
    family = "agent" if "cartpole" in name else "model"
    settings = {
        f"{family}.encoder": "Pretrained",
        f"{family}.encoder.path": str(source.dir / "artifacts" / "encoder"),
        f"{family}.encoder.freeze": freeze,
    }
    return lab.run(name, settings | overrides, runs_dir="runs", fast_dev_run=True)


BRIEF: dict[str, Any] = {"model.fid_samples": None, "model.nll_samples": 5}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("vae-mnist", BRIEF),
        pytest.param("gan-mnist", {"model.fid_samples": None, "model.spectral": False}, marks=pytest.mark.slow),
        pytest.param("cnn-mnist", {}, marks=pytest.mark.slow),
    ],
)
def test_classifiers_encoder_in_other_models(name: str, more: dict[str, Any]) -> None:
    source = lab.run("cnn-mnist", DIGITS | SMALL, runs_dir="runs", fast_dev_run=True)
    frozen = carry(source, name, True, **DIGITS, **more)
    assert same(weights(frozen.dir), weights(source.dir)), "weights and batch norm statistics stay"
    assert lab.evaluate(frozen.dir).metrics == frozen.metrics
    tuned = carry(source, name, False, **DIGITS, **more)
    assert not same(weights(tuned.dir), weights(source.dir))
    shutil.rmtree(source.dir)
    assert lab.evaluate(tuned.dir).metrics == tuned.metrics, "a run is evaluated from what it holds itself"


@pytest.mark.parametrize("name", [pytest.param("ppo-cartpole", marks=pytest.mark.slow), "dqn-cartpole"])
def test_agents_encoder_in_another_agent(name: str) -> None:
    source = lab.run("ppo-cartpole", runs_dir="runs", fast_dev_run=True)
    frozen = carry(source, name, True)
    assert same(weights(frozen.dir), weights(source.dir))
    tuned = carry(source, name, False)
    assert not same(weights(tuned.dir), weights(source.dir))


def test_other_inputs_are_refused() -> None:
    source = lab.run("cnn-mnist", DIGITS | SMALL, runs_dir="runs", fast_dev_run=True)
    with pytest.raises(ConfigError, match=r"takes inputs of shape \(1, 28, 28\), received \(4,\)"):
        carry(source, "ppo-cartpole", False)
    with pytest.raises(ConfigError, match="there is no encoder in nowhere; expected a run"):
        lab.run("cnn-mnist", DIGITS | {"model.encoder": "Pretrained", "model.encoder.path": "nowhere"})


WORDS = InputSpec((20,), "int64", vocab=100)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (InputSpec((20,), "int64", vocab=101), "takes a vocabulary of 100 token ids, received 101 token ids"),
        (InputSpec((20,), "int64", vocab=100, sample_rate=8000), "takes a sample rate of none, received 8000 Hz"),
        (InputSpec((20,)), "takes int64 inputs, received float32"),
        (InputSpec((21,), "int64", vocab=100), "takes sequences of at most 20 steps, received 21"),
    ],
)
def test_other_kinds_of_input_are_refused(other: InputSpec, reason: str, tmp_path: Path) -> None:
    save_encoder(Recurrent(WORDS, width=4), tmp_path)
    with pytest.raises(ConfigError, match=reason):
        Pretrained(str(tmp_path))(other)


def test_shorter_sequences_are_taken(tmp_path: Path) -> None:
    save_encoder(Recurrent(WORDS, width=4), tmp_path)
    assert Pretrained(str(tmp_path))(InputSpec((7,), "int64", vocab=100)).spec == WORDS


@pytest.mark.parametrize("inside", ["", "encoder", "artifacts/encoder"])
def test_runs_folder_is_enough(inside: str, tmp_path: Path) -> None:
    """Of this version, of 0.1.0, or the folder of the encoder itself."""
    source = MLP(InputSpec((4,)), hidden=[3])
    save_encoder(source, tmp_path / inside)
    for path in {tmp_path, tmp_path / inside, *([tmp_path / "encoder"] if inside else [])}:
        built = build_encoder(Pretrained(str(path), freeze=True), InputSpec((4,)))
        assert (built.pretrained, built.frozen, type(built)) == (True, True, MLP)
        assert same(plain_state(built), plain_state(source))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", r"model\.encoder\.path is missing"),
        (".pth=x", r"unknown key 'model\.encoder\.pth'; did you mean 'model\.encoder\.path'"),
        (".path=x .freeze=maybe", r"model\.encoder\.freeze must be of type bool, received maybe"),
        (".path.run=x .path.nam=y", r"unknown key 'model\.encoder\.path\.nam'; did you mean"),
    ],
)
def test_slips_are_one_sentence(words: str, sentence: str) -> None:
    settings = [f"--model.encoder{word}" for word in ("=Pretrained", *words.split())]
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        load("cnn-mnist", settings)


def test_config_names_a_run() -> None:
    words = ["--model.encoder=Pretrained", "--model.encoder.path.run=vae-mnist", "--model.encoder.freeze=true"]
    config: Any = load("cnn-mnist", words).build()
    source = config.model_factory.keywords["encoder"]
    assert isinstance(source, Pretrained)
    assert (source.path, source.freeze) == (FromRun("vae-mnist"), True)


def test_averaged_policy_follows_batch_norms() -> None:
    run = lab.run("dqn-cartpole", {"agent.encoder.batch_norm": True}, runs_dir="runs", fast_dev_run=True)
    assert not torch.equal(weights(run.dir)["layers.1.running_var"], torch.ones(256))
