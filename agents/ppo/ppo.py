"""Proximal policy optimisation (Schulman et al. 2017): settings and learning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.acceleration.captured import Capture, Captured
from agents.acceleration.lean_adam import LeanAdam
from agents.buffers.rollout import Batch, Rollout
from agents.core.agent import sb3_schedule
from agents.core.on_policy import OnPolicy
from agents.networks.actor_critic import ActorCritic
from agents.networks.extractor import EncoderExtractor, Memory, running_norm
from agents.networks.normalization import RewardScale
from agents.ppo.losses import clipped_surrogate
from agents.spaces.observations import each
from lab.config.types import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from lab.encoders.base import EncoderFactory
from lab.errors import ConfigError
from lab.training.optimization import CONSTANT, Schedule


class PPO(OnPolicy):
    """PPO with clipping and generalised advantage estimation (Schulman et al. 2016).

    Args:
        encoder: the trunk; policy and value each add one linear layer to it. A recurrent one makes this recurrent PPO.
        share_encoder: one trunk for both; otherwise one each, and the policy's is exported.
        net_arch: widths of further tanh layers between trunk and heads, for each head its own.
        learning_rate: of Adam.
        learning_rate_schedule: over the whole run.
        n_steps: steps of each environment per rollout.
        batch_size: transitions per gradient step; recurrent ones take whole sequences of `n_steps`.
        n_epochs: passes over each rollout.
        gamma: discount.
        gae_lambda: bias-variance trade-off of the advantages.
        clip_range: of the probability ratio.
        clip_range_schedule: over the whole run.
        clip_range_vf: how far a value may move in one update; null for no bound.
        ent_coef: weight of the entropy bonus.
        vf_coef: weight of the value loss.
        max_grad_norm: largest norm of the gradient.
        target_kl: end the passes over a rollout once the policy has moved 1.5 times this far; null for never.
        ortho_init: orthogonal initialisation of all layers, the encoder's too unless it is pretrained.
        gsde: noise that depends on the state (Raffin et al. 2022), for Box actions.
        sde_sample_freq: steps after which that noise is drawn anew; -1: once per rollout.
        log_std_init: logarithm of the standard deviation of Box actions at the beginning.
        normalize_observations: by their running mean and variance, which are part of the policy.
        normalize_rewards: by the running standard deviation of the return, each within ±10; figures are of the true
            rewards.
        capture: repeat the tensor operations of acting and learning without Python once they are known, on the CPU;
            `always` on a GPU too (CUDA graphs; not tried yet), `never` for an encoder whose Python changes its ways.
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
        clip_range_vf: PositiveFloat | None = None,
        ent_coef: NonNegativeFloat = 0.0,
        vf_coef: NonNegativeFloat = 0.5,
        max_grad_norm: PositiveFloat = 0.5,
        target_kl: PositiveFloat | None = None,
        ortho_init: bool = True,
        gsde: bool = False,
        sde_sample_freq: int = -1,
        log_std_init: float = 0.0,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        capture: Capture = "auto",
    ) -> None:
        if batch_size < 2 or (n_steps * env.num_envs) % batch_size:
            raise ConfigError(
                f"agent.batch_size must be at least 2 and divide a rollout of {n_steps} x {env.num_envs} "
                f"= {n_steps * env.num_envs} transitions, received {batch_size}"
            )
        if gsde and not isinstance(env.action_space, spaces.Box):
            raise ConfigError(
                f"agent.gsde needs Box actions, but this environment's action space is {env.action_space}"
            )
        if sde_sample_freq == 0 or sde_sample_freq < -1:
            raise ConfigError(f"agent.sde_sample_freq must be at least 1, or -1, received {sde_sample_freq}")
        super().__init__(
            ActorCritic,
            env,
            learning_rate=sb3_schedule(learning_rate, learning_rate_schedule),
            n_steps=n_steps,
            batch_size=batch_size,
            n_epochs=n_epochs,
            gamma=gamma,
            gae_lambda=gae_lambda,
            clip_range=sb3_schedule(clip_range, clip_range_schedule),
            clip_range_vf=clip_range_vf,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            target_kl=target_kl,
            use_sde=gsde,
            sde_sample_freq=sde_sample_freq,
            rollout_buffer_class=Rollout,
            policy_kwargs={
                "features_extractor_class": EncoderExtractor,
                "features_extractor_kwargs": {
                    "encoder": encoder,
                    "norm": running_norm(env.observation_space) if normalize_observations else None,
                },
                "share_features_extractor": share_encoder,
                "net_arch": list(net_arch),
                "ortho_init": ortho_init,
                "log_std_init": log_std_init,
                "optimizer_class": LeanAdam,
                "optimizer_kwargs": {"eps": 1e-5, "fused": True},
            },
            seed=seed,
            device=device,
        )
        self.reward_scale = RewardScale(env.num_envs, gamma) if normalize_rewards else None
        self.norms: list[Tensor] = []
        self.figures: list[Tensor] = []
        self.recurrent = self.policy.recurrent
        if self.recurrent and batch_size % n_steps:
            raise ConfigError(
                f"agent.batch_size must be a multiple of agent.n_steps where the encoder is recurrent: it learns from "
                f"whole sequences of {n_steps}, received {batch_size}"
            )
        self.memory: Memory = tuple(part.to(device) for part in self.policy.initial_memory(env.num_envs))
        self.choose = Captured(self._choose, self.policy, device, "never" if gsde or self.recurrent else capture)
        self.gradients, self.gradients_and_figures = (
            Captured(partial(self._gradients_of_parts, with_figures=figures), self.policy, device, capture)
            for figures in (False, True)
        )
        for extractor in (self.policy.pi_features_extractor, self.policy.vf_features_extractor):
            inner = extractor.encoder
            if inner.pretrained and ortho_init:
                inner.load_state_dict(encoder(inner.spec).state_dict())

    def train(self) -> None:
        """Learn from the rollout: `n_epochs` passes in batches of `batch_size`."""
        self.policy.set_training_mode(True)
        self.policy.optimizer.renew()
        for gradients in (self.gradients, self.gradients_and_figures):
            gradients.renew(self.ent_coef, self.vf_coef)
        self._update_learning_rate(self.policy.optimizer)
        rollout = self.rollout_buffer
        self.clip_now = cast(Any, self.clip_range)(self._current_progress_remaining)
        batches = rollout.sequences if self.recurrent else rollout.batches
        one_batch = not self.recurrent and self.batch_size == rollout.n_steps * rollout.n_envs
        kept = list(batches(self.batch_size, normalize=self.normalize_advantage)) if one_batch else None
        self.norms, self.figures = [], []
        for epoch in range(self.n_epochs):
            with_figures = self.target_kl is not None or epoch == self.n_epochs - 1
            a_pass = kept or batches(self.batch_size, normalize=self.normalize_advantage)
            if not all(self._learn_from(batch, with_figures=with_figures) for batch in a_pass):
                break
        self._n_updates += epoch + 1
        self.require_finite(*self.norms)
        if self.policy.pi_features_extractor.norm is not None:
            self.policy.pi_features_extractor.norm.update(each(lambda x: x.flatten(0, 1), rollout.observations))
        self._record()
        self.stopwatch.lap("learning")

    def _learn_from(self, batch: Batch, *, with_figures: bool) -> bool:
        """One gradient step. False where the policy has moved too far for one."""
        bounds = (self.clip_now,) if self.clip_range_vf is None else (self.clip_now, self._value_clip())
        if self.recurrent:  # where episodes begin decides what is computed
            figures, norm, *gradients = self._gradients(batch, *bounds, with_figures=with_figures)
        else:
            compute = self.gradients_and_figures if with_figures else self.gradients
            figures, norm, *gradients = compute(*batch.without_memory, *bounds)
        if with_figures:
            self.figures.append(figures.clone())
            if self.target_kl is not None and self.figures[-1][0] > 1.5 * self.target_kl:
                return False
        self.norms.append(norm.clone())
        self.policy.optimizer.descend(norm, gradients, self.max_grad_norm, self.name_place)
        return True

    def _gradients(
        self, batch: Batch, clip: float | Tensor, value_clip: float | Tensor | None = None, *, with_figures: bool
    ) -> Sequence[Tensor]:
        """Return KL divergence, share of clipped ratios, entropy and value loss, `(4,)` or without figures `(0,)`; and
        the gradient's norm and parts."""
        policy = self.policy
        if self.recurrent:
            assert batch.starts is not None
            heads = policy.heads_of_sequences(batch.observations, batch.memory, batch.starts)
        else:
            heads = policy.heads(batch.observations)
        log_probs = policy.distribution.log_prob(heads.outputs, heads.latent, batch.actions)
        with torch.no_grad():
            loss = clipped_surrogate(
                log_probs,
                batch.log_probs,
                batch.advantages,
                heads.values,
                batch.values,
                batch.returns,
                clip_range=clip,
                clip_range_vf=value_clip,
                vf_coef=self.vf_coef,
            )
        ends, derivatives = [log_probs, heads.values], [loss.by_log_prob, loss.by_value]
        entropy = policy.distribution.entropy(heads.outputs, heads.latent) if self.ent_coef or with_figures else None
        if self.ent_coef and entropy is not None:
            ends.append(entropy)
            derivatives.append(torch.full_like(entropy, -self.ent_coef / len(entropy)))
        figures = log_probs.new_empty(0)
        if with_figures and entropy is not None:
            with torch.no_grad():
                figures = torch.stack(
                    (
                        (loss.ratio - 1 - loss.log_ratio).mean(),  # Schulman 2020, "Approximating KL divergence"
                        ((loss.ratio - 1).abs() > clip).float().mean(),
                        entropy.mean(),
                        (heads.values - batch.returns).square().mean(),
                    )
                )
        return figures, *policy.optimizer.gradient(ends, derivatives)

    def _gradients_of_parts(self, *parts: Any, with_figures: bool) -> Sequence[Tensor]:
        """The same for `Batch.without_memory` and the bounds, as it can be captured."""
        return self._gradients(Batch(*parts[:6]), *parts[6:], with_figures=with_figures)

    def _value_clip(self) -> float | None:
        if self.clip_range_vf is None:
            return None
        return float(cast(Any, self.clip_range_vf)(self._current_progress_remaining))

    def _record(self) -> None:
        """Figures of the last pass, which tell how far the update has gone; of all where `target_kl` looks at each."""
        kl, clipped, entropy, value_loss = torch.stack(self.figures).mean(0).tolist()
        record = self.logger.record
        record("train/approx_kl", kl)
        record("train/clip_fraction", clipped)
        record("train/entropy", entropy)
        record("train/value_loss", value_loss)
        if self.norms:
            record("train/grad_norm", float(torch.stack(self.norms).mean()))
        record("train/explained_variance", self.rollout_buffer.explained_variance())
        record("train/clip_range", self.clip_now)
        record("train/n_updates", self._n_updates)
        if hasattr(self.policy, "log_std"):
            record("train/std", float(self.policy.log_std.detach().exp().mean()))
