"""An encoder that was trained once, carried into other experiments."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import lab
from lab.encoders.files import load_encoder, plain_state
from lab.errors import ConfigError
from lab.runs.summary import Summary

DIGITS = {"data.name": "digits", "data.batch_size": 32, "threads": 1}


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


def test_a_classifiers_encoder_in_a_vae_and_a_gan() -> None:
    source = lab.run("cnn-mnist", DIGITS, runs_dir="runs", fast_dev_run=True)
    for name in ("vae-mnist", "gan-mnist", "cnn-mnist"):
        frozen = carry(source, name, True, **DIGITS, **({"model.spectral": False} if name == "gan-mnist" else {}))
        assert same(weights(frozen.dir), weights(source.dir)), "weights and batch norm statistics stay"
        assert lab.evaluate(frozen.dir).metrics == frozen.metrics
    tuned = carry(source, "vae-mnist", False, **DIGITS)
    assert not same(weights(tuned.dir), weights(source.dir))
    shutil.rmtree(source.dir)
    assert lab.evaluate(tuned.dir).metrics == tuned.metrics, "a run is evaluated from what it holds itself"


@pytest.mark.parametrize("name", ["ppo-cartpole", "dqn-cartpole"])
def test_an_agents_encoder_in_another_agent(name: str) -> None:
    source = lab.run("ppo-cartpole", runs_dir="runs", fast_dev_run=True)
    frozen = carry(source, name, True)
    assert same(weights(frozen.dir), weights(source.dir))
    tuned = carry(source, name, False)
    assert not same(weights(tuned.dir), weights(source.dir))


def test_an_encoder_for_other_inputs_is_refused() -> None:
    source = lab.run("cnn-mnist", DIGITS, runs_dir="runs", fast_dev_run=True)
    with pytest.raises(ConfigError, match=r"takes inputs of \(1, 28, 28\), received \(4,\)"):
        carry(source, "ppo-cartpole", False)
    with pytest.raises(ConfigError, match="there is no encoder folder nowhere"):
        lab.run("cnn-mnist", DIGITS | {"model.encoder": "Pretrained", "model.encoder.path": "nowhere"})


def test_the_averaged_dqn_policy_follows_batch_norms() -> None:
    run = lab.run("dqn-cartpole", {"agent.encoder.batch_norm": True}, runs_dir="runs", fast_dev_run=True)
    assert not torch.equal(weights(run.dir)["layers.1.running_var"], torch.ones(256))
