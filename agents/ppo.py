"""Proximal policy optimisation (Schulman et al. 2017), SB3's loop with the lab's encoder."""

from __future__ import annotations

from collections.abc import Sequence

import stable_baselines3
import torch
from stable_baselines3.common.vec_env import VecEnv

from agents.agent import Agent, encoder_of, sb3_schedule
from agents.extractor import EncoderExtractor
from lab.encoders.base import Encoder, EncoderFactory
from lab.errors import ConfigError
from lab.optimization import CONSTANT, Schedule
from lab.settings import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt


class PPO(Agent, stable_baselines3.PPO):
    """PPO with clipping and generalised advantage estimation (Schulman et al. 2016).

    Args:
        encoder: the trunk; policy and value each add one linear layer to it.
        share_encoder: one trunk for both; otherwise one each, and the policy's is exported.
        net_arch: widths of further tanh layers between trunk and heads, for each head its own.
        learning_rate: of Adam.
        learning_rate_schedule: over the whole run.
        n_steps: steps of each environment per rollout.
        batch_size: transitions per gradient step.
        n_epochs: passes over each rollout.
        gamma: discount.
        gae_lambda: bias-variance trade-off of the advantages.
        clip_range: of the probability ratio.
        clip_range_schedule: over the whole run.
        ent_coef: weight of the entropy bonus.
        vf_coef: weight of the value loss.
        max_grad_norm: largest norm of the gradient.
        target_kl: stop the passes over a rollout once the policy has moved this far; null for never.
        ortho_init: orthogonal initialisation of all layers, the encoder's too unless it is pretrained.
    """

    def __init__(
        self,
        env: VecEnv,
        seed: int,
        device: torch.device,
        *,
        encoder: EncoderFactory,
        share_encoder: bool = True,
        net_arch: Sequence[PositiveInt] = (),
        learning_rate: PositiveFloat = 3e-4,
        learning_rate_schedule: Schedule = CONSTANT,
        n_steps: PositiveInt = 2048,
        batch_size: PositiveInt = 64,
        n_epochs: PositiveInt = 10,
        gamma: Fraction = 0.99,
        gae_lambda: Fraction = 0.95,
        clip_range: PositiveFloat = 0.2,
        clip_range_schedule: Schedule = CONSTANT,
        ent_coef: NonNegativeFloat = 0.0,
        vf_coef: NonNegativeFloat = 0.5,
        max_grad_norm: PositiveFloat = 0.5,
        target_kl: PositiveFloat | None = None,
        ortho_init: bool = True,
    ) -> None:
        if batch_size < 2 or (n_steps * env.num_envs) % batch_size:
            raise ConfigError(
                f"agent.batch_size must be at least 2 and divide a rollout of {n_steps} x {env.num_envs} "
                f"= {n_steps * env.num_envs} transitions, received {batch_size}"
            )
        super().__init__(
            "MlpPolicy",
            env,
            learning_rate=sb3_schedule(learning_rate, learning_rate_schedule),
            n_steps=n_steps,
            batch_size=batch_size,
            n_epochs=n_epochs,
            gamma=gamma,
            gae_lambda=gae_lambda,
            clip_range=sb3_schedule(clip_range, clip_range_schedule),
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            target_kl=target_kl,
            policy_kwargs={
                "features_extractor_class": EncoderExtractor,
                "features_extractor_kwargs": {"encoder": encoder},
                "share_features_extractor": share_encoder,
                "net_arch": list(net_arch),
                "ortho_init": ortho_init,
            },
            seed=seed,
            device=device,
        )

        for extractor in (self.policy.pi_features_extractor, self.policy.vf_features_extractor):
            inner = encoder_of(extractor)
            if inner.pretrained and ortho_init:
                inner.load_state_dict(encoder(inner.spec).state_dict())

    @property
    def encoder(self) -> Encoder:
        return encoder_of(self.policy.pi_features_extractor)

    @property
    def shortest_run(self) -> int:
        return 2 * self.n_steps * self.n_envs
