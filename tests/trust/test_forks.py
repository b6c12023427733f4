"""What is made from a stranger's checkpoint is his until it is signed; what is trained from his config is not."""

from __future__ import annotations

import json
import os

import pytest

import lab
from lab.configuration import load
from lab.keys.signature import config_is_signed, is_signed

SIZES = {
    "total_timesteps": 16,
    "agent.n_steps": 8,
    "agent.batch_size": 8,
    "env.num_envs": 1,
    "evaluation.episodes": 1,
    "threads": 1,
    "device": "cpu",
}
"""A run of a second."""


def test_run_of_a_strangers_config_is_the_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings are the lab's own, which were checked, and the reader has trained it."""
    monkeypatch.setenv("LAB_KEY_FILE", os.path.abspath("theirs"))
    config = lab.run("ppo-cartpole", SIZES).dir / "config.yaml"
    monkeypatch.setenv("LAB_KEY_FILE", os.path.abspath("mine"))
    assert load(str(config)).stranger is not None
    again = lab.run(str(config)).dir
    assert load(str(again / "config.yaml")).stranger is None


@pytest.mark.parametrize("trust", [None, True])
def test_fork_of_a_strangers_run_is_his(trust: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """His checkpoint, which the fork takes over, holds a config that a resume of another version loads."""
    monkeypatch.setenv("LAB_KEY_FILE", os.path.abspath("theirs"))
    record = lab.run("ppo-cartpole", SIZES)
    monkeypatch.setenv("LAB_KEY_FILE", os.path.abspath("mine"))
    fork = lab.resume(record.dir, {"total_timesteps": 32}, trust=trust).dir
    assert fork != record.dir
    signed = [is_signed("manifest", json.loads(path.read_text())) for path in fork.glob("checkpoints/*/manifest.json")]
    assert len(signed) > 1
    assert {*signed, config_is_signed((fork / "config.yaml").read_bytes())} == {bool(trust)}
    assert (load(str(fork / "config.yaml")).stranger is None) is bool(trust)
