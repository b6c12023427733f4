"""An agent rebuilt from Stable-Baselines3's own policies, without any class of the lab.

The weights are copied: an `MLP` encoder becomes the first layers of `net_arch`, a `Conv` of the right shape SB3's
`NatureCNN`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import stable_baselines3
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import NatureCNN
from stable_baselines3.dqn.policies import QNetwork
from torch import nn

from agents.core.agent import Agent
from agents.networks.actor_critic import ActorCritic
from agents.networks.extractor import EncoderExtractor
from agents.networks.q_network import DuelingHead, QPolicy
from agents.sb3.layers import PLAIN, architecture, copy_weights, leaves, plain_layers, settings_of
from lab.encoders import MLP, Conv
from lab.errors import ConfigError


def plain_agent(agent: Agent) -> tuple[str, BaseAlgorithm]:
    """Return the name of SB3's algorithm and an instance of it that acts as `agent` does, on the CPU.

    Raises ConfigError if plain SB3 cannot express the agent.
    """
    for algorithm, policy, build in (
        (stable_baselines3.PPO, ActorCritic, _ppo),
        (stable_baselines3.DQN, QPolicy, _dqn),
    ):
        if isinstance(agent, algorithm) and type(agent.acting_policy) is policy:
            return algorithm.__name__, build(agent, copy.deepcopy(agent.acting_policy).cpu().eval())
    raise ConfigError(
        f"{PLAIN} can only load its own PPO and DQN policies, and {type(agent).__name__} has a "
        f"{type(agent.acting_policy).__name__}"
    )


@dataclass(frozen=True)
class Trunk:
    """An encoder in SB3's terms: the layers of a features extractor, and the first layers of `net_arch`."""

    extractor: list[nn.Module]
    dense: list[nn.Module]
    kwargs: dict[str, Any]
    """For SB3's policy."""
    policy: str = "MlpPolicy"


def _ppo(agent: Any, trained: Any) -> BaseAlgorithm:
    actor, critic = (_trunk(e, agent) for e in (trained.pi_features_extractor, trained.vf_features_extractor))
    pi = [*actor.dense, *plain_layers(trained.mlp_extractor.policy_net)]
    vf = [*critic.dense, *plain_layers(trained.mlp_extractor.value_net)]
    plain = stable_baselines3.PPO(
        actor.policy,
        env=None,  # type: ignore[arg-type]  # as PPO.load has it
        learning_rate=_highest(agent.lr_schedule),
        clip_range=_highest(agent.clip_range),
        clip_range_vf=None if agent.clip_range_vf is None else _highest(agent.clip_range_vf),
        **{name: _plain(getattr(agent, name)) for name in PPO_SETTINGS},
        policy_kwargs={
            **actor.kwargs,
            **architecture({"pi": pi, "vf": vf}),
            # A trunk in net_arch is there once for each head; only one that is an extractor can be shared.
            "share_features_extractor": trained.share_features_extractor if actor.extractor else True,
            "ortho_init": False,
        },
        device="cpu",
        _init_setup_model=False,
    )
    policy = _set_up(plain, agent)
    copy_weights(actor.extractor, policy.pi_features_extractor)
    copy_weights(critic.extractor, policy.vf_features_extractor)
    copy_weights(pi, policy.mlp_extractor.policy_net)
    copy_weights(vf, policy.mlp_extractor.value_net)
    for head in ("action_net", "value_net"):
        getattr(policy, head).load_state_dict(getattr(trained, head).state_dict())
    if hasattr(trained, "log_std"):
        policy.log_std.data.copy_(trained.log_std)
    return plain


def _dqn(agent: Any, trained: Any) -> BaseAlgorithm:
    def network(q_net: QNetwork) -> tuple[Trunk, list[nn.Module], nn.Module]:
        if isinstance(q_net.q_net, DuelingHead):
            raise ConfigError(f"{PLAIN} has no dueling networks, and this agent has one")
        trunk = _trunk(q_net.features_extractor, agent)  # type: ignore[arg-type]
        *hidden, head = q_net.q_net
        return trunk, [*trunk.dense, *plain_layers(hidden)], head

    online, target = network(trained.q_net), network(trained.q_net_target)
    trunk, hidden, _ = online
    plain = stable_baselines3.DQN(
        trunk.policy,
        env=None,  # type: ignore[arg-type]  # as DQN.load has it
        learning_rate=_highest(agent.lr_schedule),
        buffer_size=1,  # none is filled here; the real size follows below
        train_freq=int(agent.train_freq.frequency),
        **{name: _plain(getattr(agent, name)) for name in DQN_SETTINGS},
        policy_kwargs={**trunk.kwargs, **architecture({"": hidden})},
        device="cpu",
        _init_setup_model=False,
    )
    policy = _set_up(plain, agent)
    plain.buffer_size = int(agent.buffer_size)
    for (one, layers, head), net in ((online, policy.q_net), (target, policy.q_net_target)):
        copy_weights(one.extractor, net.features_extractor)
        copy_weights([*layers, head], net.q_net)
    return plain


PPO_SETTINGS = (
    *("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "ent_coef", "vf_coef"),
    *("max_grad_norm", "target_kl", "normalize_advantage", "use_sde", "sde_sample_freq"),
)
DQN_SETTINGS = (
    *("learning_starts", "batch_size", "tau", "gamma", "gradient_steps", "n_steps", "target_update_interval"),
    *("exploration_fraction", "exploration_initial_eps", "exploration_final_eps", "max_grad_norm"),
)


def _set_up(plain: Any, agent: Agent) -> Any:
    """Build the networks without an environment, as SB3 does when it loads a file; return the policy in eval mode."""
    plain.observation_space, plain.action_space = unseeded(agent.observation_space), unseeded(agent.action_space)
    plain.n_envs = int(agent.n_envs)
    plain._setup_model()
    plain.policy.set_training_mode(False)
    return plain.policy


def _plain(value: Any) -> Any:
    """Return a number as plain int or float: the types of settings belong to the lab, and are not there at loading."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, float) else value


def unseeded(space: spaces.Space[Any]) -> Any:
    """Return a copy of a space without its random generator."""
    plain: Any = copy.deepcopy(space)
    plain._np_random = None  # the run's generator holds its seed, which was a setting
    return plain


def _trunk(extractor: EncoderExtractor, agent: Agent) -> Trunk:
    encoder = extractor.encoder
    if isinstance(encoder, MLP):
        return Trunk([], plain_layers(encoder.layers), {})
    if isinstance(encoder, Conv):
        return _nature_cnn(encoder, agent)
    raise ConfigError(f"{PLAIN} has no encoder like {type(encoder).__name__}; MLP can be exported, and some Conv")


def _nature_cnn(encoder: Conv, agent: Agent) -> Trunk:
    """Return a Conv as SB3's NatureCNN (Mnih et al. 2015). Raises ConfigError where its layers are other ones."""
    layers = [*plain_layers(encoder.blocks), nn.Flatten(), *plain_layers(encoder.dense)]
    space = agent.observation_space
    divides = is_image_space(space)  # uint8: SB3 makes [0, 1] of it. Other images are taken as they are.
    kwargs = {
        "features_extractor_class": NatureCNN,
        "features_extractor_kwargs": {"features_dim": int(encoder.features_dim)},
        "normalize_images": divides,
    }
    fits = encoder.pool == "flatten"
    try:
        network = NatureCNN(space, encoder.features_dim, normalized_image=not divides)
        fits = fits and list(map(settings_of, layers)) == list(map(settings_of, leaves(network)))
    except RuntimeError:  # the image is too small for it
        fits = False
    if not fits:
        raise ConfigError(
            f"{PLAIN}'s only convolutional network is NatureCNN: three unpadded convolutions, of 32 channels (kernel "
            "8, stride 4), 64 (4, 2) and 64 (3, 1), then one dense layer, with relu after each; this encoder is another"
        )
    return Trunk(layers, [], kwargs, policy="CnnPolicy")


def _highest(schedule: Callable[[float], float]) -> float:
    """Return the highest value of a schedule, which replaces it: the function belongs to the lab and is not saved."""
    return float(max(schedule(remaining / 100) for remaining in range(101)))
