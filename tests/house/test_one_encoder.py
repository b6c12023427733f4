"""The promise the lab is built on: the same weights give the same features under every paradigm."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import Tensor

from agents.dqn.dqn import DQN
from agents.ppo.ppo import PPO
from generative.gan.gan import GAN
from generative.vae.vae import VAE
from lab.data.spec import DataSpec
from lab.encoders import MLP, Conv, Encoder, EncoderFactory, InputSpec, ResNet
from lab.encoders.files import load_encoder, plain_state, save_encoder
from supervised.classifier import Classifier

SHAPE = (1, 40, 40)
FACTORIES: list[EncoderFactory] = [
    partial(MLP, hidden=[16]),
    partial(Conv, norm="batch", hidden=[12]),
    partial(ResNet, channels=[4, 8]),
]


class Pixels(gym.Env[Any, Any]):
    """Images of the size and kind that the other paradigms see, as a uint8 observation."""

    observation_space = spaces.Box(0, 255, SHAPE, np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(SHAPE, np.uint8), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.zeros(SHAPE, np.uint8), 0.0, True, False, {}


def consumers(factory: EncoderFactory, pixels: Tensor) -> Iterator[tuple[str, Encoder, Any]]:
    """Yield name, encoder, and a function to the features as that consumer computes them from uint8 pixels."""
    data = DataSpec(InputSpec(SHAPE), classes=10)
    device = torch.device("cpu")
    unit = pixels.float() / 255
    for model in (Classifier(data, encoder=factory), VAE(data, encoder=factory), GAN(data, encoder=factory)):
        yield type(model).__name__, model.encoder, lambda model=model: model.eval().encoder(unit)
    ppo = PPO(DummyVecEnv([Pixels]), 0, device, encoder=factory, n_steps=4, batch_size=4)
    policy = ppo.policy
    yield "PPO", ppo.encoder, lambda: policy.extract_features(pixels, policy.pi_features_extractor)
    dqn = DQN(DummyVecEnv([Pixels]), 0, device, encoder=factory, buffer_size=10)
    for name, net in (("online", dqn.q_net), ("target", dqn.q_net_target)):
        extractor: Any = net.features_extractor
        yield f"DQN {name}", extractor.encoder, lambda net=net, e=extractor: net.extract_features(pixels, e)


@pytest.mark.parametrize("factory", FACTORIES, ids=["mlp", "conv", "resnet"])
@torch.no_grad()
def test_same_weights_same_features_everywhere(factory: EncoderFactory, tmp_path: Any) -> None:
    pixels = torch.randint(0, 256, (5, *SHAPE), dtype=torch.uint8)
    source = factory(InputSpec(SHAPE)).eval()
    save_encoder(source, tmp_path)
    carried = plain_state(load_encoder(tmp_path))
    expected = source(pixels.float() / 255)
    seen = []
    for name, encoder, features in consumers(factory, pixels):
        for module in encoder.modules():
            for weight in list(getattr(module, "parametrizations", {})):
                torch.nn.utils.parametrize.remove_parametrizations(module, weight)
        encoder.load_state_dict(carried)
        encoder.eval()
        assert torch.equal(features(), expected), name
        seen.append(name)
    assert seen == ["Classifier", "VAE", "GAN", "PPO", "DQN online", "DQN target"]


def test_factory_builds_anew() -> None:
    data = DataSpec(InputSpec(SHAPE), classes=10)
    first, second = (Classifier(data, encoder=FACTORIES[0]) for _ in range(2))
    shared = {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}
    assert not shared
